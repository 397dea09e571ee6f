"""People: who may sign in, and as what."""

from __future__ import annotations

import sys

import click

from app.accounts.model import Role
from app.cli.output import note, print_json, print_table
from app.cli.server import open_database

ROLES = click.Choice([str(role) for role in Role])


@click.group()
def users() -> None:
    """Users: people who sign in with a password.

    A user has a role in each tenant they belong to: a viewer reads, an operator also submits and
    controls jobs, an admin also manages lists, keys and users.

    \b
    Examples:
      muster users create ada@example.com --tenant acme --role operator
      muster users list --tenant acme
    """


def _asked_password() -> str:
    """Read a password: asked for twice at a terminal, else one line of standard input."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return typed
    return sys.stdin.readline().rstrip("\r\n")


@users.command("create")
@click.argument("email")
@click.option("--tenant", required=True, help="The tenant the user belongs to.")
@click.option("--role", type=ROLES, default="operator", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the new user as JSON.")
def create_user(email: str, tenant: str, role: str, as_json: bool) -> None:
    """Create a user.

    The password is asked for, or read from standard input. It is never an argument: those can be
    seen by everybody on the machine.

    \b
    Examples:
      muster users create ada@example.com --tenant acme
      pass show muster/ada | muster users create ada@example.com --tenant acme --role admin
    """
    from app.accounts import service

    with open_database() as db:
        found = service.get_tenant(db, tenant)
        user = service.create_user(db, found.id, email, _asked_password(), Role(role))
    if as_json:
        print_json({"id": user.id, "email": user.email, "tenant": tenant, "role": role})
    else:
        click.echo(f"Created {user.email}, {role} in {tenant}.")


@users.command("list")
@click.option("--tenant", help="Only the members of this tenant.")
@click.option("--json", "as_json", is_flag=True, help="Print the members as a JSON array.")
def list_users(tenant: str | None, as_json: bool) -> None:
    """List users, once for each tenant they belong to.

    \b
    Example:
      muster users list --tenant acme
    """
    from app.accounts import service

    with open_database() as db:
        tenant_id = service.get_tenant(db, tenant).id if tenant else None
        members = service.list_members(db, tenant_id)
    if as_json:
        print_json(
            [
                {
                    "id": m.user.id,
                    "email": m.user.email,
                    "tenant": m.tenant,
                    "role": m.role,
                    "is_active": m.user.is_active,
                    "created_at": m.user.created_at,
                }
                for m in members
            ]
        )
    elif members:
        print_table(
            ("EMAIL", "TENANT", "ROLE", "ACTIVE", "CREATED"),
            [
                (m.user.email, m.tenant, m.role, m.user.is_active, m.user.created_at)
                for m in members
            ],
        )
    else:
        note("No users yet. Make one with: muster users create EMAIL --tenant NAME")


@users.command("grant")
@click.argument("email")
@click.option("--tenant", required=True, help="The tenant to give the role in.")
@click.option("--role", type=ROLES, required=True)
def grant(email: str, tenant: str, role: str) -> None:
    """Give an existing user a role in a tenant, or another role than they have.

    \b
    Example:
      muster users grant ada@example.com --tenant acme --role admin
    """
    from app.accounts import service

    with open_database() as db:
        user = service.grant_role(db, service.get_tenant(db, tenant).id, email, Role(role))
    click.echo(f"{user.email} is now {role} in {tenant}.")


@users.command("password")
@click.argument("email")
def password(email: str) -> None:
    """Set a user's password, asked for or read from standard input.

    It ends the sessions of the user in /api/auth. An access token they already hold lives until
    it expires, an hour by default; a refresh token of /kyc/auth/token too, a week.

    \b
    Example:
      muster users password ada@example.com
    """
    from app.accounts import service

    with open_database() as db:
        user = service.set_password(db, email, _asked_password())
    click.echo(f"Set the password of {user.email}.")


@users.command("disable")
@click.argument("email")
def disable(email: str) -> None:
    """Stop a user from signing in, in every tenant.

    An access token they already hold lives until it expires, an hour by default.

    \b
    Example:
      muster users disable ada@example.com
    """
    from app.accounts import service

    with open_database() as db:
        user = service.set_active(db, email, False)
    click.echo(f"{user.email} can no longer sign in.")


@users.command("enable")
@click.argument("email")
def enable(email: str) -> None:
    """Let a disabled user sign in again.

    \b
    Example:
      muster users enable ada@example.com
    """
    from app.accounts import service

    with open_database() as db:
        user = service.set_active(db, email, True)
    click.echo(f"{user.email} can sign in again.")
