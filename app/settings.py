"""The only module that reads the environment.

Each field says which variable sets it, what it is when unset, and why it exists; docs/settings.md
is generated from here (`python -m app.settings > docs/settings.md`).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.errors import Misconfigured
from app.sealing import Sealer, parse_keys

#: Secrets that stand in somebody's documentation. None of them ever starts a server.
KNOWN_SECRETS = frozenset({"secret", "change-me", "changeme", "password", "muster", "dev"})
SECRET_LENGTH = 32


def _setting(
    variable: str, parse: Callable[[str], Any], why: str, default: Any = None, secret: bool = False
) -> Any:
    meta = {"variable": variable, "parse": parse, "why": why, "default": default, "secret": secret}
    return field(metadata=meta, repr=not secret)


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"must be between {low:,} and {high:,}")
        return value

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"must be between {low:g} and {high:g} seconds")
        return value

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"must be between {low:g} and {high:g}")
        return value

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of: {', '.join(words)}")
        return text

    return parse


def _environment(text: str) -> str:
    if text not in {"production", "development"}:
        raise ValueError("must be production or development")
    return text


def _secret(text: str) -> str:
    if len(text) < SECRET_LENGTH or text.lower() in KNOWN_SECRETS or len(set(text)) < 8:
        raise ValueError(
            f"must be a random text of at least {SECRET_LENGTH} characters; "
            "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    return text


def _secrets(text: str) -> str:
    for each in text.replace(",", " ").split():
        _secret(each)
    return text


_INTERVAL = re.compile(r"([a-z][a-z0-9_]{0,39})=([0-9]{1,6})([smhd])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def parse_intervals(text: str) -> dict[str, float]:
    """Return seconds by name of `ofac=12h un=1d`, or raise ValueError."""
    found: dict[str, float] = {}
    for each in text.replace(",", " ").split():
        parts = _INTERVAL.fullmatch(each)
        if parts is None or int(parts[2]) == 0:
            raise ValueError(f"{each!r} is not a list and an interval, such as ofac=12h")
        found[parts[1]] = int(parts[2]) * _UNITS[parts[3]]
    return found


def _intervals(text: str) -> str:
    parse_intervals(text)
    return text


_PERIOD = re.compile(r"([a-z]+)=(?:([0-9]{1,5})([dy])|(forever))")
_DAYS = {"d": 1.0, "y": 365.25}
_LONGEST_DAYS = 36_525.0

#: What may be set; how long the other kinds are kept is a promise of their APIs.
RETAINED = ("kyc", "documents")


def parse_retention(text: str) -> dict[str, float | None]:
    """Return seconds by kind of `kyc=5y documents=30d`, None for `forever`; or raise ValueError."""
    found: dict[str, float | None] = {}
    for each in text.replace(",", " ").split():
        parts = _PERIOD.fullmatch(each)
        if parts is None or (not parts[4] and int(parts[2]) == 0):
            raise ValueError(
                f"{each!r} is not a kind and a time, such as kyc=5y, documents=30d or kyc=forever"
            )
        if parts[1] not in RETAINED:
            raise ValueError(
                f"{each!r}: only {' and '.join(RETAINED)} can be set; faces are kept for 7 days,"
                " and the runs of a verification as long as the verification"
            )
        days = 0.0 if parts[4] else int(parts[2]) * _DAYS[parts[3]]
        if days > _LONGEST_DAYS:
            raise ValueError(f"{each!r} is more than 100 years; say {parts[1]}=forever")
        found[parts[1]] = days * 86_400.0 or None
    return found


def _retention(text: str) -> str:
    parse_retention(text)
    return text


def _payload_keys(text: str) -> str:
    parse_keys(text)
    return text


def _time_of_day(text: str) -> str:
    if text != "never" and not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError("must be a time such as 02:30, in UTC, or never")
    return text


def _reach(text: str) -> str:
    if text not in {"public", "listed", "none"}:
        raise ValueError("must be public, listed or none")
    return text


Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


def parse_hosts(text: str) -> tuple[list[Network], frozenset[str]]:
    """Return networks and host names of `files.intern 10.1.0.0/16`, or raise ValueError."""
    networks: list[Network] = []
    names: set[str] = set()
    for each in text.replace(",", " ").lower().split():
        try:
            networks.append(ipaddress.ip_network(each))
        except ValueError:
            # What has only digits and dots was meant as an address.
            if not _HOST.fullmatch(each) or not re.search("[a-z]", each):
                raise ValueError(f"{each!r} is neither a host name nor a network") from None
            names.add(each)
    return networks, frozenset(names)


def _hosts(text: str) -> str:
    parse_hosts(text)
    return text


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of `10.0.0.0/28 2001:db8::1`, or raise ValueError."""
    try:
        networks = tuple(ipaddress.ip_network(each) for each in text.replace(",", " ").split())
    except ValueError as error:
        raise ValueError(f"{error}; name addresses and networks, as 10.0.0.0/28") from None
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("a network of everybody would let everybody be anybody")
    return networks


