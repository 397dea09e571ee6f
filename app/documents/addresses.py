"""Which addresses a document may be fetched from: the guard against being sent inside.

A URL comes from a caller, and the machine that fetches it stands where the caller does not: next
to databases, to the cloud's metadata, to other tenants' servers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from app.documents import codes
from app.errors import ItemError
from app.settings import Settings, parse_hosts

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Not all of these are called private by every version of Python.
_CLOSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
    )
)
#: All that has been given out for the internet; what lies beside it is for use inside, or for none.
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
#: Addresses that stand for an IPv4 address in their last four bytes: mapped, translated (SIIT), and
#: by NAT64.
_CARRIES_LAST = tuple(
    map(ipaddress.IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
_6TO4 = ipaddress.IPv6Network("2002::/16")
#: What stands in any network before an IPv4 address that is tunnelled to (ISATAP), but for the bit
#: that says whether that address is unique.
_ISATAP, _UNIQUE = 0x0000_5EFE, 0x0200_0000

_WEB_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT = 1024


class Guard:
    """What the settings let documents be fetched from."""

    def __init__(self, settings: Settings) -> None:
        self._reach = settings.document_urls
        self._networks, self._names = parse_hosts(settings.document_hosts)

    def check_configured(self) -> None:
        """Raise ItemError source_not_configured if this server fetches nothing."""
        if self._reach == "none":
            raise ItemError(
                codes.SOURCE_NOT_CONFIGURED, "This server takes no documents from URLs."
            )

    def admit(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Raise ItemError address_not_allowed unless the host may be called at all of these.

        All, since a name that leads outside and inside at once was made to be misread.
        """
        for text in addresses:
            address = ipaddress.ip_address(text)
            if self._is_listed(host, address):
                continue
            if self._reach != "public":
                raise ItemError(
                    codes.ADDRESS_NOT_ALLOWED,
                    "The URL leads to a server from which this one takes no documents.",
                )
            if not is_public(address):
                raise ItemError(
                    codes.ADDRESS_NOT_ALLOWED, "The URL leads to an address that is not public."
                )
            if port not in _WEB_PORTS and port < _FIRST_FREE_PORT:
                raise ItemError(
                    codes.ADDRESS_NOT_ALLOWED, "The URL names a port that is not for the web."
                )

    def _is_listed(self, host: str, address: Address) -> bool:
        return host in self._names or any(address in network for network in self._networks)


def is_public(address: Address) -> bool:
    """Tell whether anybody on the internet can call it, whatever it is dressed up as."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if any(address in network for network in _CARRIES_LAST):
            return is_public(_last(address))
        if address not in _GIVEN_OUT:
            return False
        is_isatap = int(address) >> 32 & 0xFFFFFFFF & ~_UNIQUE == _ISATAP
        if is_isatap and not is_public(_last(address)):
            return False
        if address in _6TO4:
            return is_public(ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF))
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in network for network in _CLOSED)
    )


def _last(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
