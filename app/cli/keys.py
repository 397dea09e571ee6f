"""What programs call with: API keys that last, and tokens that do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from app.accounts.model import PERMISSIONS, ApiKey, Role
from app.cli.output import note, print_json, print_table
from app.cli.sentences import Failure
from app.cli.server import load_settings, open_database
from app.cli.users import ROLES


@click.group()
def keys() -> None:
    """API keys: what programs call with.

    A key lasts until it expires or is revoked, and may do what its scopes say.

    \b
    Examples:
      muster keys create nightly --tenant acme --role operator
      muster keys list --tenant acme
      muster keys revoke sk_3Jx9aQ2L --tenant acme
    """


@keys.command("create")
@click.argument("name")
@click.option("--tenant", required=True, help="The tenant the key acts for.")
@click.option("--role", type=ROLES, help="Give the key all scopes of this role.")
@click.option("--scope", "scopes", multiple=True, help="Give the key this scope. Repeatable.")
@click.option(
    "--days", type=click.IntRange(1, 36_500), help="Let the key expire after so many days."
)
@click.option(
    "--allow-ip",
    "networks",
    multiple=True,
    help="Accept the key from this address or network only. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the key and its record as JSON.")
def create_key(
    name: str,
    tenant: str,
    role: str | None,
    scopes: tuple[str, ...],
    days: int | None,
    networks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Create a key and print it, the only time that it is shown.

    The key goes to stdout and the rest to stderr, so that it can be piped into a secret store.

    \b
    Examples:
      muster keys create nightly --tenant acme --role operator
      muster keys create report --tenant acme --scope kyc:read --days 90 --allow-ip 10.1.0.0/16
    """
    from app.accounts import service

    wanted = set(scopes) | (PERMISSIONS[Role(role)] if role else frozenset())
    if not wanted:
        raise click.UsageError("say what the key may do, with --role or --scope")
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    with open_database() as db:
        tenant_id = service.get_tenant(db, tenant).id
        service_uid = service.service_uid(db, tenant_id)
        key, secret = service.create_key(
            db,
            tenant_id,
            name,
            wanted,
            allowed_ips=networks,
            expires_at=expires_at,
        )
    if as_json:
        print_json({"key": secret, "service_uid": service_uid, **_record(key)})
        return
    click.echo(secret)
    until = f", until {key.expires_at:%Y-%m-%d}" if key.expires_at else ""
    note(f"Key {name} acts for {tenant} with {', '.join(key.scopes)}{until}.")
    note(f"Under /v5 it goes with the service uid of {tenant}: {service_uid}")
    note("Keep it now: it is not stored and cannot be shown again.")


@keys.command("list")
@click.option("--tenant", required=True, help="The tenant whose keys to list.")
@click.option("--json", "as_json", is_flag=True, help="Print the keys' records as a JSON array.")
def list_keys(tenant: str, as_json: bool) -> None:
    """List a tenant's keys by the part of them that may be seen.

    \b
    Example:
      muster keys list --tenant acme
    """
    from app.accounts import service

    with open_database() as db:
        tenant_id = service.get_tenant(db, tenant).id
        found = service.list_keys(db, tenant_id)
        service_uid = service.service_uid(db, tenant_id)
    now = datetime.now(UTC)
    if as_json:
        print_json([_record(key) for key in found])
    elif found:
        print_table(
            ("KEY", "NAME", "STATE", "SCOPES", "LAST USED", "EXPIRES"),
            [
                (f"{k.prefix}…", k.name, k.state(now), k.scopes, k.last_used_at, k.expires_at)
                for k in found
            ],
        )
        note(f"Under /v5 they go with the service uid of {tenant}: {service_uid}")
    else:
        note(
            f"No keys yet. Make one with: muster keys create NAME --tenant {tenant} --role operator"
        )


@keys.command("revoke")
@click.argument("key")
@click.option("--tenant", required=True, help="The tenant the key belongs to.")
def revoke_key(key: str, tenant: str) -> None:
    """End a key at once and for good.

    KEY is what `muster keys list` shows of it, its id, or the whole key.

    \b
    Example:
      muster keys revoke sk_3Jx9aQ2L --tenant acme
    """
    from app.accounts import service

    with open_database() as db:
        tenant_id = service.get_tenant(db, tenant).id
        found = _named(service.list_keys(db, tenant_id), key, tenant)
        service.revoke_key(db, tenant_id, found.id)
    click.echo(f"Revoked the key {found.name} ({found.prefix}…).")


@click.command()
@click.option("--tenant", default="demo", show_default=True, help="The tenant the token acts for.")
@click.option("--role", type=ROLES, default="operator", show_default=True)
@click.option("--days", type=click.IntRange(1, 365), help="How many days the token is good for.")
@click.option("--hours", type=click.IntRange(1, 8760), help="How many hours the token is good for.")
@click.option("--create", is_flag=True, help="Make the tenant if there is none of this name.")
def token(tenant: str, role: str, days: int | None, hours: int | None, create: bool) -> None:
    """Print a token that acts for a tenant, and nothing else.

    For trying things out and for scripts beside the server. It lives an hour unless --hours or
    --days say otherwise, and cannot be taken back; a program that stays gets a key instead
    (`muster keys create`).

    \b
    Examples:
      export MUSTER_TOKEN=$(muster token --tenant acme)
      curl -H "Authorization: Bearer $(muster token)" http://127.0.0.1:8000/kyc/jobs
    """
    from app.accounts import service
    from app.api.tokens import mint_access

    if days and hours:
        raise click.UsageError("give --days or --hours, not both")
    lifetime = timedelta(days=days or 0, hours=hours or 0) or None
    settings = load_settings()
    with open_database(settings) as db:
        found = (service.ensure_tenant if create else service.get_tenant)(db, tenant)
    click.echo(mint_access(settings, found.id, "cli", PERMISSIONS[Role(role)], lifetime=lifetime))


def _named(found: list[ApiKey], text: str, tenant: str) -> ApiKey:
    text = text.rstrip("….")
    named = [k for k in found if text == str(k.id) or text[: len(k.prefix)] == k.prefix]
    if not named:
        raise Failure(f"{tenant} has no such key; `muster keys list --tenant {tenant}` shows them.")
    if len(named) > 1:
        raise Failure(f"{tenant} has several keys {named[0].prefix}…; say which by its id.")
    return named[0]


def _record(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "state": key.state(datetime.now(UTC)),
        "scopes": key.scopes,
        "allowed_ips": key.allowed_ips,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
        "created_at": key.created_at,
    }


@keys.command("rotate-payloads")
def rotate_payloads() -> None:
    """Encrypt what is stored with the first key of MUSTER_PAYLOAD_KEYS.

    That is what is encrypted with another key, or not at all. It may be broken off and run again.
    Afterwards the other keys are not needed any more.

    \b
    Example:
      muster keys rotate-payloads
    """
    from app.protection import rotation

    def say(jobs: int, total: int, rows: int) -> None:
        note(f"{jobs:,} of {total:,} jobs, {rows:,} rows encrypted")

    with open_database() as db:
        rows = rotation.rotate(db, say=say)
    click.echo(f"{rows:,} rows were encrypted with the key {db.sealer.first!r}.")
