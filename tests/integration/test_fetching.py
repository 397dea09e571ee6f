"""Documents by URL, from servers of our own: good ones, and ones that lead astray or never end."""

from __future__ import annotations

import datetime
import gzip
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.documents import fetch
from app.documents.addresses import Guard
from app.documents.fetch import Fetcher
from app.documents.model import Hint
from app.errors import ItemError
from app.settings import Settings

#: The only server that the settings permit; the other stands for all that is inside.
OUTSIDE, INSIDE = "127.0.0.1", "127.0.0.2"
MAX_BYTES = 100_000
BODY = b"The bank was fined."


class Server(ThreadingHTTPServer):
    """Answers by functions of the path; knows what it was asked, and by which names."""

    daemon_threads = True

    def __init__(self, address: str, port: int = 0) -> None:
        super().__init__((address, port), Handler)
        self.asked: list[str] = []
        self.hosts: list[str] = []
        self.answers: dict[str, Callable[[Handler], None]] = {}
        self.stopping = threading.Event()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def url(self, path: str) -> str:
        return f"http://{self.server_address[0]}:{self.port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asks may go in the middle of an answer: that is what is tried here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:  # the library names it
        self.server.asked.append(self.path)
        self.server.hosts.append(self.headers["Host"])
        self.server.answers.get(self.path, plain)(self)

    def head(self, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def drip(self, data: bytes) -> None:
        """Write the same for ever, or until nobody listens any more."""
        while not self.server.stopping.wait(0.02):
            self.wfile.write(data)


def plain(handler: Handler) -> None:
    handler.head(Content_Length=str(len(BODY)), Content_Type="text/plain; charset=iso-8859-1")
    handler.wfile.write(BODY)


def redirect(location: str, status: int = 302) -> Callable[[Handler], None]:
    return lambda handler: handler.head(status, Location=location, Content_Length="0")


@contextmanager
def serving(address: str, port: int = 0, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(address, port)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def both():
    """The permitted server, and one inside on the same port."""
    with serving(OUTSIDE) as outside:
        try:
            inside = serving(INSIDE, outside.port)
            server = inside.__enter__()
        except OSError:
            pytest.skip("this system has no second loopback address")
        yield outside, server
        inside.__exit__(None, None, None)


@pytest.fixture
def outside(both) -> Server:
    return _fresh(both[0])


@pytest.fixture
def inside(both) -> Server:
    return _fresh(both[1])


def _fresh(server: Server) -> Server:
    server.asked.clear()
    server.hosts.clear()
    server.answers.clear()
    return server


def guard(hosts: str = OUTSIDE, urls: str = "public") -> Guard:
    return Guard(
        Settings.build(
            database_url="postgresql://nobody@127.0.0.1:1/none",
            redis_url="redis://127.0.0.1:1/0",
            jwt_secret="a9f3-2b7c-8e1d-4f6a-0c5e-7d2b-9a8f-1e3c",
            document_hosts=hosts,
            document_urls=urls,
        )
    )


def fetcher(
    resolve: fetch.Resolve = fetch.look_up, *, seconds: float = 20.0, **settings: str
) -> Fetcher:
    return Fetcher(guard(**settings), seconds, MAX_BYTES, resolve)


def code_of(url: str, by: Fetcher | None = None) -> str:
    with pytest.raises(ItemError) as caught:
        (by or fetcher()).fetch(url)
    assert "127.0.0" not in str(caught.value), "a message does not repeat the address"
    return caught.value.code


# What works


def test_a_document_comes_with_what_its_server_says_of_it(outside):
    found = fetcher().fetch(outside.url("/news/Bank%20fined.TXT?x=%C3%A9"))

    assert found.data == BODY
    assert found.hint == Hint("txt", "text/plain", "iso-8859-1")
    assert outside.asked == ["/news/Bank%20fined.TXT?x=%C3%A9"]
    assert outside.hosts == [f"{OUTSIDE}:{outside.port}"]


def test_letters_beyond_ascii_are_written_as_the_web_writes_them(outside):
    fetcher().fetch(outside.url("/über?straße=1#part"))

    assert outside.asked == ["/%C3%BCber?stra%C3%9Fe=1"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(outside, status):
    outside.answers["/a"] = redirect("/b?c", status)
    outside.answers["/b?c"] = redirect(outside.url("/d"), status)

    assert fetcher().fetch(outside.url("/a")).data == BODY
    assert outside.asked == ["/a", "/b?c", "/d"]


def test_a_chunked_and_a_packed_body_are_read(outside):
    def chunked(handler: Handler) -> None:
        handler.head(Transfer_Encoding="chunked")
        handler.wfile.write(b"5\r\nThe b\r\n3\r\nank\r\n0\r\n\r\n")

    def packed(handler: Handler) -> None:
        data = gzip.compress(BODY)
        handler.head(Content_Encoding="gzip", Content_Length=str(len(data)))
        handler.wfile.write(data)

    outside.answers |= {"/chunked": chunked, "/packed": packed}

    assert fetcher().fetch(outside.url("/chunked")).data == b"The bank"
    assert fetcher().fetch(outside.url("/packed")).data == BODY


def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer(outside):
    found = fetcher(lambda host, port: ["127.0.0.3", OUTSIDE], hosts="127.0.0.0/8").fetch(
        f"http://files.test:{outside.port}/"
    )

    assert found.data == BODY
    assert outside.hosts == [f"files.test:{outside.port}"]


# Addresses


def test_without_a_setting_no_server_of_this_machine_can_be_reached(outside):
    assert code_of(outside.url("/"), fetcher(hosts="")) == "address_not_allowed"
    assert outside.asked == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.2", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fd00::1]"),
        *("[::ffff:127.0.0.2]", "[::ffff:7f00:2]", "[64:ff9b::127.0.0.2]", "[2002:7f00:2::]"),
        *("2130706434", "0x7f000002", "0177.0.0.2", "127.2"),
    ],
)
def test_a_private_address_is_refused_however_it_is_written(inside, host):
    code = code_of(f"http://{host}:{inside.port}/")

    # Some spellings are no address to this system.
    assert code in {"address_not_allowed", "fetch_failed", "invalid_source"}
    if "." in host and not host.startswith("0177") and host != "127.2":
        assert code == "address_not_allowed"
    assert inside.asked == []