def _networks(text: str) -> str:
    parse_networks(text)
    return text


_RATE = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,5})?([smhd])")


def parse_rate(text: str) -> tuple[int, int] | None:
    """Return how often in how many seconds of `1000/5m`, None of `off`, or raise ValueError."""
    if text == "off":
        return None
    parts = _RATE.fullmatch(text)
    if parts is None:
        raise ValueError("must be how often in what time, such as 1000/5m, or off")
    return int(parts[1]), int(parts[2] or 1) * int(_UNITS[parts[3]])


def _rate(text: str) -> str:
    parse_rate(text)
    return text


def _roots(text: str) -> str:
    for each in text.split(os.pathsep):
        if not Path(each).is_absolute():
            raise ValueError(f"{each!r} is no absolute path of a folder")
    return text


def _web_address(text: str) -> str:
    wrong = ValueError("must be an address such as https://live.example.org, without a query")
    try:
        url = urlsplit(text)
        _ = url.port  # raises where it is none
    except ValueError:
        raise wrong from None
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment:
        raise wrong
    return text.rstrip("/")


_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_.-]+)*/?")


def _bucket(text: str) -> str:
    if not _BUCKET.fullmatch(text):
        raise ValueError("must be an address such as s3://bucket/folder")
    return text.rstrip("/")


def _database_url(text: str) -> str:
    # Here, as a client that only needs the names of the settings should not load psycopg2.
    from app.db import is_address

    if not is_address(text):
        raise ValueError("must be an address such as postgresql://user:password@host:5432/name")
    return text


