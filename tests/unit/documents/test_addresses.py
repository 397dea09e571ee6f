"""Which addresses are public, whatever they are dressed up as."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from app.documents.addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1"),
        *("127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1"),
        *("192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
        *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "::7f00:1", "fc00::1", "fd12::1", "fe80::1", "fec0::1", "ff02::1"),
        *("2001:db8::1", "100::1", "2001::1", "fe80::1%eth0", "64:ff9b:1::7f00:1"),
        # IPv4 in the dress of IPv6: mapped, by NAT64, by 6to4.
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1"),
        *("64:ff9b::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1"),
        # Translated (SIIT), and by tunnels: ISATAP in anybody's network, Teredo to whomever.
        *("::ffff:0:127.0.0.1", "::ffff:0:169.254.169.254", "2a00:1450::5efe:10.0.0.1"),
        *("2a00:1450::200:5efe:192.168.0.1", "2002:808:808::5efe:10.0.0.1"),
        *("2001:0:808:808::f7f7:f7f7", "2001:0:7f00:1::80ff:fffe"),
        # Given out to nobody.
        *("::8.8.8.8", "1::1", "200::1", "1fff::1", "4000::1", "8000::1", "5f00::1", "e000::1"),
    ],
)
def test_what_not_everybody_can_call_is_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.15.0.1"),
        *("172.32.0.1", "223.255.255.254"),
        *("2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
        *("::ffff:0:8.8.8.8", "2002:808:808::1", "2a00:1450::5efe:8.8.8.8"),
        *("2a00:1450::5eff:a00:1",),
    ],
)
def test_what_everybody_can_call_is_public(address):
    assert is_public(ip_address(address))