def test_a_name_that_leads_to_a_private_address_is_refused(outside, inside):
    for addresses in ([INSIDE], [OUTSIDE, INSIDE], ["93.184.215.14", "10.0.0.1"]):
        by = fetcher(lambda host, port, found=addresses: found)

        assert code_of(f"http://news.test:{inside.port}/", by) == "address_not_allowed"

    assert code_of(f"http://localhost:{inside.port}/", fetcher(hosts="")) == "address_not_allowed"
    assert outside.asked == inside.asked == []


def test_a_redirect_to_a_private_address_is_refused(outside, inside):
    outside.answers["/a"] = redirect("/b")
    outside.answers["/b"] = redirect(inside.url("/secret"))

    assert code_of(outside.url("/a")) == "address_not_allowed"
    assert inside.asked == []


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:6379/_FLUSHALL",
     "http://user:password@127.0.0.1/", "http://[::1", "http://127.0.0.1:port/"],
)  # fmt: skip
def test_a_redirect_to_what_is_no_address_of_the_web_is_refused(outside, location):
    outside.answers["/"] = redirect(location)

    assert code_of(outside.url("/")) == "address_not_allowed"


class Rebinding:
    """A name server that gives its first answer once, and another one from then on."""

    def __init__(self, first: Sequence[str], then: Sequence[str]) -> None:
        self._first, self._then = first, then
        self.asked = 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self._first if self.asked == 1 else self._then


def test_a_name_that_leads_elsewhere_a_moment_later_is_called_at_the_address_that_was_checked(
    outside, inside
):
    names = Rebinding([OUTSIDE], [INSIDE])

    found = fetcher(names).fetch(f"http://rebinding.test:{outside.port}/page")

    assert found.data == BODY
    assert names.asked == 1, "it is looked up once, and never between the check and the call"
    assert outside.asked == ["/page"]
    assert outside.hosts == [f"rebinding.test:{outside.port}"]
    assert inside.asked == []


