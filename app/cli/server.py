"""What the commands on the server's own side share: settings and a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.db import Database
    from app.settings import Settings


def load_settings() -> Settings:
    from app.settings import Settings

    return Settings.from_env()


@contextmanager
def open_database(settings: Settings | None = None) -> Iterator[Database]:
    """Open the server's database for the length of one command."""
    from app.db import Database

    settings = settings or load_settings()
    db = Database(
        settings.database_url, max_connections=2, name="muster-cli", sealer=settings.sealer()
    )
    try:
        yield db
    finally:
        db.close()
