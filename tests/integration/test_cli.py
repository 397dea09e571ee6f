"""The command line as a person or a script uses it: another process, real servers, a real API."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from app import embedded
from app.accounts import service
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.jobs import ids
from app.sample import WATCHLIST
from app.screening.lists.load import load_list
from tests.integration.conftest import STARTING_SECONDS, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"


@pytest.fixture
def environment(settings):
    """The settings of the server, as its administrator's shell would hold them."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "MUSTER_JWT_SECRET": settings.jwt_secret,
        "MUSTER_INDEX_DIR": str(settings.index_dir),
    }


@pytest.fixture
def start(environment, tmp_path):
    """Start `muster` in a folder of its own and return the process."""

    started = []

    def run(*arguments: object, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", *map(str, arguments)],
            env={**environment, **env},
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.returncode is None:
            process.kill()
            process.communicate()


@pytest.fixture
def muster(start):
    """Run `muster` to its end and return what it said. It never says Traceback."""

    def run(*arguments: object, given: str = "", status: int = 0, **env: str):
        process = start(*arguments, **env)
        out, err = process.communicate(given, timeout=60)
        assert "Traceback" not in err
        assert process.returncode == status, err
        return subprocess.CompletedProcess(arguments, status, out, err)

    return run


# --- on the server's own side ---------------------------------------------------------------------


def test_migrate_says_what_it_applied_and_then_that_nothing_is_left(muster, servers):
    url = servers.new_empty_database("cli_migrate")

    first = muster("migrate", DATABASE_URL=url)
    second = muster("migrate", DATABASE_URL=url)

    assert "applied 0001_accounts.sql" in first.stdout
    assert second.stdout == ""
    assert "up to date" in second.stderr


def test_a_database_without_tables_is_told_to_be_migrated(muster, servers):
    url = servers.new_empty_database("cli_bare")

    failed = muster("tenants", "list", DATABASE_URL=url, status=1)

    assert "run `muster migrate` first" in failed.stderr


def test_a_database_that_is_away_is_a_sentence(muster):
    failed = muster(
        "tenants", "list", DATABASE_URL="postgresql://nobody@127.0.0.1:1/none", status=1
    )

    assert failed.stderr == "muster: The database cannot be reached. Try again in a moment.\n"


def test_tenants_are_created_and_listed(muster, database):
    muster("tenants", "create", "acme")
    made = json.loads(muster("tenants", "create", "Société Générale", "--json").stdout)

    listed = json.loads(muster("tenants", "list", "--json").stdout)

    assert [tenant["name"] for tenant in listed] == ["Société Générale", "acme"]
    assert listed[0]["id"] == made["id"]
    assert "acme" in muster("tenants", "list").stdout
    assert "exists already" in muster("tenants", "create", "acme", status=1).stderr


def test_a_user_is_created_with_a_password_from_standard_input(muster, database):
    tenant = service.create_tenant(database, "acme")

    muster("users", "create", "Ada@Example.com", "--tenant", "acme", given=PASSWORD + "\n")

    login = service.authenticate_password(database, "ada@example.com", PASSWORD)
    assert (login.tenant_id, login.role) == (tenant.id, Role.OPERATOR)
    assert "ada@example.com" in muster("users", "list", "--tenant", "acme").stdout


def test_a_user_is_promoted_disabled_enabled_and_given_a_password(muster, database):
    service.create_user(
        database, service.create_tenant(database, "acme").id, "a@b.example", PASSWORD, Role.VIEWER
    )

    muster("users", "grant", "a@b.example", "--tenant", "acme", "--role", "admin")
    muster("users", "password", "a@b.example", given="another good password\n")
    muster("users", "disable", "a@b.example")
    disabled = json.loads(muster("users", "list", "--json").stdout)
    muster("users", "enable", "a@b.example")

    assert [(user["role"], user["is_active"]) for user in disabled] == [("admin", False)]
    login = service.authenticate_password(database, "a@b.example", "another good password")
    assert login.role is Role.ADMIN


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (["users", "create", "a@b.example", "--tenant", "nix"], PASSWORD, "no tenant named 'nix'"),
        (["users", "create", "a@b.example", "--tenant", "acme"], "", "12 to 256 characters"),
        (["users", "create", "ab.example", "--tenant", "acme"], PASSWORD, "not an email address"),
        (["users", "disable", "a@b.example"], "", "no user with this email"),
        (["keys", "create", "k", "--tenant", "acme", "--scope", "kyc:x"], "", "Unknown scope"),
        (["keys", "revoke", "sk_nothing", "--tenant", "acme"], "", "has no such key"),
        (["token", "--tenant", "nix"], "", "no tenant named 'nix'"),
        (["lists", "show", "\udcff"], "", "not UTF-8 text"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(muster, database, arguments, given, said):
    service.create_tenant(database, "acme")

    failed = muster(*arguments, given=given, status=1)

    assert failed.stdout == ""
    assert failed.stderr.startswith("muster: ")
    assert said in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_a_new_key_is_alone_on_stdout_and_works(muster, database):
    tenant = service.create_tenant(database, "acme")

    made = muster("keys", "create", "nightly", "--tenant", "acme", "--role", "operator")

    caller = service.authenticate_key(database, made.stdout.strip())
    assert caller.tenant_id == tenant.id
    assert caller.permissions == PERMISSIONS[Role.OPERATOR]
    assert "cannot be shown again" in made.stderr
    assert service.service_uid(database, tenant.id) in made.stderr


def test_a_key_may_be_narrow_and_is_never_listed_whole(muster, database):
    service.create_tenant(database, "acme")
    made = json.loads(
        muster(
            *("keys", "create", "report", "--tenant", "acme", "--scope", "kyc:read"),
            *("--days", "90", "--allow-ip", "10.1.2.3/16", "--json"),
        ).stdout
    )

    shown = muster("keys", "list", "--tenant", "acme")
    listed = shown.stdout
    record = json.loads(muster("keys", "list", "--tenant", "acme", "--json").stdout)[0]

    assert made["key"].startswith(made["prefix"])
    assert made["prefix"] in listed
    assert made["key"] not in listed + json.dumps(record)
    assert "service uid of acme" in shown.stderr
    assert record["scopes"] == ["kyc:read"]
    assert record["allowed_ips"] == ["10.1.0.0/16"]
    assert record["state"] == "active"


def test_a_key_is_revoked_by_what_is_shown_of_it(muster, database):
    tenant = service.create_tenant(database, "acme")
    key, _ = service.create_key(database, tenant.id, "old", ["kyc:read"])
    other, secret = service.create_key(database, tenant.id, "new", ["kyc:read"])

    muster("keys", "revoke", f"{key.prefix}…", "--tenant", "acme")
    muster("keys", "revoke", secret, "--tenant", "acme")

    assert [k.revoked_at is not None for k in service.list_keys(database, tenant.id)] == [True] * 2
    assert other.id


def test_a_token_is_alone_on_stdout_and_says_who_may_what(muster, database, settings):
    tenant = service.create_tenant(database, "acme")

    made = muster("token", "--tenant", "acme", "--role", "viewer", "--hours", "2")

    caller = read_token(settings, made.stdout.strip())
    assert caller.tenant_id == tenant.id
    assert caller.permissions == PERMISSIONS[Role.VIEWER]
    assert made.stderr == ""


def test_a_token_makes_a_tenant_only_when_told_to(muster, database, settings):
    muster("token", status=1)
    assert service.list_tenants(database) == []

    made = muster("token", "--create")

    assert [tenant.name for tenant in service.list_tenants(database)] == ["demo"]
    assert read_token(settings, made.stdout.strip()).permissions == PERMISSIONS[Role.OPERATOR]


def test_the_sample_list_is_loaded_by_its_name_and_shown(muster, database):
    none = muster("lists", "show")
    loaded = muster("lists", "load", "sample")
    again = muster("lists", "load", "sample")
    shown = json.loads(muster("lists", "show", "--json").stdout)

    assert "muster lists load sample" in none.stderr
    assert re.search(r"^sample: version \S+ is in force, with \d+ entries", loaded.stdout)
    assert again.stdout.startswith("sample: unchanged since version ")
    assert [version["list"] for version in shown] == ["sample"]
    assert shown[0]["entries"] > 100
    assert "sample" in muster("lists", "show").stdout


def test_a_customers_own_list_is_loaded_from_csv_version_by_version(muster, database, tmp_path):
    file = tmp_path / "blocked.csv"
    file.write_text("id,type,name\n1,person,Ann Example\n2,organisation,Example Trading\n")
    muster("lists", "load", "internal", file, "--version", "1")
    file.write_text("id,type,name\n1,person,Ann Example\n3,vessel,Example Star\n")

    report = json.loads(
        muster("lists", "load", "internal", file, "--version", "2", "--json").stdout
    )
    versions = json.loads(muster("lists", "show", "internal", "--json").stdout)

    assert (report["added"], report["removed"], report["changed"]) == (1, 1, 0)
    assert [(v["version"], v["in_force"]) for v in versions] == [("2", True), ("1", False)]


def test_a_list_that_is_late_is_shown_as_stale(muster, database, tmp_path):
    file = tmp_path / "blocked.csv"
    file.write_text("id,name\n1,Ann Example\n")
    muster("lists", "load", "internal", file, "--topic", "pep")
    with database.transaction() as tx:
        tx.execute("UPDATE watchlists SET loaded_at = loaded_at - interval '2 days'")
        tx.execute("UPDATE watchlist_refreshes SET refreshed_at = NULL")
    due = {"MUSTER_LIST_INTERVALS": "internal=1d"}

    table = muster("lists", "show", **due)
    (shown,) = json.loads(muster("lists", "show", "--json", **due).stdout)
    (unwatched,) = json.loads(muster("lists", "show", "--json").stdout)
    muster("lists", "load", "internal", file)
    (fresh,) = json.loads(muster("lists", "show", "--json", **due).stdout)

    assert "STALE" in table.stdout
    assert "internal is stale: it was not refreshed in time." in table.stderr
    assert (shown["stale"], shown["topics"]) == (True, ["pep"])
    assert (unwatched["stale"], fresh["stale"]) == (False, False)


def test_a_list_that_is_refused_says_why_and_leaves_the_one_in_force(muster, database, tmp_path):
    file = tmp_path / "list.csv"
    rows = [f"{n},person,Example Person {n}\n" for n in range(10)]
    file.write_text("id,type,name\n" + "".join(rows))
    muster("lists", "load", "internal", file)
    file.write_text("id,type,name\n" + "".join(rows[:5]))

    shrunk = muster("lists", "load", "internal", file, status=1)
    in_force = json.loads(muster("lists", "show", "--json").stdout)
    muster("lists", "load", "internal", file, "--allow-shrink")

    assert "more than a fifth is gone" in shrunk.stderr
    assert [version["entries"] for version in in_force] == [10]
    assert json.loads(muster("lists", "show", "--json").stdout)[0]["entries"] == 5


def test_a_list_is_changed_by_a_delta(muster, database, tmp_path):
    one = '{"id": "Q-1", "schema": "Person", "properties": {"name": ["Ann Example"]}}'
    two = '{"id": "Q-2", "schema": "Vessel", "properties": {"name": ["Example Star"]}}'
    whole, delta = tmp_path / "entities.ftm.json", tmp_path / "entities.delta.json"
    whole.write_text(one + "\n")
    delta.write_text('{"op": "ADD", "entity": ' + two + "}\n")
    muster("lists", "load", "opensanctions", whole, "--version", "1")

    told = muster("lists", "load", "opensanctions", "--delta", "--base", "1", delta)

    assert "2 entries (1 added, 0 removed, 0 changed)" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["load", "internal"], 2, "say which files to load"),
        (["load", "internal", "none.csv"], 2, "does not exist"),
        (["load", "No Name", "."], 1, "a list's name is"),
        (["load", "internal", ".", "--topic", "gossip"], 1, "a topic is one of"),
        (["show", "internal"], 1, "No version of the list 'internal' is loaded."),
        (["show", "internal", "--json"], 1, "No version of the list 'internal' is loaded."),
        (["update"], 1, "No list that is loaded can be fetched"),
        (["update", "canada"], 1, "Not updated: canada."),
        (["load", "opensanctions", "--delta"], 2, "--delta takes the delta files"),
        (["load", "opensanctions", ".", "--base", "1"], 2, "--base goes with --delta"),
        (["load", "opensanctions", "--delta", "."], 1, "name the delta files themselves"),
    ],
)
def test_what_cannot_be_done_with_a_list_is_said(muster, database, arguments, status, said):
    assert said in muster("lists", *arguments, status=status).stderr