def test_a_name_that_leads_elsewhere_after_a_redirect_is_checked_again(outside, inside):
    names = Rebinding([OUTSIDE], [INSIDE])
    outside.answers["/page"] = redirect("/secret")

    code = code_of(f"http://rebinding.test:{outside.port}/page", fetcher(names))

    assert code == "address_not_allowed"
    assert names.asked == 2
    assert outside.asked == ["/page"]
    assert inside.asked == []


def test_a_port_below_1024_must_be_for_the_web():
    for port in (22, 25, 389, 445):
        by = fetcher(lambda host, port: ["93.184.215.14"])

        assert code_of(f"http://mail.test:{port}/", by) == "address_not_allowed"


def test_a_server_can_take_documents_from_listed_hosts_only_or_from_none(outside):
    public = f"http://news.test:{outside.port}/"

    def names(host: str, port: int) -> Sequence[str]:
        return [OUTSIDE if host == "files.test" else "93.184.215.14"]

    assert code_of(public, fetcher(names, urls="listed")) == "address_not_allowed"
    assert code_of(outside.url("/"), fetcher(urls="none")) == "source_not_configured"
    listed = fetcher(names, hosts="files.test", urls="listed")
    assert listed.fetch(f"http://files.test:{outside.port}/").data == BODY


# Servers that do not do as they should


def test_redirects_without_end_are_given_up(outside):
    outside.answers["/a"] = redirect("/a")

    assert code_of(outside.url("/a")) == "too_many_redirects"
    assert len(outside.asked) == 1 + fetch.MAX_REDIRECTS


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "not_found"), (410, "not_found"), (401, "fetch_failed"), (403, "fetch_failed"),
     (500, "fetch_failed"), (503, "fetch_failed"), (204, "fetch_failed"), (206, "fetch_failed"),
     (302, "fetch_failed")],
)  # fmt: skip
def test_an_answer_that_is_no_document_is_a_failure(outside, status, code):
    outside.answers["/"] = lambda handler: handler.head(status, Content_Length="0")

    assert code_of(outside.url("/")) == code


def test_a_body_that_is_too_large_is_refused_as_soon_as_it_is_known(outside):
    def promised(handler: Handler) -> None:
        handler.head(Content_Length="1000000000000")

    def endless(handler: Handler) -> None:
        handler.head()
        handler.drip(b"x" * 10_000)

    def chunked(handler: Handler) -> None:
        handler.head(Transfer_Encoding="chunked")
        handler.drip(b"2710\r\n" + b"x" * 10_000 + b"\r\n")

    def bomb(handler: Handler) -> None:
        data = gzip.compress(bytes(50_000_000))
        handler.head(Content_Encoding="gzip", Content_Length=str(len(data)))
        handler.wfile.write(data)

    for answer in (promised, endless, chunked, bomb):
        outside.answers["/"] = answer

        assert code_of(outside.url("/")) == "document_too_large"


