"""The drill: a backup taken in the middle of the work, restored beside an empty Redis.

Two ways to take one, as docs/backup.md has them: a dump, and a copy of the server's files with the
log that belongs to it. Whatever was accepted before either was complete is there afterwards, and
ends, with one result for each item.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

import pytest

from app import embedded
from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import auth, tokens
from app.errors import InvalidCredentials
from app.factory import create_app
from app.jobs import service
from app.jobs.model import Job
from app.migrate import pending
from app.resources import Resources
from app.screening import store as watchlists
from app.settings import Settings
from tests.chaos.conftest import Site, open_site
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, lasting_worker
from tests.kyc import CLEAR, ENTRIES, LISTED, ended, load
from tests.monitoring import LATER, changes, make, monitor, new_version

pytestmark = pytest.mark.timeout(300)

PASSWORD = "correct horse battery staple"
EMAIL = "ops@example.com"


def run(name: str, *args: str | Path, url: str) -> None:
    """Run a program of Postgres; the password is in no command line."""
    where = urlsplit(url)
    env = {
        "PATH": os.environ["PATH"],
        "PGHOST": where.hostname or "",
        "PGPORT": str(where.port),
        "PGUSER": where.username or "",
        "PGPASSWORD": unquote(where.password or ""),
        "PGDATABASE": where.path[1:],
    }
    folder = embedded.find_postgres()
    if folder is None or not (folder / name).exists():
        pytest.skip(f"there is no {name} beside the Postgres of the tests")
    ran = subprocess.run(
        [folder / name, *args], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr


def client_of(settings: Settings, token: str) -> Any:
    auth._known_keys.clear()
    client = create_app(settings).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def rows(resources: Resources, job: Job) -> list[Any]:
    return [row for page in service.results(resources, job) for row in page]


@dataclass(frozen=True)
class Original:
    """What the platform had taken on when it was backed up, and the backups."""

    settings: Settings
    password: str
    tenant_id: UUID
    key: str
    token: str
    screened: Job
    results: list[Any]
    running: Job
    waiting: Job
    paused: Job
    versions: list[Any]
    watchlist: str
    dump: Path
    files: Path


@pytest.fixture(scope="module")
def original(settings, mortal, tmp_path_factory) -> Original:
    """Take both backups of a platform at work, then end it as a fire would."""
    folder = tmp_path_factory.mktemp("original")
    postgres, valkey = mortal("postgres"), mortal("valkey")
    settings = replace(
        settings,
        database_url=postgres.url,
        redis_url=valkey.url,
        index_dir=folder / "index",
    )
    site = open_site(settings)
    resources = site.resources
    accounts.create_user(resources.db, site.tenant_id, EMAIL, PASSWORD, Role.OPERATOR)
    everything = PERMISSIONS[Role.ADMIN]
    key = accounts.create_key(resources.db, site.tenant_id, "drill", everything)[1]
    token = tokens.mint_access(settings, site.tenant_id, "usr_drill", everything)
    load(resources, settings, folder, "house", ENTRIES[:2])
    client = client_of(settings, key)

    with lasting_worker(settings, folder):
        job_id = client.post("/kyc/jobs", json={"entities": [LISTED, CLEAR]}).json["job_id"]
        assert ended(client, job_id)["job_status"] == "completed"
        watchlist = make(client, LISTED, CLEAR)
        assert monitor(client, watchlist)["total_matches"] == 1
        running = site.submit([{"sleep": 0.03, "matches": 1}] * 1_500, chunk_size=20)
        paused = site.submit([{"matches": 1}] * 30)
        service.pause(resources, site.tenant_id, paused.dialect, paused.external_id)
        waiting = site.submit([{"matches": 1}] * 30)
        until(lambda: site.reload(running).done >= 20, 30, "it is at work")

        dump, files = folder / "muster.dump", folder / "files"
        # Nobody pulls the plug here, and a disk that is busy takes its time to be sure of a file.
        run("pg_dump", "--format=custom", "--no-sync", "--file", dump, url=postgres.url)
        copy = ("--pgdata", files, "--checkpoint=fast", "--wal-method=stream", "--no-sync")
        run("pg_basebackup", *copy, url=postgres.url)
        assert site.reload(running).done < running.total, "it was at work all the time"

        screened = service.find(resources, site.tenant_id, "kyc", job_id)
        with resources.db.transaction() as tx:
            versions = watchlists.list_versions(tx, "house", None)
        taken = Original(
            settings, postgres.password, site.tenant_id, key, token, screened,
            rows(resources, screened), running, waiting, paused, versions, watchlist, dump, files,
        )  # fmt: skip
        resources.close()
        postgres.end()
        valkey.end()
    return taken


@dataclass(frozen=True)
class Restored:
    site: Site
    client: Any
    #: Of the job that was in hand, before anybody works here.
    job: Job
    results: list[Any]


@pytest.fixture(scope="module", params=["dump", "files"])
def restored(request, original, mortal, tmp_path_factory) -> Iterator[Restored]:
    """A platform on new servers: in Postgres is the backup, in Redis and among indexes nothing."""
    if request.param == "dump":
        postgres = mortal("postgres")
        how = ("--no-owner", "--exit-on-error", "--single-transaction", "--dbname", "muster")
        run("pg_restore", *how, original.dump, url=postgres.url)
    else:
        postgres = mortal("postgres", original.files, password=original.password)
    folder = tmp_path_factory.mktemp("restored")
    settings = replace(
        original.settings,
        database_url=postgres.url,
        redis_url=mortal("valkey").url,
        index_dir=folder / "index",
    )
    site = Site(Resources.open(settings), original.tenant_id)
    job = site.reload(original.running)
    known = Restored(site, client_of(settings, original.key), job, rows(site.resources, job))
    with lasting_worker(settings, folder, "--concurrency", "4"):
        yield known
    site.resources.close()


def test_every_job_that_was_accepted_completes_with_one_result_for_each_item(original, restored):
    site = restored.site
    assert 0 < restored.job.done < restored.job.total, "it was backed up in the middle"
    assert len(restored.results) == restored.job.done
    assert site.reload(original.paused).state == "paused"
    paused = original.paused
    service.resume(site.resources, site.tenant_id, paused.dialect, paused.external_id)

    accepted = (original.running, original.waiting, paused)
    until(
        lambda: all(site.reload(job).state.is_final for job in accepted),
        90,
        lambda: f"they end: {[site.reload(job) for job in accepted]}",
    )
    for job in accepted:
        assert_whole(site.resources, site.reload(job))
    ended_now = {row["position"]: row for row in rows(site.resources, original.running)}
    assert len(ended_now) == original.running.total
    assert [ended_now[row["position"]] for row in restored.results] == restored.results


def test_what_had_ended_is_as_it_was(original, restored):
    assert (
        service.find(
            restored.site.resources, original.tenant_id, "kyc", original.screened.external_id
        )
        == original.screened
    )
    assert rows(restored.site.resources, original.screened) == original.results


def test_users_keys_and_tokens_are_good_as_before(original, restored):
    db = restored.site.resources.db
    assert (
        accounts.authenticate_password(db, EMAIL, PASSWORD).caller.tenant_id == original.tenant_id
    )
    with pytest.raises(InvalidCredentials):
        accounts.authenticate_password(db, EMAIL, PASSWORD + "!")
    for credential in (original.key, original.token):
        client = client_of(restored.site.resources.settings, credential)
        assert client.get("/kyc/jobs").status_code == 200
    assert client.get("/kyc/jobs", headers={"Authorization": "Bearer x"}).status_code == 401


def test_lists_are_there_in_their_versions_and_the_next_one_is_another(
    original, restored, tmp_path
):
    resources, client = restored.site.resources, restored.client
    with resources.db.transaction() as tx:
        assert watchlists.list_versions(tx, "house", None) == original.versions
    place = f"/kyc/watchlists/{original.watchlist}"
    assert client.get(f"{place}/hits").json["hits"][0]["entity_id"] == LISTED["entity_id"]

    new_version(resources, resources.settings, tmp_path, *ENTRIES[:2], LATER)

    until(lambda: len(changes(client, original.watchlist)) == 2, 60, "the change was looked into")
    assert (CLEAR["entity_id"], "new", LATER["id"]) in changes(client, original.watchlist)


def test_the_schema_is_what_this_version_expects(restored):
    assert pending(restored.site.resources.db) == []