def read_token(settings, text):
    from flask import Flask

    app = Flask("test")
    tokens.configure(app, settings)
    with app.app_context():
        return tokens.read_access(text)


# --- when what answers is not Muster, or nothing does ---------------------------------------------


@pytest.fixture
def stranger():
    """A server that is not ours, and says what it is told to."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            server.authorizations.append(self.headers["Authorization"])
            path = self.path.partition("?")[0]
            self.wfile.write(server.results if path.endswith("/results") else server.reply)
            self.close_connection = True

        do_GET = do_POST = answer  # the names that http.server looks for

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.reply = server.results = b""
        server.authorizations = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\n<p/>", "502 Bad Gateway"),
        (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\n<p/>",
            "not as Muster does",
        ),
        (
            b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\n{"a": "bcd"}',
            "does not understand",
        ),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://elsewhere/\r\n\r\n", "on to https://elsewhere/"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 400\r\n\r\n{}", "broke off"),
        (b"", "No server answers"),
        (b"\x00\x01\x02\r\n\r\n", "No server answers"),
    ],
)
def test_an_answer_that_is_not_ours_is_a_sentence(muster, stranger, reply, said):
    stranger.reply = reply

    failed = muster("jobs", MUSTER_URL=stranger.url, MUSTER_TOKEN="t", status=1)

    assert said in failed.stderr
    assert failed.stderr.startswith("muster: ")
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("env", "status", "said"),
    [
        ({"MUSTER_URL": "http://127.0.0.1:1", "MUSTER_TOKEN": "t"}, 1, "No server answers at"),
        ({"MUSTER_URL": "http://127.0.0.1:1"}, 1, "No token"),
        ({"MUSTER_URL": "http://127.0.0.1:1", "MUSTER_TOKEN": "a\nb"}, 1, "no token has"),
        ({"MUSTER_URL": "http://[::1", "MUSTER_TOKEN": "t"}, 1, "no valid address"),
        ({"MUSTER_URL": "localhost", "MUSTER_TOKEN": "t"}, 2, "--url is an address"),
    ],
)
def test_a_wrong_address_or_token_is_a_sentence(muster, env, status, said):
    assert said in muster("jobs", status=status, **env).stderr


def test_a_token_meant_for_one_server_is_not_replaced_by_a_netrc(muster, stranger, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    stranger.reply = (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\n" + b'{"data": []}'
    )

    muster("jobs", MUSTER_URL=stranger.url, MUSTER_TOKEN="mine", HOME=str(tmp_path))

    assert stranger.authorizations == ["Bearer mine"]


def test_results_that_break_off_leave_no_file(muster, stranger, tmp_path):
    stranger.reply = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    stranger.results = (
        b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 400\r\n\r\n{"index": 0'
    )

    failed = muster(
        *("show", "550e8400-e29b-41d4-a716-446655440000", "--output", "r.jsonl"),
        MUSTER_URL=stranger.url,
        MUSTER_TOKEN="t",
        status=1,
    )

    assert "broke off" in failed.stderr
    assert list(tmp_path.iterdir()) == []


# --- against the API, with real workers -----------------------------------------------------------

#: Misspelt, reordered and unlisted. The first two are on the list that comes with Muster.
PEOPLE = """\
entity_id,full_name,birth_date,nationality
e1,Vladmir Putin,1952-10-07,RU
e2,"MADURO MOROS, Nicolas",,VE
e3,Emma Watkinson,1990-05-05,GB
"""


class Server:
    """`muster serve`, as its administrator starts it."""

    def __init__(self, settings, folder):
        self.env = {**os.environ, **settings.to_env(), "PYTHONPATH": str(ROOT)}
        self.folder = folder
        self.port = embedded.free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self):
        arguments = ("serve", "--port", str(self.port), "--workers", "1", "--threads", "4")
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", *arguments],
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        until(self.answers, STARTING_SECONDS, lambda: (self.folder / "server.log").read_text())
        return self

    def answers(self):
        assert self.process.poll() is None, (self.folder / "server.log").read_text()
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def server(settings, tmp_path_factory):
    server = Server(settings, tmp_path_factory.mktemp("server")).start()
    yield server
    server.stop()


@pytest.fixture
def client(server, environment, muster, database, settings, tmp_path):
    """A client's shell: an address and a key, and nothing of the server's."""
    load_list(database, "sample", WATCHLIST, index_dir=settings.index_dir)
    tenant = service.create_tenant(database, "acme")
    _, key = service.create_key(database, tenant.id, "cli", PERMISSIONS[Role.OPERATOR])
    for name in ("DATABASE_URL", "REDIS_URL", "MUSTER_JWT_SECRET"):
        del environment[name]
    environment.update(MUSTER_URL=server.url, MUSTER_TOKEN=key)
    (tmp_path / "people.csv").write_text(PEOPLE)
    return muster


@pytest.fixture
def api(client, server, environment):
    """Call the server as another client of the same tenant."""
    headers = {"Authorization": f"Bearer {environment['MUSTER_TOKEN']}"}

    def call(method: str, path: str, body: object = None) -> requests.Response:
        answer = requests.request(method, server.url + path, json=body, headers=headers, timeout=20)
        answer.raise_for_status()
        return answer

    return call


def test_a_verification_is_written_run_shown_and_recorded(client, worker, tmp_path):
    worker()
    body = {
        "type": "trust",
        "name": "Ploughwright Family Trust",
        "stakeholders": [
            {"role": "trustee", "entity": {"type": "individual", "name": "Ramzan Kadyrov"}}
        ],
    }
    (tmp_path / "trust.json").write_text(json.dumps(body))

    trace = client("verify", "create", "trust.json").stdout.strip()
    before = client("verify", "show", trace)
    done = client("verify", "run", trace)
    client("verify", "record", trace, "--output", "record.html")
    client("verify", "record", trace, "--output", "record.json")
    again = client("verify", "create", "-", "--run", given='{"type": "company", "name": "Nobody"}')

    assert "Not screened yet" in before.stderr
    assert re.search(r"risk +Critical", done.stdout)
    assert re.search(r"trustee +Ramzan Kadyrov +sample", done.stdout)
    assert "No match on 1 subject." in again.stdout
    assert json.loads((tmp_path / "record.json").read_text())["isIntact"]
    assert "Ramzan Kadyrov" in (tmp_path / "record.html").read_text()
    assert json.loads(client("verify", "show", trace, "--json").stdout)["trace"] == trace


def test_who_waits_for_a_run_that_is_paused_is_told_how_it_goes_on(client, worker, api):
    made = api("POST", "/v5/verifications", {"type": "company", "name": "Nobody"})
    trace = made.json()["data"]["trace"]
    begun = api("POST", f"/v5/verifications/{trace}/watchlist")
    native = begun.headers["Operation-Location"]
    api("POST", f"{native}/pause")

    waited = client("verify", "run", trace, status=1)

    found = re.search(r"is paused\. Go on with: muster resume (\S+);", waited.stderr)
    assert found, waited.stderr
    assert begun.json()["data"]["jobId"] in waited.stderr
    assert "is in flight; waiting for that one" in waited.stderr
    client("resume", found[1])
    worker()
    assert "No match on 1 subject." in client("verify", "run", trace).stdout


def test_what_is_wrong_with_a_verification_is_said_line_by_line(client):
    wrong = client("verify", "create", "-", given='{"stakeholders": [{}]}', status=1)

    assert "stakeholders.0.role: Missing data" in wrong.stderr
    assert "is not JSON" in client("verify", "create", "-", given="{", status=1).stderr
    assert "No such verification" in client("verify", "run", "nothing", status=1).stderr
    assert client("verify", "record", "x", "--output", "x.doc", status=2).stdout == ""


def test_a_file_is_submitted_watched_and_its_results_are_written(client, worker, tmp_path):
    worker()

    done = client("submit", "people.csv", "--output", "results.csv")

    found = list(csv.DictReader((tmp_path / "results.csv").read_text("utf-8").splitlines()))
    assert {row["entity_id"]: row["is_match"] for row in found} == {
        "e1": "true",
        "e2": "true",
        "e3": "false",
    }
    assert re.search(r"Status +completed", done.stdout)
    assert re.search(r"e1 +Vladmir Putin +\d+ +[01]\.\d{4} +sample +.*Putin", done.stdout)
    assert not re.search(r"^e3\b", done.stdout, re.MULTILINE)
    assert "3 of 3 screened (100 %)" in done.stderr
    assert sorted(p.name for p in tmp_path.glob("*.csv*")) == ["people.csv", "results.csv"]


def test_json_goes_to_stdout_alone_and_results_to_json_lines(client, worker, tmp_path):
    worker()

    job = json.loads(client("submit", "people.csv", "--json", "--output", "r.jsonl").stdout)

    results = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text("utf-8").splitlines()]
    assert job["job_status"] == "completed"
    assert job["total_entities"] == 3
    assert "results" not in job
    assert [result["is_match"] for result in results] == [True, True, False]
    assert client("show", job["job_id"], "--results").stdout == (tmp_path / "r.jsonl").read_text()


def test_one_name_is_screened_at_once(client, worker):
    worker()

    table = client("screen", "Vladmir Putin", "--birth-date", "1952", "--list", "sample").stdout
    answer = json.loads(client("screen", "Emma Watkinson", "--json").stdout)

    assert "Putin" in table
    assert answer["data"]["summary"]["total_matches"] == 0
    assert "No match on 1 list" in client("screen", "Emma Watkinson").stdout


def test_a_person_is_shown_how_a_score_comes_about(client, worker):
    worker()

    told = client("screen", "Vladmir Putin", "--birth-date", "1952", "--explain").stdout
    job = json.loads(client("submit", "people.csv", "--json").stdout)["job_id"]
    kept = client("show", job, "--explain", "e1").stdout
    nobody = client("show", job, "--explain", "e3")
    unknown = client("show", job, "--explain", "e4", status=1)

    for text in (told, kept):
        assert re.search(r"^sample [-\d]+, entry ofac-35096, Vladimir", text, re.MULTILINE)
        assert re.search(r"words +vladmir = vladimir \(sound\) +0\.88 x 1 +0\.8800", text)
        assert re.search(r"mean +of the words +1\.8800 / 2 +0\.9400", text)
        assert re.search(r"score +the sum of the parts +0\.9\d{3}", text)
    assert re.search(r"part +nationality is not known +-0\.04 x \(1 - 0\) x 0\.0", told)
    assert "is not known" not in kept
    assert (nobody.stdout, "no match" in nobody.stderr) == ("", True)
    assert "no result of an entity with this entity_id" in unknown.stderr


def test_a_large_file_is_split_only_when_told_to(client, worker, tmp_path):
    lines = [
        json.dumps({"entity_id": f"e{n}", "full_name": f"Ordinary{n} Person"})
        for n in range(10_003)
    ]
    (tmp_path / "many.jsonl").write_text("\n".join(lines))

    refused = client("submit", "many.jsonl", status=1)
    assert "at most 10,000 entities, and these are 10,003; with --split they become 2 jobs" in (
        refused.stderr
    )

    worker()
    client("submit", "many.jsonl", "--split", "--output", "r.jsonl", "--json")

    assert len((tmp_path / "r-1.jsonl").read_text().splitlines()) == 10_000
    assert len((tmp_path / "r-2.jsonl").read_text().splitlines()) == 3


def test_what_the_server_finds_wrong_is_said_by_the_line_of_the_file(client, tmp_path):
    (tmp_path / "wrong.csv").write_text(
        "entity_id,full_name,birth_date,lists\n\ne1,A Person,1980,\ne1,B Person,31/12/1980,offac\n"
    )

    failed = client("submit", "wrong.csv", status=1)

    assert "wrong.csv, line 4" in failed.stderr
    assert "birth_date" in failed.stderr
    assert failed.stdout == ""


def test_lenient_screens_the_valid_and_says_how_many_are_not(client, worker, tmp_path):
    worker()
    (tmp_path / "mixed.csv").write_text(
        "entity_id,full_name,birth_date\ne1,Vladmir Putin,1952\ne2,B Person,31/12/1980\n"
    )

    done = client("submit", "mixed.csv", "--lenient")

    assert re.search(r"Failed +1\n", done.stdout)
    assert "1 entity could not be screened; the first: " in done.stderr
    assert "birth_date" in done.stderr


@pytest.mark.parametrize("line", ["e2,B Person,1980,one cell too many", 'e2,"B Person,1980'])
def test_lenient_is_no_licence_for_a_file_that_cannot_be_read(client, tmp_path, line):
    (tmp_path / "torn.csv").write_text(
        f"entity_id,full_name,birth_date\ne1,Vladmir Putin,1952\n{line}\n"
    )

    failed = client("submit", "torn.csv", "--lenient", status=1)

    assert "torn.csv, line 3" in failed.stderr
    assert json.loads(client("jobs", "--json").stdout) == []


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_job_of_which_no_entity_could_be_screened_is_no_success(
    client, worker, tmp_path, options
):
    worker()
    (tmp_path / "wrong.csv").write_text("full_name,birth_date\nA Person,31/12/1980\n")

    failed = client("submit", "wrong.csv", "--lenient", *options, status=1)

    assert "could not screen a single entity" in failed.stderr
    assert failed.stdout


def test_a_list_that_is_not_loaded_is_no_success_either(client, worker):
    worker()

    failed = client("submit", "people.csv", "--list", "un", status=1)

    assert "3 entities could not be screened; the first: List un is not loaded." in failed.stderr
    assert "could not screen a single entity" in failed.stderr


@pytest.mark.parametrize("name", ["people.csv", "./people.csv", "link.csv"])
def test_the_results_never_replace_what_they_are_of(client, tmp_path, name):
    (tmp_path / "link.csv").symlink_to("people.csv")

    refused = client("submit", "people.csv", "--output", name, status=2)

    assert "the very file to be screened" in refused.stderr
    assert (tmp_path / "people.csv").read_text() == PEOPLE
    assert json.loads(client("jobs", "--json").stdout) == []


def test_the_results_of_several_jobs_never_replace_what_they_are_of(client, tmp_path):
    text = "full_name\n" + "A Person\n" * 10_001
    (tmp_path / "r-2.csv").write_text(text)

    refused = client("submit", "r-2.csv", "--split", "--output", "r.csv", status=2)

    assert "would replace r-2.csv" in refused.stderr
    assert (tmp_path / "r-2.csv").read_text() == text


def test_ctrl_c_stops_the_waiting_and_not_the_job(client, start):
    process = start("submit", "people.csv")
    job_id = re.search(r"as job ([0-9a-f-]{36})", process.stderr.readline())[1]

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert f"The job goes on; look at it with: muster show {job_id}" in err
    assert "Traceback" not in err
    assert json.loads(client("show", job_id, "--json").stdout)["job_status"] == "processing"


def test_a_job_left_to_the_server_is_listed_shown_cancelled_and_retried(client, worker, tmp_path):
    first = client("submit", "people.csv", "--no-wait").stdout.strip()
    second = client("submit", "people.csv", "--no-wait").stdout.strip()

    listed = json.loads(client("jobs", "--json").stdout)
    assert [job["external_id"] for job in listed] == [second, first]
    assert first in client("jobs", "--status", "processing").stdout
    assert client("jobs", "--status", "completed").stdout == ""
    assert len(json.loads(client("jobs", "--limit", "1", "--json").stdout)) == 1

    assert "ancel" in client("cancel", first).stdout
    assert "cancelled" in client("show", first).stdout
    again = client("cancel", first, status=1)
    assert again.stderr.startswith("muster: ")

    retried = client("retry", first).stdout.strip()
    assert retried not in {first, second}
    worker()
    until(
        lambda: json.loads(client("show", retried, "--json").stdout)["job_status"] == "completed",
        30,
    )
    client("show", retried, "--output", "results.csv")
    assert "Vladimir" in (tmp_path / "results.csv").read_text()
    assert re.search(r"Retry of +" + first, client("show", retried).stdout)


def test_a_job_is_paused_and_resumed(client, worker):
    job = client("submit", "people.csv", "--no-wait").stdout.strip()

    paused = client("pause", job)
    assert re.fullmatch(r"Paused at 0 of \d+ items?\.\n", paused.stdout)
    assert f"muster resume {job}" in paused.stderr
    again = client("pause", job, status=1)
    assert again.stderr == "muster: A paused job cannot be paused.\n"
    assert "(paused)" in client("show", job).stdout
    native = json.loads(client("resume", job, "--json").stdout)
    assert native["status"] == "queued"
    worker()

    until(
        lambda: (
            json.loads(client("show", native["id"], "--json").stdout)["job_status"] == "completed"
        ),
        30,
    )
    assert client("resume", job, status=1).stderr == "muster: A completed job cannot be resumed.\n"


@pytest.fixture
def tag(environment):
    """Start a job of document tagging and return its id: `tag("first", [{...}])`."""

    def run(name, documents):
        answer = requests.post(
            f"{environment['MUSTER_URL']}/api/batch/start",
            json={"job_id": name, "config": {"num_tags": 5}, "documents": documents},
            headers={"Authorization": f"Bearer {environment['MUSTER_TOKEN']}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        return name

    return run


FINED = {"title": "Fined", "text": "The bank was fined for money laundering in Riga."}


def test_jobs_of_all_kinds_are_listed_together_or_by_kind(client, tag):
    screening = client("submit", "people.csv", "--no-wait").stdout.strip()
    tag("nightly", [FINED] * 2)

    table = client("jobs").stdout.splitlines()
    assert re.search(r"^[0-9a-f-]{36} +nightly +documents +queued +2 +0 +0 +- ", table[1])
    assert re.search(rf"^{screening} +- +kyc +queued +3 +0 +0 +0 ", table[2])
    for kind, name in (("documents", "nightly"), ("kyc", screening)):
        (only,) = json.loads(client("jobs", "--kind", kind, "--json").stdout)
        assert only["external_id"] == name
    assert client("jobs", "--status", "cancelled").stdout == ""


def test_a_job_of_documents_is_watched_and_shown_with_its_tags(client, tag, worker, tmp_path):
    tag("nightly", [FINED, {"title": "Gone", "file_path": "nowhere/at-all.txt"}])
    (listed,) = json.loads(client("jobs", "--json").stdout)
    job = str(ids.parse(listed["id"]))
    assert re.search(r"Status +queued", client("show", job).stdout)
    worker()

    watched = client("watch", job)
    assert re.search(r"Status +completed", watched.stdout)
    assert "2 of 2 done (100 %), 1 failed, completed" in watched.stderr

    shown = client("show", job)
    assert re.search(r"Name +nightly\nKind +documents\nStatus +completed", shown.stdout)
    assert re.search(r"^0 +.*money laundering", shown.stdout, re.MULTILINE | re.IGNORECASE)
    assert "1 item failed; the first: " in shown.stderr
    assert json.loads(client("show", job, "--json").stdout)["counts"]["failed"] == 1
    client("show", job, "--output", "tags.jsonl")
    lines = (tmp_path / "tags.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["succeeded", "failed"]
    assert client("show", job, "--results").stdout.splitlines() == lines
    refused = client("show", job, "--explain", "0", status=1)
    assert "Only a screening job has scores to explain, and this one is documents." in (
        refused.stderr
    )


def test_a_job_that_was_not_completed_is_no_success_of_watching(client):
    job = client("submit", "people.csv", "--no-wait").stdout.strip()
    client("cancel", job)

    watched = client("watch", job, "--json", status=1)

    assert json.loads(watched.stdout)["status"] == "cancelled"
    assert watched.stderr.endswith("muster: The job did not complete: it is cancelled.\n")


def test_ctrl_c_stops_the_watching_and_not_the_job(client, start):
    job = client("submit", "people.csv", "--no-wait").stdout.strip()
    process = start("watch", job)
    assert "0 of 3 done (0 %), 0 failed, queued" in process.stderr.readline()

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 130
    assert f"The job goes on; look at it with: muster show {job}" in err
    assert json.loads(client("show", job, "--json").stdout)["job_status"] == "processing"


def test_who_may_only_tag_is_shown_jobs_of_documents_all_the_same(client, tag, database):
    tag("nightly", [FINED])
    tenant = service.get_tenant(database, "acme")
    _, narrow = service.create_key(database, tenant.id, "tags", ["documents:read", "jobs:read"])
    (listed,) = json.loads(client("jobs", "--json", MUSTER_TOKEN=narrow).stdout)

    assert "nightly" in client("show", listed["id"], MUSTER_TOKEN=narrow).stdout


def test_many_jobs_are_listed_page_by_page(client, environment):
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {environment['MUSTER_TOKEN']}"
        body = {"entities": [{"subject": {"full_name": "A Person"}}]}
        for _ in range(104):
            session.post(f"{environment['MUSTER_URL']}/kyc/jobs", json=body).raise_for_status()

    listed = json.loads(client("jobs", "--limit", "102", "--json").stdout)

    assert len({job["id"] for job in listed}) == 102


def test_a_server_that_restarts_is_waited_for(client, server, start, worker):
    process = start("submit", "people.csv")
    assert "as job" in process.stderr.readline()

    server.stop()
    assert any("Still trying; the job goes on." in line for line in process.stderr)
    server.start()
    worker()
    out, err = process.communicate(timeout=60)

    assert process.returncode == 0, err
    assert re.search(r"Status +completed", out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "550e8400-e29b-41d4-a716-446655440000"], "No such job"),
        (["cancel", "{550e8400e29b41d4a716446655440000}"], "No such job"),
        (["retry", "550E8400-E29B-41D4-A716-446655440000"], "No such job"),
        (["screen", "x", "--list", "offac"], "unknown list 'offac'"),
        (["screen", "x", "--birth-date", "yesterday"], "birth_date: must be a date"),
        (["screen", "x", "--nationality", "Russia"], "nationality: "),
    ],
)
def test_what_the_server_refuses_is_said_in_its_own_words(client, arguments, said):
    assert said in client(*arguments, status=1).stderr


def test_a_token_that_may_not_do_this_is_told_what_it_lacks(client, muster, database):
    tenant = service.get_tenant(database, "acme")
    _, viewer = service.create_key(database, tenant.id, "viewer", ["kyc:read"])

    refused = client("submit", "people.csv", MUSTER_TOKEN=viewer, status=1)
    unknown = client("jobs", MUSTER_TOKEN="sk_" + "x" * 43, status=1)

    assert "kyc:create" in refused.stderr
    assert "The API key is not valid." in unknown.stderr
    assert "x" * 43 not in unknown.stderr