def test_a_server_that_drips_is_left_when_the_time_is_up(outside):
    def silent(handler: Handler) -> None:
        handler.server.stopping.wait(30)

    def status(handler: Handler) -> None:
        handler.drip(b"H")

    def headers(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: ")
        handler.drip(b"a")

    def body(handler: Handler) -> None:
        handler.head(Content_Length="50000")
        handler.drip(b"x")

    def chunks(handler: Handler) -> None:
        handler.head(Transfer_Encoding="chunked")
        handler.drip(b"1\r\nx\r\n")

    def round_and_round(handler: Handler) -> None:
        handler.server.stopping.wait(0.4)
        redirect("/")(handler)

    for answer in (silent, status, headers, body, chunks, round_and_round):
        outside.answers["/"] = answer
        begun = time.monotonic()

        assert code_of(outside.url("/"), fetcher(seconds=0.7)) == "timeout"
        assert time.monotonic() - begun < 20


def test_a_name_server_that_does_not_answer_is_left_when_the_time_is_up():
    never = threading.Event()

    def silent(host: str, port: int) -> Sequence[str]:
        never.wait(30)
        return [OUTSIDE]

    assert code_of("http://slow.test/", fetcher(silent, seconds=0.3)) == "timeout"
    never.set()


def test_a_server_that_breaks_off_or_talks_nonsense_is_a_failure(outside):
    def short(handler: Handler) -> None:
        handler.head(Content_Length="1000")
        handler.wfile.write(b"x" * 10)
        handler.close_connection = True

    def short_chunk(handler: Handler) -> None:
        handler.head(Transfer_Encoding="chunked")
        handler.wfile.write(b"ff\r\nxx")
        handler.close_connection = True

    def nonsense(handler: Handler) -> None:
        handler.wfile.write(b"\xff\x00 SSH-2.0\r\n\r\n")
        handler.close_connection = True

    def nothing(handler: Handler) -> None:
        handler.close_connection = True

    def many_headers(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000 + b"\r\n")

    def long_header(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n")

    def not_packed(handler: Handler) -> None:
        handler.head(Content_Encoding="gzip", Content_Length="4")
        handler.wfile.write(b"text")

    def packed_otherwise(handler: Handler) -> None:
        handler.head(Content_Encoding="br", Content_Length="4")
        handler.wfile.write(b"text")

    for answer in (
        *(short, short_chunk, nonsense, nothing),
        *(many_headers, long_header, not_packed, packed_otherwise),
    ):
        outside.answers["/"] = answer

        assert code_of(outside.url("/")) == "fetch_failed", answer.__name__


def test_nobody_there_is_a_failure(outside):
    with serving(OUTSIDE) as gone:
        port = gone.port

    assert code_of(f"http://{OUTSIDE}:{port}/") == "fetch_failed"
    assert code_of("http://nowhere.test/", fetcher(lambda host, port: [])) == "fetch_failed"

    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    assert code_of("http://nowhere.test/", fetcher(unknown)) == "fetch_failed"


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://host/", "file:///etc/passwd", "http://", "http:///path", "http://[::1"),
        *("http://host:99999/", "http://host:port/", "http://user:password@host/", "//host/"),
        *("http://ho st/", "http://host/a b", "http://host/\r\nX: y", "http://host\\@inside/"),
        *("http://-/", "http://a..b/", "http://" + "a" * 64 + "/", "http://host/" + "a" * 5000),
    ],
)
def test_what_is_no_url_of_the_web_is_refused_before_anybody_is_asked(url):
    asked = []

    def names(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return []

    assert code_of(url, fetcher(names)) == "invalid_source"
    assert asked == []


# TLS


@pytest.fixture(scope="module")
def authority():
    """A certificate for files.test that vouches for itself, as two contexts: server and client."""
    return _certificate("files.test")


def _certificate(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    pytest.importorskip("cryptography")
    import tempfile

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + secret)
        file.flush()
        server.load_cert_chain(file.name)
    return server, ssl.create_default_context(cadata=certificate.decode())


def test_over_tls_the_certificate_must_be_the_hosts_and_the_call_goes_to_the_checked_address(
    authority, monkeypatch
):
    for_server, for_client = authority
    names = Rebinding([OUTSIDE], [OUTSIDE])
    with serving(OUTSIDE, context=for_server) as server:
        url = f"https://files.test:{server.port}/a"
        assert code_of(url, fetcher(names)) == "fetch_failed", "nobody vouches for it here"
        assert server.asked == []
        monkeypatch.setattr(fetch, "_tls", lambda: for_client)

        assert fetcher(names).fetch(url).data == BODY
        assert server.hosts == [f"files.test:{server.port}"]
        other = f"https://other.test:{server.port}/a"
        assert code_of(other, fetcher(names)) == "fetch_failed", "it is not other.test's"
        assert code_of(f"https://{ipaddress.ip_address(OUTSIDE)}:{server.port}/") == "fetch_failed"
        assert server.asked == ["/a"]


def test_over_tls_a_server_that_drips_is_left_when_the_time_is_up(authority, monkeypatch):
    for_server, for_client = authority
    monkeypatch.setattr(fetch, "_tls", lambda: for_client)

    def body(handler: Handler) -> None:
        handler.head(Content_Length="50000")
        handler.drip(b"x")

    with serving(OUTSIDE, context=for_server) as server:
        server.answers["/"] = body
        by = fetcher(lambda host, port: [OUTSIDE], seconds=1.0)

        assert code_of(f"https://files.test:{server.port}/", by) == "timeout"


def test_what_speaks_no_tls_is_a_failure(outside):
    by = fetcher(lambda host, port: [OUTSIDE])

    assert code_of(f"https://files.test:{outside.port}/", by) == "fetch_failed"
