"""Fetching a document by URL, from a server that nobody vouches for.

A name is looked up once for each request, all that it leads to is checked, and the connection
goes to that very address: a name that leads elsewhere a moment later makes no difference. A
redirect is a new URL, and is checked like the first. One deadline covers it all, and the size is
counted as the bytes come.

The standard library's client and no other, since the connection must be the one we made; it knows
no proxies, cookies or credentials either.
"""

from __future__ import annotations

import http.client
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from functools import cache
from typing import Literal
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from app.documents import codes
from app.documents.addresses import Guard
from app.documents.local import suffix_of
from app.documents.lookups import Resolve, look_up_all
from app.documents.model import Content, Hint
from app.errors import ItemError
from app.version import VERSION

MAX_REDIRECTS = 5
_LONGEST_URL = 4096
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_BLOCK = 1 << 16
#: Addresses of one name that are tried.
_TRIED = 4
_HEADERS = {
    "User-Agent": f"muster/{VERSION}",
    "Accept": "*/*",
    # What is not packed cannot unpack to more than was sent.
    "Accept-Encoding": "identity",
    "Connection": "close",
}


def look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class Fetcher:
    guard: Guard
    #: Of one document, with all redirects.
    seconds: float
    max_bytes: int
    resolve: Resolve = look_up

    def fetch(self, url: str) -> Content:
        """Return what the URL leads to. Raises ItemError."""
        self.guard.check_configured()
        deadline = _Deadline(self.seconds)
        for _ in range(1 + MAX_REDIRECTS):
            target = _Target.of(url)
            addresses = self._addresses(target, deadline)
            found = self._request(target, addresses, deadline)
            if isinstance(found, Content):
                return found
            url = _follow(url, found)
        raise ItemError(
            codes.TOO_MANY_REDIRECTS, f"The URL redirects more than {MAX_REDIRECTS} times."
        )

    def check_all(self, urls: Iterable[str], *, seconds: float) -> dict[str, ItemError]:
        """Return of each URL that would be refused without asking its server why it would be.

        Each host is looked up once. If it took longer than `seconds` for all of them together, a
        URL is refused too: nobody knows where it leads.
        """
        refused: dict[str, ItemError] = {}
        targets: dict[str, _Target] = {}
        for url in urls:
            try:
                self.guard.check_configured()
                targets[url] = _Target.of(url)
            except ItemError as error:
                refused[url] = error
        hosts = {target.host: target.port for target in targets.values()}
        found = look_up_all(self.resolve, hosts, seconds)
        for url, target in targets.items():
            try:
                if target.host not in found:
                    raise _not_looked_up(seconds)
                self._admit(target, found[target.host])
            except ItemError as error:
                refused[url] = error
        return refused

    def _addresses(self, target: _Target, deadline: _Deadline) -> Sequence[str]:
        found = _in_time(lambda: self.resolve(target.host, target.port), deadline)
        self._admit(target, found)
        return found

    def _admit(self, target: _Target, found: Sequence[str]) -> None:
        if not found:
            raise _failed("The host of the URL was not found.")
        self.guard.admit(target.host, target.port, found)

    def _request(
        self, target: _Target, addresses: Sequence[str], deadline: _Deadline
    ) -> Content | str:
        """Return the document, or where the server sends us."""
        connected = _connect(addresses, target.port, deadline)
        with connected, _watched(connected, deadline):
            try:
                with target.secure(connected, deadline) as stream:
                    return self._exchange(target, stream, deadline)
            except (OSError, http.client.HTTPException, ValueError) as error:
                deadline.check()
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise _failed("The certificate of the server is not valid.") from error
                raise _failed("The server broke off, or did not answer as one should.") from error

    def _exchange(
        self, target: _Target, stream: socket.socket, deadline: _Deadline
    ) -> Content | str:
        client = http.client.HTTPConnection(target.host, target.port)
        client.sock = stream
        # Never a connection that it would make by itself.
        client.auto_open = 0
        with closing(client):
            client.request("GET", target.path, headers={"Host": target.authority, **_HEADERS})
            # It holds the connection open for as long as it is open itself.
            with closing(client.getresponse()) as answer:
                return self._content(target, answer, deadline)

    def _content(
        self, target: _Target, answer: http.client.HTTPResponse, deadline: _Deadline
    ) -> Content | str:
        if answer.status in _REDIRECTS and (location := answer.headers.get("Location")):
            return location
        if answer.status in _GONE:
            raise ItemError(codes.NOT_FOUND, f"The server answered {answer.status}.")
        if answer.status != http.client.OK:
            raise _failed(f"The server answered {answer.status}.")
        data = self._body(answer, deadline)
        return Content(data, _hint(answer.headers, target.path))

    def _body(self, answer: http.client.HTTPResponse, deadline: _Deadline) -> bytes:
        promised = answer.length
        if promised is not None and promised > self.max_bytes:
            raise self._too_large()
        unpack = _unpacker(answer.headers.get("Content-Encoding", ""))
        received, size, blocks = 0, 0, []
        while block := answer.read(_BLOCK):
            deadline.check()
            received += len(block)
            for part in unpack(block):
                size += len(part)
                if size > self.max_bytes:
                    raise self._too_large()
                blocks.append(part)
        # A connection that ends looks like a body that does.
        deadline.check()
        if promised is not None and received < promised:
            raise _failed("The server broke off in the middle of the document.")
        return b"".join(blocks)

    def _too_large(self) -> ItemError:
        return ItemError(
            codes.DOCUMENT_TOO_LARGE,
            f"The document is larger than the {self.max_bytes:,} bytes allowed"
            " (MUSTER_DOCUMENT_MAX_BYTES).",
        )


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left. Raises ItemError timeout if there are none."""
        self.check()
        return self._ends - time.monotonic()

    def check(self) -> None:
        if time.monotonic() >= self._ends:
            raise ItemError(
                codes.TIMEOUT,
                f"The document was not fetched within {self._seconds:g} seconds"
                " (MUSTER_DOCUMENT_FETCH_SECONDS).",
            )


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL taken apart, and written as it goes over the wire."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> _Target:
        """Raises ItemError invalid_source."""
        parts, port = _split(url)
        if parts.scheme not in {"http", "https"}:
            raise _invalid("A URL must begin with http:// or https://.")
        if parts.username is not None or parts.password is not None:
            raise _invalid("A URL must not carry a user's name or password.")
        try:
            host = _host(parts.hostname or "")
        except (UnicodeError, ValueError) as error:
            raise _invalid("The host of the URL is none.") from error
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
        return cls(
            "https" if parts.scheme == "https" else "http",
            host,
            port or (443 if parts.scheme == "https" else 80),
            f"{path}?{query}" if query else path,
        )

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.scheme == "https" else 80
        return host if self.port == usual else f"{host}:{self.port}"

    def secure(self, connected: socket.socket, deadline: _Deadline) -> socket.socket:
        """Return the connection as the scheme wants it, with the certificate checked."""
        connected.settimeout(deadline.left())
        if self.scheme == "http":
            return connected
        return _tls().wrap_socket(connected, server_hostname=self.host)


@cache
def _tls() -> ssl.SSLContext:
    """Reading the system's certificates takes longer than a small document."""
    return ssl.create_default_context()