def _redis_url(text: str) -> str:
    wrong = ValueError("must be an address such as redis://:password@host:6379/0")
    try:
        url = urlsplit(text)
        _ = url.port  # raises where it is none
    except ValueError:
        # What it says quotes a part of the address, which may be of the password.
        raise wrong from None
    # No Unix socket: Celery knows it by another scheme than redis-py does.
    if url.scheme not in {"redis", "rediss"} or not re.fullmatch(r"/?\d*", url.path):
        raise wrong
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a deployment can change. Built once at the edge and passed in."""

    database_url: str = _setting(
        "DATABASE_URL",
        _database_url,
        "Postgres, as postgresql://user:password@host:port/name.",
        secret=True,
    )
    redis_url: str = _setting(
        "REDIS_URL",
        _redis_url,
        "Redis or Valkey, as redis://host:port/0.",
        secret=True,
    )
    jwt_secret: str = _setting(
        "MUSTER_JWT_SECRET",
        _secret,
        "Signs access tokens. Whoever knows it can be anybody: no default, and known or short"
        " values are refused.",
        secret=True,
    )
    jwt_previous_secrets: str = _setting(
        "MUSTER_JWT_PREVIOUS_SECRETS",
        _secrets,
        "What MUSTER_JWT_SECRET was before, with commas: signs nothing any more, and what it signed"
        " is believed until it expires. Leave it out again after MUSTER_REFRESH_TOKEN_SECONDS.",
        "",
        secret=True,
    )
    environment: str = _setting(
        "MUSTER_ENV",
        _environment,
        "`production` or `development`. Only development prints ready tokens.",
        "production",
    )
    flower_auth: str = _setting(
        "MUSTER_FLOWER_AUTH",
        str,
        "`user:password` for Flower, which does not start without it.",
        "",
        secret=True,
    )
    metrics_token: str = _setting(
        "MUSTER_METRICS_TOKEN",
        _secret,
        "What Prometheus sends to GET /metrics as a bearer token. Without it there are no metrics.",
        "",
        secret=True,
    )
    log_level: str = _setting("MUSTER_LOG_LEVEL", str, "DEBUG, INFO, WARNING or ERROR.", "INFO")

    access_token_seconds: int = _setting(
        "MUSTER_ACCESS_TOKEN_SECONDS",
        _whole(60, 86_400),
        "How long an access token is good for. It cannot be revoked sooner.",
        3600,
    )
    refresh_token_seconds: int = _setting(
        "MUSTER_REFRESH_TOKEN_SECONDS",
        _whole(60, 90 * 86_400),
        "How long a refresh token is good for.",
        7 * 86_400,
    )
    open_registration: str = _setting(
        "MUSTER_OPEN_REGISTRATION",
        _one_of("auto", "on", "off"),
        "Whether anybody may make an account (POST /api/auth/register): `on`, `off`, or"
        " `auto`, which is on in development only.",
        "auto",
    )
    max_documents: int = _setting(
        "MUSTER_MAX_DOCUMENTS", _whole(1, 10_000), "Documents in one tagging job.", 5_000
    )
    max_body_bytes: int = _setting(
        "MUSTER_MAX_BODY_BYTES",
        _whole(1_000, 1_000_000_000),
        "A larger JSON body is answered 413 before it is read to its end.",
        32 * 1024 * 1024,
    )
    max_entities: int = _setting(
        "MUSTER_MAX_ENTITIES", _whole(1, 10_000), "Entities in one job.", 10_000
    )
    sync_seconds: float = _setting(
        "MUSTER_SYNC_SECONDS",
        _seconds(0.1, 60),
        "How long a single check waits for its result before it is cancelled and answered 503.",
        10.0,
    )
    held_polls: int = _setting(
        "MUSTER_HELD_POLLS",
        _whole(0, 1_000),
        "Polls with `Prefer: wait` that each web process holds at once, of all tenants together;"
        " more of them are answered at once. Each keeps a thread, so never more than half of"
        " MUSTER_WEB_THREADS.",
        4,
    )
    db_connections: int = _setting(
        "MUSTER_DB_CONNECTIONS",
        _whole(1, 200),
        "Postgres connections one process may hold. At least one for each web thread.",
        8,
    )
    redis_timeout: float = _setting(
        "MUSTER_REDIS_TIMEOUT",
        _seconds(0.05, 10),
        "How long the web waits for Redis before it does without.",
        0.5,
    )

    rate_address: str = _setting(
        "MUSTER_RATE_ADDRESS",
        _rate,
        "Requests from one address (of IPv6: one /64), with or without a token, as `1000/5m`; more"
        " are answered 429. `off` for none.",
        "1000/5m",
    )
    rate_tenant: str = _setting(
        "MUSTER_RATE_TENANT",
        _rate,
        "Requests of one tenant, from wherever; `off` for none.",
        "10000/5m",
    )
    rate_failures: str = _setting(
        "MUSTER_RATE_FAILURES",
        _rate,
        "Wrong keys, tokens and passwords from one address. More are answered 429; whoever shows a"
        " right key is let in all the same. `off` for none.",
        "100/5m",
    )
    rate_logins: str = _setting(
        "MUSTER_RATE_LOGINS",
        _rate,
        "Wrong passwords for one account from one address, and ten times as many from addresses"
        " where nobody has signed in to it of late. `off` for none.",
        "10/5m",
    )
    proxies: str = _setting(
        "MUSTER_PROXIES",
        _networks,
        "Addresses and networks of your own proxies, as `10.0.0.0/28 2001:db8::1`. X-Forwarded-For"
        " and -Proto are believed from them only; without it from nobody.",
        "",
    )

    live_url: str = _setting(
        "MUSTER_LIVE_URL",
        _web_address,
        "Where callers reach the process `live`, as https://host: the web sends those who want a"
        " stream there. Without it they are told to ask elsewhere, as behind a proxy that knows.",
        "",
    )
    live_heartbeat_seconds: float = _setting(
        "MUSTER_LIVE_HEARTBEAT_SECONDS",
        _seconds(0.1, 300),
        "After so much silence a stream shows that it lives, and a WebSocket after twice as much."
        " Shorter than what any proxy on the way waits for.",
        15.0,
    )
    live_connections: int = _setting(
        "MUSTER_LIVE_CONNECTIONS",
        _whole(1, 100_000),
        "Clients that one process `live` serves at a time; others wait for a place.",
        2_000,
    )

    chunk_size: int = _setting(
        "MUSTER_CHUNK_SIZE",
        _whole(1, 10_000),
        "Entities that one screening task takes. Larger costs less, smaller spreads better.",
        250,
    )
    worker_processes: int = _setting(
        "MUSTER_WORKER_PROCESSES",
        _whole(1, 1_024),
        "Procfile: processes of one worker, one a core. The first estimates count on one worker.",
        2,
    )
    chunk_seconds: float = _setting(
        "MUSTER_CHUNK_SECONDS",
        _seconds(0.5, 600),
        "A chunk hands back the rest after this much work, so that a lost worker costs little.",
        10.0,
    )
    flush_seconds: float = _setting(
        "MUSTER_FLUSH_SECONDS",
        _seconds(0.05, 10),
        "How often a chunk saves its results, counts them, and looks whether to stop.",
        0.5,
    )
    item_memory_bytes: int = _setting(
        "MUSTER_ITEM_MEMORY_BYTES",
        _whole(50_000_000, 1_000_000_000_000),
        "What the items that a screening process has in hand may take beyond what it holds, as"
        " indexes. More fails the item, and not the machine (on Linux).",
        1024 * 1024 * 1024,
    )
    claim_seconds: float = _setting(
        "MUSTER_CLAIM_SECONDS",
        _seconds(1, 600),
        "How long a chunk stays claimed by a worker that no longer speaks. Longer than the"
        " slowest item, shorter than the visibility timeout.",
        15.0,
    )
    visibility_timeout: float = _setting(
        "MUSTER_VISIBILITY_TIMEOUT",
        _seconds(2, 3600),
        "Seconds until Redis hands an unacknowledged chunk to another worker. Longer than a"
        " chunk works plus one item.",
        25.0,
    )
    max_attempts: int = _setting(
        "MUSTER_MAX_ATTEMPTS",
        _whole(1, 10),
        "How often an item may take its worker down before it fails as attempts_exhausted.",
        3,
    )
    sweep_seconds: float = _setting(
        "MUSTER_SWEEP_SECONDS", _seconds(0.2, 300), "How often the sweep looks for lost work.", 5.0
    )
    stale_seconds: float = _setting(
        "MUSTER_STALE_SECONDS",
        _seconds(0.5, 3600),
        "A job whose heart has not beaten for this long is looked into by the sweep.",
        10.0,
    )
    worker_grace_seconds: float = _setting(
        "MUSTER_WORKER_GRACE_SECONDS",
        _seconds(0, 600),
        "How long a worker told to stop lets its chunks run on before it hands them back. Keep"
        " it under the stop grace of whatever runs the worker.",
        3.0,
    )
    index_dir: Path = _setting(
        "MUSTER_INDEX_DIR",
        Path,
        "Where workers keep the indexes they build; may be deleted at any time.",
        Path("var/index"),
    )
    list_max_bytes: int = _setting(
        "MUSTER_LIST_MAX_BYTES",
        _whole(1_000, 10_000_000_000),
        "A list file larger than this is refused.",
        512 * 1024 * 1024,
    )
    list_timeout: float = _setting(
        "MUSTER_LIST_TIMEOUT",
        _seconds(0.1, 3600),
        "How long a publisher may stay silent before a download is given up.",
        30.0,
    )

    own_lists: int = _setting(
        "MUSTER_OWN_LISTS",
        _whole(0, 1_000),
        "How many lists of its own a tenant may have.",
        10,
    )
    own_list_max_bytes: int = _setting(
        "MUSTER_OWN_LIST_MAX_BYTES",
        _whole(1_000, 1_000_000_000),
        "An uploaded list larger than this is answered 413, and never more than"
        " MUSTER_MAX_BODY_BYTES.",
        16 * 1024 * 1024,
    )
    own_list_max_entries: int = _setting(
        "MUSTER_OWN_LIST_MAX_ENTRIES",
        _whole(1, 1_000_000),
        "Entries of one uploaded list. The first job that uses a version waits for its index.",
        50_000,
    )
    list_intervals: str = _setting(
        "MUSTER_LIST_INTERVALS",
        _intervals,
        "How often which lists are fetched from their publishers, as `ofac=12h un=1d`; units are"
        " s, m, h and d. A list that was not refreshed for longer is shown as stale, also one that"
        " is loaded from files. Without it nothing is fetched by itself.",
        "",
    )
    list_check_seconds: float = _setting(
        "MUSTER_LIST_CHECK_SECONDS",
        _seconds(0.2, 86_400),
        "How often it is looked which lists are due. One that failed is tried again after this"
        " long.",
        300.0,
    )
    monitor_seconds: float = _setting(
        "MUSTER_MONITOR_SECONDS",
        _seconds(0.2, 86_400),
        "How often it is looked which monitored watchlists are due to be checked, which checks"
        " have ended, and which lists have changed.",
        15.0,
    )

    payload_keys: str = _setting(
        "MUSTER_PAYLOAD_KEYS",
        _payload_keys,
        "Keys that what items hold and their results are encrypted with in Postgres, as `id:base64,"
        "id:base64` of 32 random bytes each; the first one writes, each reads. With the extra"
        " `[crypto]` on every program. Without it nothing is encrypted (docs/data-protection.md).",
        "",
        secret=True,
    )
    retention: str = _setting(
        "MUSTER_RETENTION",
        _retention,
        "How long jobs are kept after their end, as `kyc=5y documents=30d`; units are d and y, or"
        " `forever`. What is not named is as here. A tenant may have another time: `muster tenants"
        " retention` (docs/data-protection.md).",
        "kyc=5y documents=30d",
    )
    prune_at: str = _setting(
        "MUSTER_PRUNE_AT",
        _time_of_day,
        "When in the night, in UTC, what is kept no longer is deleted; `never` leaves that to"
        " `muster prune`.",
        "02:30",
    )

    document_max_bytes: int = _setting(
        "MUSTER_DOCUMENT_MAX_BYTES",
        _whole(1_000, 1_000_000_000),
        "A document larger than this is not read: its item fails, its upload is answered 413.",
        20 * 1024 * 1024,
    )
    document_max_chars: int = _setting(
        "MUSTER_DOCUMENT_MAX_CHARS",
        _whole(1_000, 50_000_000),
        "Text of a document beyond so many characters is left out, and the result says so.",
        1_000_000,
    )
    document_seconds: float = _setting(
        "MUSTER_DOCUMENT_SECONDS",
        _seconds(0.5, 300),
        "CPU and wall-clock time to get the text of one document. With"
        " MUSTER_DOCUMENT_FETCH_SECONDS it should stay below MUSTER_CLAIM_SECONDS.",
        5.0,
    )
    document_memory_bytes: int = _setting(
        "MUSTER_DOCUMENT_MEMORY_BYTES",
        _whole(100_000_000, 100_000_000_000),
        "Address space of the process that reads a document.",
        512 * 1024 * 1024,
    )
    document_fetch_seconds: float = _setting(
        "MUSTER_DOCUMENT_FETCH_SECONDS",
        _seconds(0.1, 300),
        "How long fetching one document from a URL may take, with all redirects.",
        8.0,
    )
    document_urls: str = _setting(
        "MUSTER_DOCUMENT_URLS",
        _reach,
        "Which URLs documents may be fetched from: `public` addresses and what"
        " MUSTER_DOCUMENT_HOSTS lists, only what is `listed`, or `none`.",
        "public",
    )
    document_hosts: str = _setting(
        "MUSTER_DOCUMENT_HOSTS",
        _hosts,
        "Host names and networks from which documents may be fetched although they are not public,"
        " as `files.intern 10.1.0.0/16`. Every tenant can then read what they serve.",
        "",
    )
    document_roots: str = _setting(
        "MUSTER_DOCUMENT_ROOTS",
        _roots,
        "Folders whose files may be tagged by path, with `:` between them; `{tenant}` stands for"
        " the tenant's id. Without it every tenant can read what is there. None: no local files.",
        "",
    )
    upload_seconds: int = _setting(
        "MUSTER_UPLOAD_SECONDS",
        _whole(60, 90 * 86_400),
        "How long an uploaded document is kept. While a job that names it lives, it stays.",
        86_400,
    )
    uploads_max_bytes: int = _setting(
        "MUSTER_UPLOADS_MAX_BYTES",
        _whole(1_000, 1_000_000_000_000),
        "What one tenant's uploaded documents may take together.",
        1024 * 1024 * 1024,
    )
    document_chunk_size: int = _setting(
        "MUSTER_DOCUMENT_CHUNK_SIZE",
        _whole(1, 1_000),
        "Documents that one tagging task takes. Small, so that a pause and a lost worker cost"
        " little.",
        4,
    )
    tagging_providers: str = _setting(
        "MUSTER_TAGGING_PROVIDERS",
        str,
        "Models that jobs may name: a JSON object, or the path of a file that holds one"
        " (docs/tagging.md). Only what stands here is ever called.",
        "",
    )
    tagging_seconds: float = _setting(
        "MUSTER_TAGGING_SECONDS",
        _seconds(0.5, 600),
        "How long a remote model may take for one document, all tries together. Never longer"
        " than MUSTER_CLAIM_SECONDS leaves it: for a slow model raise that one too.",
        10.0,
    )

    face_image_max_bytes: int = _setting(
        "MUSTER_FACE_IMAGE_MAX_BYTES",
        _whole(1_000, 50_000_000),
        "An image larger than this is not kept: its item fails as image_too_large.",
        10 * 1024 * 1024,
    )
    face_image_seconds: float = _setting(
        "MUSTER_FACE_IMAGE_SECONDS",
        _seconds(0.5, 60),
        "CPU and wall-clock time to decode one image. Well below MUSTER_CLAIM_SECONDS.",
        3.0,
    )
    face_store: str = _setting(
        "MUSTER_FACE_STORE",
        _bucket,
        "Where images wait for their turn: `s3://bucket`, or `s3://bucket/folder`, of an"
        " S3-compatible store, with the extra `[s3]` on web, faces and control; without it in"
        " Postgres.",
        "",
    )
    s3_endpoint: str = _setting(
        "MUSTER_S3_ENDPOINT",
        _web_address,
        "The address of the store, as https://minio.example.org; without it Amazon's. Its keys and"
        " region are read as by every program: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,"
        " AWS_DEFAULT_REGION.",
        "",
    )
    face_images_max_bytes: int = _setting(
        "MUSTER_FACE_IMAGES_MAX_BYTES",
        _whole(1_000, 1_000_000_000_000),
        "What one tenant's images that wait for their turn may take together.",
        10 * 1024 * 1024 * 1024,
    )
    faces_max: int = _setting(
        "MUSTER_FACES_MAX",
        _whole(1, 100_000_000),
        "How many faces one tenant may keep, in all of its collections.",
        1_000_000,
    )
    face_chunk_size: int = _setting(
        "MUSTER_FACE_CHUNK_SIZE",
        _whole(1, 100),
        "Images that one task takes. Small, so that a pause and a lost worker cost little.",
        4,
    )
    face_identify_threshold: float = _setting(
        "MUSTER_FACE_IDENTIFY_THRESHOLD",
        _number(-1, 1),
        "Cosine from which on a face of a collection is a match. Measured on small sets: see"
        " docs/faces.md before you rely on it.",
        0.45,
    )
    face_verify_threshold: float = _setting(
        "MUSTER_FACE_VERIFY_THRESHOLD",
        _number(-1, 1),
        "Cosine from which on two faces are of one person, where it is known who it should be.",
        0.40,
    )
    face_confidence: float = _setting(
        "MUSTER_FACE_CONFIDENCE",
        _number(0.7, 1),
        "The detector's score from which on something is a face.",
        0.8,
    )
    face_sharpness: float = _setting(
        "MUSTER_FACE_SHARPNESS",
        _number(0, 10_000),
        "A face with less is too blurred to be recognised (variance of its Laplacian).",
        25.0,
    )
    face_px: float = _setting(
        "MUSTER_FACE_PX",
        _number(10, 1_000),
        "A face narrower than so many pixels is too small to be recognised.",
        40.0,
    )
    face_cache: int = _setting(
        "MUSTER_FACE_CACHE",
        _whole(1_000, 100_000_000),
        "Faces that one process keeps in memory to search, about 1 kB each, of several collections"
        " together. One that is larger is kept alone, until another is asked for.",
        500_000,
    )
    verification_chunk_size: int = _setting(
        "MUSTER_VERIFICATION_CHUNK_SIZE",
        _whole(1, 1_000),
        "Subjects of a verification that one task screens; 1 where providers are configured.",
        20,
    )
    screening_providers: str = _setting(
        "MUSTER_SCREENING_PROVIDERS",
        str,
        "Who is asked about verifications beside the built-in engine: a JSON object, or the path of"
        " a file that holds one (docs/verifications.md). Only what stands here is ever called.",
        "",
    )

    def __post_init__(self) -> None:
        if self.claim_seconds >= self.visibility_timeout:
            raise Misconfigured(
                "MUSTER_CLAIM_SECONDS must be shorter than MUSTER_VISIBILITY_TIMEOUT: a chunk"
                " handed to another worker must find the old claim expired"
            )
        if self.chunk_seconds >= self.visibility_timeout:
            raise Misconfigured(
                "MUSTER_CHUNK_SECONDS must be shorter than MUSTER_VISIBILITY_TIMEOUT, or"
                " healthy chunks run twice"
            )

    @property
    def jwt_secrets(self) -> tuple[str, ...]:
        """The secret that signs, and behind it those that signed before."""
        return (self.jwt_secret, *self.jwt_previous_secrets.replace(",", " ").split())

    @property
    def registration_is_open(self) -> bool:
        if self.open_registration == "auto":
            return not self.is_production
        return self.open_registration == "on"

    def list_interval(self, name: str) -> float | None:
        """Return after how many seconds this list is due again, or None if it never is."""
        return parse_intervals(self.list_intervals).get(name)

    def sealer(self) -> Sealer:
        """Return what seals payloads. Raises Misconfigured if a library is missing for it."""
        return Sealer(parse_keys(self.payload_keys))

    @property
    def is_production(self) -> bool:
        return self.environment == "production"

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read every setting, or raise Misconfigured naming all that are missing or wrong."""
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for each in dataclasses.fields(cls):
            meta = each.metadata
            text = env.get(meta["variable"], "")
            if not text:
                if meta["default"] is None:
                    wrong.append(f"{meta['variable']} is not set: {meta['why']}")
                values[each.name] = meta["default"]
                continue
            try:
                values[each.name] = meta["parse"](text)
            except ValueError as error:
                shown = "" if meta["secret"] else f" (it is {text!r})"
                wrong.append(f"{meta['variable']}{shown}: {error}")
        if wrong:
            raise Misconfigured("\n".join(wrong))
        return cls(**values)

    def to_env(self) -> dict[str, str]:
        """Return the variables from which `from_env` makes the same settings: for a child."""
        every = dataclasses.fields(self)
        return {each.metadata["variable"]: str(getattr(self, each.name)) for each in every}

    @classmethod
    def build(cls, **given: Any) -> Settings:
        """Return settings with the defaults for all that is not given: for tests and tools."""
        defaults = {f.name: f.metadata["default"] for f in dataclasses.fields(cls)}
        return cls(**{**defaults, **given})


