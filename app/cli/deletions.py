"""Deleting on request, and the proof of it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from app.cli.admin import tenants
from app.cli.output import note, print_json, print_table
from app.cli.sentences import Failure
from app.cli.server import load_settings, open_database

if TYPE_CHECKING:
    from app.protection.store import Deletion
    from app.resources import Resources

_by = click.option("--by", help="Who asks for it, for the proof; you, unless told.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@contextmanager
def _resources() -> Iterator[Resources]:
    from app.resources import Resources

    resources = Resources.open(load_settings())
    try:
        yield resources
    finally:
        resources.close()


@tenants.command("delete")
@click.argument("name")
@_by
@_yes
def delete_tenant(name: str, by: str | None, yes: bool) -> None:
    """Delete a tenant with all it has, and print the proof.

    Its jobs are cancelled first. Users who belong to no other tenant go too. It may be broken off
    and run again. Backups keep what they have until they are thrown away.

    \b
    Example:
      muster tenants delete acme
    """
    from app.accounts import service
    from app.protection import tenants as deleting

    with _resources() as resources:
        tenant = service.get_tenant(resources.db, name)
        if not yes:
            click.confirm(f"Delete {name} with all its data, for good?", abort=True, err=True)
        proof = deleting.delete(resources, tenant, requested_by=_who(by), say=note)
    _show(proof)


@click.group()
def subjects() -> None:
    """Subjects: people and companies, by what a tenant calls them.

    \b
    Example:
      muster subjects delete --tenant acme --entity-id customer-17
    """


@subjects.command("delete")
@click.option("--tenant", required=True, help="Whose subject it is.")
@click.option("--entity-id", required=True, help="What the tenant calls it.")
@_by
@_yes
def delete_subject(tenant: str, entity_id: str, by: str | None, yes: bool) -> None:
    """Delete all that a tenant has of a subject, and print the proof.

    That is the entity_id of those who are screened or watched, the external_id of faces, the id of
    documents, and the userId or trace of verifications, which go with their audit. Items of jobs
    stay as erased ones. What the law wants kept is yours to know.

    \b
    Example:
      muster subjects delete --tenant acme --entity-id customer-17 --by "request 4711"
    """
    from app.accounts import service
    from app.protection import subjects as deleting

    with _resources() as resources:
        found = service.get_tenant(resources.db, tenant)
        if not yes:
            click.confirm("Delete all there is of this subject, for good?", abort=True, err=True)
        proof = deleting.delete(resources, found.id, entity_id, requested_by=_who(by))
    _show(proof)


@click.command()
@click.option("--tenant", help="Only of this tenant: its name, or its id where it is gone.")
@click.option("--entity-id", help="Only of what this tenant called so.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as a JSON array.")
def deletions(tenant: str | None, entity_id: str | None, as_json: bool) -> None:
    """List what was deleted on request, and check the records of it.

    \b
    Examples:
      muster deletions
      muster deletions --tenant acme --entity-id customer-17
    """
    from uuid import UUID

    from app.accounts import service
    from app.protection import deletions as kept

    if entity_id is not None and tenant is None:
        raise click.UsageError("--entity-id needs --tenant: subjects are called so by somebody")
    settings = load_settings()
    with open_database(settings) as db:
        tenant_id = None
        if tenant is not None:
            try:
                tenant_id = UUID(tenant)
            except ValueError:
                tenant_id = service.get_tenant(db, tenant).id
        found = kept.list_all(db, settings, tenant_id=tenant_id, name=entity_id)
        broken = kept.check(db)
    if as_json:
        print_json([_shown(each) for each in found])
    elif found:
        rows = [
            (
                *(each.number, each.finished_at, each.scope, each.tenant_id, each.requested_by),
                *(sum(each.counts.values()), (each.digest or "not finished")[:16]),
            )
            for each in found
        ]
        print_table(("NO", "FINISHED", "WHAT", "TENANT", "BY", "ROWS", "DIGEST"), rows)
    else:
        note("Nothing was deleted on request.")
    if broken:
        numbers = ", ".join(map(str, broken))
        raise Failure(f"Somebody has changed records, or removed some before these: {numbers}.")


def _who(by: str | None) -> str:
    return by or f"cli:{getpass.getuser()}"


def _shown(proof: Deletion) -> dict[str, object]:
    return {
        **{"id": proof.id, "number": proof.number, "scope": proof.scope},
        **{"tenant_id": proof.tenant_id, "reference": proof.reference},
        **{"requested_by": proof.requested_by, "began_at": proof.began_at},
        **{"finished_at": proof.finished_at, "counts": proof.counts},
        **{"entry": proof.entry, "previous": proof.previous, "digest": proof.digest},
    }


def _show(proof: Deletion) -> None:
    for name, rows in sorted(proof.counts.items()):
        click.echo(f"{name}: {rows:,}")
    click.echo(f"deletion {proof.number} ({proof.id}), digest {proof.digest}")
