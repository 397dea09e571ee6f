"""Where a request comes from: what our own proxies say, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.proxies import correct, read
from app.settings import parse_networks

#: Two proxies, one behind the other, and a network of IPv6.
OURS = parse_networks("10.0.0.1 10.0.1.0/24 fd00::/64")


def seen(peer: str, proxies=OURS, scheme: str = "http", **claimed: str) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REMOTE_ADDR": peer,
        "wsgi.url_scheme": scheme,
        "HTTP_HOST": "inside:8000",
        **{f"HTTP_X_FORWARDED_{name.upper()}": text for name, text in claimed.items()},
    }
    correct(environ, proxies)
    return environ


def address(peer: str, chain: str, proxies=OURS) -> str:
    return seen(peer, proxies, **{"for": chain})["REMOTE_ADDR"]


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        # Straight to us, whatever is claimed.
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("203.0.113.9", "10.0.0.1", "203.0.113.9"),
        ("::1", "198.51.100.1", "::1"),
        # Through one proxy of ours; what the client claimed stands further left.
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.0.1.7, 198.51.100.1", "198.51.100.1"),
        # Through two of ours.
        ("10.0.0.1", "198.51.100.1, 10.0.1.7", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1,10.0.1.7", "198.51.100.1"),
        # Through a stranger's proxy and ours: the stranger is whom we know.
        ("10.0.0.1", "198.51.100.1, 192.0.2.80", "192.0.2.80"),
        # Nobody but our own.
        ("10.0.0.1", "10.0.1.9, 10.0.1.7", "10.0.1.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        # IPv6, ports, and IPv4 written as IPv6.
        ("fd00::7", "2001:db8::5", "2001:db8::5"),
        ("10.0.0.1", "[2001:db8::5]:4711", "2001:db8::5"),
        ("10.0.0.1", "[2001:db8::5]", "2001:db8::5"),
        ("10.0.0.1", "198.51.100.1:52341", "198.51.100.1"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
        ("10.0.0.1", " 198.51.100.1 ", "198.51.100.1"),
        # What is no address ends what can be believed.
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, unknown, 10.0.1.7", "10.0.1.7"),
        ("10.0.0.1", "198.51.100.1,", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4.5", "10.0.0.1"),
        ("10.0.0.1", "0x7f.1", "10.0.0.1"),
        ("10.0.0.1", "localhost", "10.0.0.1"),
        ("10.0.0.1", "[::1", "10.0.0.1"),
        ("10.0.0.1", "\x00\xff'; DROP TABLE", "10.0.0.1"),
        ("10.0.0.1", ",".join(["198.51.100.1"] * 50_000), "198.51.100.1"),
    ],
)
def test_the_client_is_the_right_most_that_is_no_proxy_of_ours(peer, chain, client):
    assert address(peer, chain) == client


def test_who_is_named_by_no_setting_is_believed_by_nobody():
    told = seen("127.0.0.1", (), **{"for": "198.51.100.1", "proto": "https", "host": "a.example"})

    assert told["REMOTE_ADDR"] == "127.0.0.1"
    assert (told["wsgi.url_scheme"], told["HTTP_HOST"]) == ("http", "inside:8000")


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.1 ::/0", "10.0.0.1/8", "*", "proxy.intern"])
def test_everybody_or_nobody_in_particular_is_no_proxy(text):
    with pytest.raises(ValueError, match=r"everybody|network"):
        parse_networks(text)


def test_a_chain_without_an_end_is_not_followed_to_it():
    assert address("10.0.0.1", ",".join(["10.0.1.7"] * 50_000)) == "10.0.1.7"


@pytest.mark.parametrize("peer", ["", "unix:", "garbage", None])
def test_a_peer_without_an_address_is_nobody_we_know(peer):
    told = seen(peer, parse_networks("0.0.0.0/1 128.0.0.0/1 ::/1"), **{"for": "198.51.100.1"})

    assert told["REMOTE_ADDR"] == peer


def test_what_was_claimed_is_gone_believed_or_not():
    claims = dict.fromkeys(("for", "proto", "host", "port", "prefix"), "x")
    for peer in ("10.0.0.1", "203.0.113.9"):
        assert not [name for name in seen(peer, **claims) if "FORWARDED" in name]


@pytest.mark.parametrize(
    ("chain", "proto", "scheme"),
    [
        ("198.51.100.1", "https", "https"),
        ("198.51.100.1", "HTTPS", "https"),
        # What the client claimed stands left of what our proxy saw.
        ("198.51.100.1", "https, http", "http"),
        ("198.51.100.1, 10.0.1.7", "https, http", "https"),
        ("198.51.100.1, 10.0.1.7", "https", "https"),
        ("198.51.100.1", "javascript", "http"),
        ("198.51.100.1", "", "http"),
    ],
)
def test_the_scheme_is_what_the_outermost_proxy_of_ours_saw(chain, proto, scheme):
    assert seen("10.0.0.1", **{"for": chain, "proto": proto})["wsgi.url_scheme"] == scheme


def test_no_host_but_that_of_the_request_is_believed():
    """Proxies hand on what a client wrote there: a link would lead to wherever it likes."""
    told = seen("10.0.0.1", **{"for": "198.51.100.1", "host": "evil.example"})

    assert told["HTTP_HOST"] == "inside:8000"


@pytest.mark.parametrize("text", ["", " ", "1", "256.1.1.1", "::g", "1.2.3.4/8"])
def test_what_is_no_address_is_none(text):
    assert read(text) is None