#: Without any limit on requests: for tests, benchmarks and the demo.
UNLIMITED: Mapping[str, str] = dict.fromkeys(
    ("rate_address", "rate_tenant", "rate_failures", "rate_logins"), "off"
)


def read_secret(variable: str) -> str:
    """Return a secret that another setting names by its variable; empty if it is not set."""
    return os.environ.get(variable, "").strip()


#: Variables that the programs around us read, said here so that one page has them all: the
#: commands of the Procfile and docker-compose.yml, dev.py, and the client side of `muster`.
ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "PORT": ("8000", "Procfile: the port of the web."),
    "MUSTER_BIND": ("127.0.0.1", "Procfile: the address of the web, and of live."),
    "LIVE_PORT": ("8001", "Procfile: the port of live."),
    "MUSTER_WEB_WORKERS": ("2", "Procfile: processes of the web."),
    "MUSTER_WEB_THREADS": (
        "8",
        "Procfile: threads of each web process; MUSTER_DB_CONNECTIONS should not be smaller.",
    ),
    "MUSTER_BEAT_SCHEDULE": ("a temporary file", "Procfile: where beat notes what it sent last."),
    "MUSTER_DOCUMENT_PROCESSES": ("1", "Procfile: processes of one worker for documents."),
    "MUSTER_FACE_PROCESSES": ("1", "Procfile: processes of one worker for faces, one a core."),
    "REMAP_SIGTERM": (
        "none",
        "Celery: SIGQUIT lets a worker that is told to stop hand its chunks back at once.",
    ),
    "FLOWER_ADDRESS": ("127.0.0.1", "Flower: the address it listens on."),
    "FLOWER_PORT": ("5555", "Flower: its port."),
    "MUSTER_PORT": ("8000", "docker-compose.yml: the web's port on the host."),
    "MUSTER_LIVE_PORT": ("8001", "docker-compose.yml: the port of live on the host."),
    "MUSTER_FLOWER_PORT": ("5555", "docker-compose.yml: Flower's port on the host."),
    "MUSTER_DB_PASSWORD": ("**required**", "docker-compose.yml: the password of its Postgres."),
    "MUSTER_URL": ("none", "`muster` as a client: the address of the API."),
    "MUSTER_TOKEN": ("none", "`muster` as a client: an access token or an API key."),
    "MUSTER_STATE_DIR": (".muster", "dev.py: where a set-up keeps its state."),
    "MUSTER_VENV": (".venv", "dev.py: an environment to use as it is."),
    "MUSTER_RUN": ("set by dev.py", "dev.py: marks the processes of one run."),
    "MUSTER_CHAOS_SEED": (
        "11",
        "tests: draws the faults of test_random_faults.py; `random` for another each time.",
    ),
    "MUSTER_CHAOS_SECONDS": ("60", "tests: for how long they happen."),
    "MUSTER_SHARED_DATA": ("../shared/data", "tests and benchmarks: real lists, where present."),
    "MUSTER_FUZZ_EXAMPLES": ("few", "tests: how many requests are made up for each operation."),
    "PGBOUNCER_BIN": ("on PATH", "tests: the program PgBouncer."),
    "MUSTER_TEST_PGBOUNCER": (
        "none",
        "tests: reach Postgres through a PgBouncer, whatever is set.",
    ),
}


def reference() -> str:
    """Return the reference page of every setting, as Markdown."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable. This page is generated from `app/settings.py`",
        "(`python -m app.settings > docs/settings.md`); a test holds the two together.",
        "",
        "| variable | default | what it is for |",
        "| --- | --- | --- |",
    ]
    for each in dataclasses.fields(Settings):
        meta = each.metadata
        default = meta["default"]
        shown = "**required**" if default is None else f"`{default}`" if default != "" else "none"
        lines.append(f"| `{meta['variable']}` | {shown} | {meta['why']} |")
    lines += [
        "",
        "## Read by the programs around it",
        "",
        "| variable | default | what it is for |",
        "| --- | --- | --- |",
    ]
    for variable, (default, why) in ELSEWHERE.items():
        lines.append(f"| `{variable}` | {default} | {why} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(reference(), end="")  # noqa: T201  # the page is this command's output
