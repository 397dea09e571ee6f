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


@tenants.command("retention")
@click.argument("name")
@click.argument("periods", nargs=-1)
@click.option("--reset", is_flag=True, help="Keep everything as MUSTER_RETENTION says again.")
@click.option("--json", "as_json", is_flag=True, help="Print how long jobs are kept as JSON.")
def retention(name: str, periods: tuple[str, ...], reset: bool, as_json: bool) -> None:
    """Show or set how long a tenant's jobs are kept after their end.

    \b
    Examples:
      muster tenants retention acme
      muster tenants retention acme kyc=7y documents=10d
      muster tenants retention acme --reset
    """
    from app.accounts import service
    from app.cli.server import load_settings
    from app.protection import periods as protection
    from app.settings import parse_retention

    try:
        wanted = parse_retention(" ".join(periods))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    settings = load_settings()
    with open_database(settings) as db:
        tenant = service.get_tenant(db, name)
        if reset or wanted:
            protection.change(db, tenant.id, wanted, reset=reset)
        kept = protection.of(db, settings, tenant.id)
    if as_json:
        print_json({kind: seconds for kind, (seconds, _) in kept.items()})
        return
    rows = [(kind, _days(seconds), own) for kind, (seconds, own) in kept.items()]
    print_table(("KIND", "KEPT", "OWN"), rows)


def _days(seconds: float | None) -> str:
    return "for ever" if seconds is None else f"{seconds / 86_400:,.10g} days"


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
def prune(dry_run: bool) -> None:
    """Delete what is kept no longer, as happens every night by itself.

    It may be broken off, or run twice at once: the next one goes on.

    \b
    Examples:
      muster prune --dry-run
      muster prune
    """
    from app.cli.server import load_settings
    from app.protection import prune as pruning

    settings = load_settings()
    with open_database(settings) as db:
        if dry_run:
            pruned = pruning.look(db, settings)
        else:
            pruned = pruning.prune(db, settings, say=note)
    would = "would be " if dry_run else ""
    for kind, jobs in pruned.jobs.items():
        click.echo(f"{kind}: {jobs:,} jobs of {pruned.items[kind]:,} items {would}deleted")
    for name in pruned.months:
        click.echo(f"{name}: {would}dropped")
    for what, rows in pruned.others.items():
        click.echo(f"{what}: {rows:,} rows deleted")
    if not (pruned.jobs or pruned.months or pruned.others):
        note("Nothing is past its time.")