def _follow(url: str, location: str) -> str:
    """Return the URL that a server sends us to; what it says is no mistake of the caller's."""
    try:
        url = urljoin(url, location)
        _Target.of(url)
    except (ItemError, ValueError) as error:
        raise ItemError(
            codes.ADDRESS_NOT_ALLOWED, "The server redirects to what is no address of the web."
        ) from error
    return url


def _split(url: str) -> tuple[SplitResult, int | None]:
    if len(url) > _LONGEST_URL:
        raise _invalid(f"The URL is longer than {_LONGEST_URL:,} characters.")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        # Programs disagree on what these mean, and that is how they are led astray.
        raise _invalid("The URL has a space, a backslash or a control character in it.")
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        raise _invalid("The URL is not written as one.") from None


def _host(name: str) -> str:
    """Return the host as DNS knows it. Raises ValueError."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(name))
    found = name.encode("idna").decode("ascii").lower().rstrip(".")
    if not re.fullmatch(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", found):
        raise ValueError
    return found


def _in_time(ask: Callable[[], Sequence[str]], deadline: _Deadline) -> Sequence[str]:
    """Return the addresses. The system's look-up knows no time-out: a thread waits for it."""
    answers: queue.SimpleQueue[Sequence[str]] = queue.SimpleQueue()

    def run() -> None:
        found: Sequence[str] = ()
        with suppress(OSError, UnicodeError):
            found = ask()
        answers.put(found)

    threading.Thread(target=run, daemon=True, name="look-up").start()
    try:
        return answers.get(timeout=deadline.left())
    except queue.Empty:
        deadline.check()
        raise


def _connect(addresses: Sequence[str], port: int, deadline: _Deadline) -> socket.socket:
    """Return a connection to the first of these addresses that takes one."""
    for number, address in enumerate(addresses[:_TRIED], 1):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        # None may use up the time of the others.
        connection.settimeout(deadline.left() / (min(len(addresses), _TRIED) - number + 1))
        try:
            connection.connect((address, port))
        except OSError:
            connection.close()
            continue
        return connection
    deadline.check()
    raise _failed("The server cannot be reached.")


@contextmanager
def _watched(connection: socket.socket, deadline: _Deadline) -> Iterator[None]:
    """Cut the connection when the time is up, whatever somebody is reading from it by then.

    A time-out of the socket is for one read, and a server that sends a byte now and then never
    makes a read wait.
    """
    # A handle of its own: securing the connection takes the first one over.
    handle = connection.dup()

    def cut() -> None:
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(deadline.left(), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        handle.close()


def _unpacker(encoding: str) -> Callable[[bytes], Iterator[bytes]]:
    """Return what undoes the packing that a server did unasked."""
    encoding = encoding.strip().lower()
    if encoding in {"", "identity"}:
        return lambda block: iter((block,))
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise _failed("The server packed the document in a way that was not asked for.")
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)

    def unpack(block: bytes) -> Iterator[bytes]:
        while block:
            try:
                part = unpacking.decompress(block, _BLOCK)
            except zlib.error as error:
                raise _failed("The document is not packed as the server says.") from error
            if part:
                yield part
            block = unpacking.unconsumed_tail
            if not part and not block:
                return

    return unpack


def _hint(headers: Message, path: str) -> Hint:
    return Hint(
        suffix=suffix_of(urlsplit(path).path),
        media_type=headers.get_content_type() if "Content-Type" in headers else "",
        charset=headers.get_content_charset() or "",
    )


def _failed(message: str) -> ItemError:
    return ItemError(codes.FETCH_FAILED, message)


def _not_looked_up(seconds: float) -> ItemError:
    return ItemError(
        codes.TIMEOUT,
        f"The host of the URL was not looked up within the {seconds:g} seconds that there are for"
        " all paths of a request. Send it again, with fewer paths.",
    )


def _invalid(message: str) -> ItemError:
    return ItemError(codes.INVALID_SOURCE, message)
