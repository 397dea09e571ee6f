"""What a development set-up needs before its first job: schema, tenant, sample list, token.

One process instead of five commands, for the sake of the first impression. Refuses to run in
production, where `muster migrate`, `muster tenants` and `muster keys` do each on purpose.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api.tokens import mint_access
from app.db import Database
from app.errors import AppError, Misconfigured
from app.migrate import migrate
from app.sample import WATCHLIST
from app.screening import store
from app.screening.lists.load import load_list
from app.settings import Settings

TENANT = "demo"
SAMPLE = "sample"
_TOKEN_LIFETIME = timedelta(days=7)


def bootstrap(settings: Settings, db: Database) -> str:
    """Bring everything up to date, and return a token of an operator of the demo tenant."""
    if settings.is_production:
        raise Misconfigured(
            "app.bootstrap hands out a ready token and is for MUSTER_ENV=development only;"
            " docs/production.md says how to set up a server"
        )
    migrate(db)
    tenant = accounts.ensure_tenant(db, TENANT)
    with db.transaction() as tx:
        loaded = store.current_versions(tx)
    if SAMPLE not in loaded:
        load_list(
            db,
            SAMPLE,
            WATCHLIST,
            index_dir=settings.index_dir,
            max_bytes=settings.list_max_bytes,
        )
    return mint_access(
        settings,
        tenant.id,
        "usr_demo",
        PERMISSIONS[Role.ADMIN],  # so that everything can be tried
        lifetime=_TOKEN_LIFETIME,
    )


def main() -> int:
    """Print the token, as the only line on standard output."""
    try:
        settings = Settings.from_env()
        db = Database(settings.database_url)
        print(bootstrap(settings, db))  # noqa: T201  # this is the command's output
    except AppError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
