"""Setting up a server: its schema and its tenants."""

from __future__ import annotations

import click

from app.cli.output import note, print_json, print_table
from app.cli.server import open_database


@click.command()
def migrate() -> None:
    """Create or update the tables of the database.

    Run it before the first start and after every upgrade. It may run twice, or in two places at
    once: what has been applied is not applied again.

    \b
    Example:
      muster migrate
    """
    from app.migrate import migrate as apply

    with open_database() as db:
        applied = apply(db)
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        note("The database is up to date.")


@click.group()
def tenants() -> None:
    """Tenants: the accounts that jobs, users and keys belong to.

    \b
    Examples:
      muster tenants create acme
      muster tenants list
    """


@tenants.command("create")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the new tenant as JSON.")
def create_tenant(name: str, as_json: bool) -> None:
    """Create a tenant.

    \b
    Example:
      muster tenants create acme
    """
    from app.accounts import service

    with open_database() as db:
        tenant = service.create_tenant(db, name)
    if as_json:
        print_json({"id": tenant.id, "name": tenant.name, "created_at": tenant.created_at})
    else:
        click.echo(f"Created the tenant {tenant.name} ({tenant.id}).")


@tenants.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the tenants as a JSON array.")
def list_tenants(as_json: bool) -> None:
    """List the tenants.

    \b
    Example:
      muster tenants list --json | jq -r '.[].name'
    """
    from app.accounts import service

    with open_database() as db:
        found = service.list_tenants(db)
    if as_json:
        print_json([{"id": t.id, "name": t.name, "created_at": t.created_at} for t in found])
    elif found:
        print_table(("NAME", "ID", "CREATED"), [(t.name, t.id, t.created_at) for t in found])
    else:
        note("No tenants yet. Make one with: muster tenants create NAME")
