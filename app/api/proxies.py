"""Who is calling, behind proxies. Only those named in MUSTER_PROXIES are believed.

Anybody can send X-Forwarded-For. Each proxy adds the address it was called from at the right, so
the client is the right-most address that is not a proxy of ours; what stands left of it is hearsay.
X-Forwarded-Host is believed from nobody: proxies hand on what a client wrote there, and links would
lead to wherever it likes. They pass Host.
werkzeug's ProxyFix counts hops instead, and believes whoever comes by a shorter way.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any

from app.settings import Network

Environ = MutableMapping[str, Any]
_Wsgi = Callable[[Any, Any], Iterable[bytes]]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: More than any chain of proxies has; who sends more would have us read it all.
_HOPS = 20

#: IPv4 with a port, and IPv6 in brackets with or without one: so write some proxies.
_WITH_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?")
_FORWARDED = (
    *("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST"),
    *("HTTP_X_FORWARDED_PORT", "HTTP_X_FORWARDED_PREFIX", "HTTP_FORWARDED"),
)


def wrap(application: _Wsgi, proxies: Sequence[Network]) -> _Wsgi:
    """Return the WSGI application for which REMOTE_ADDR is the client's, as far as we know it."""

    def behind_proxies(environ: Environ, start_response: Any) -> Iterable[bytes]:
        correct(environ, proxies)
        return application(environ, start_response)

    return behind_proxies


def correct(environ: Environ, proxies: Sequence[Network]) -> None:
    """Say in the environ where the request comes from, and by which scheme.

    Whatever was claimed is taken out, believed or not, so that nobody after us believes it.
    """
    claimed = {name: str(environ.pop(name, "")) for name in _FORWARDED}
    peer = read(environ.get("REMOTE_ADDR") or "")
    if peer is None or not _is_one_of(proxies, peer):
        return
    client, hops = _walk(peer, claimed["HTTP_X_FORWARDED_FOR"].split(","), proxies)
    environ["REMOTE_ADDR"] = str(client)
    scheme = _told(claimed["HTTP_X_FORWARDED_PROTO"], hops).lower()
    if scheme in {"http", "https"}:
        environ["wsgi.url_scheme"] = scheme


def read(text: str) -> _Address | None:
    """Return the address, without a port or a zone, or None. IPv4 in IPv6 is IPv4."""
    text = text.strip()
    found = _WITH_PORT.fullmatch(text)
    bare = text.partition("%")[0] if found is None else found["six"] or found["four"]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _walk(
    peer: _Address, claimed: Sequence[str], proxies: Sequence[Network]
) -> tuple[_Address, int]:
    """Return the client, and how many of our proxies the request went through."""
    client, hops = peer, 1
    for each in reversed(claimed[-_HOPS:]):
        address = read(each)
        if address is None:
            # Nobody's word: the last of ours is all that is known.
            break
        client = address
        if not _is_one_of(proxies, address):
            break
        hops += 1
    return client, hops


def _told(header: str, hops: int) -> str:
    """Return what the outermost of our proxies said, if each added a word; else the only one."""
    words = [word.strip() for word in header.split(",")]
    return words[-min(hops, len(words))]


def _is_one_of(networks: Sequence[Network], address: _Address) -> bool:
    return any(address in network for network in networks)
