"""Which addresses are public: every special range at both its ends, and never more than the standard library says."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.public_addresses import is_public

INNER = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "::/128", "::1/128", "::/96", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001::/23",
    "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip
OUTER = [
    "1.1.1.1", "8.8.8.8", "93.184.215.14", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.0.1",
    "128.0.0.1", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "223.255.255.255",
    "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "2001:4860:4860::8888", "2620:fe::fe", "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize("range_", INNER)
def test_nothing_in_a_special_range_is_public(range_: str) -> None:
    """Its first, middle and last address."""
    network = ip_network(range_)
    places = {0, network.num_addresses // 2, network.num_addresses - 1}
    assert [network[place] for place in places if is_public(network[place])] == []


@pytest.mark.parametrize("address", OUTER)
def test_the_internet_is_public(address: str) -> None:
    """Hosts that everybody knows, and the neighbours of the special ranges."""
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", ["2606:4700:4700::1111%eth0", "fe80::1%1"])
def test_an_address_with_a_zone_is_not_public(address: str) -> None:
    """A zone means an interface of this machine."""
    assert not is_public(ip_address(address))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.ip_addresses())
def test_what_the_standard_library_calls_inner_is_not_public(address: IPv4Address | IPv6Address) -> None:
    """The table refuses at least all that Python's does, whatever Python it is; NAT64 stands for what it holds."""
    inner = address.is_private or address.is_multicast or address.is_loopback or address.is_link_local
    inner = inner or address.is_unspecified or not address.is_global
    if inner and not (address.version == 6 and address in ip_network("64:ff9b::/96")):
        assert not is_public(address)


WRAPPED = {
    "mapped": "::ffff:{}", "compatible": "::{}", "6to4": "2002:{hex}::1", "NAT64": "64:ff9b::{}",
    "Teredo server": "2001:0:{hex}::1",
}  # fmt: skip


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from([text for text in INNER if "." in text]).flatmap(lambda text: st.ip_addresses(network=text)),
    st.sampled_from(sorted(WRAPPED)),
)
def test_an_inner_address_wrapped_in_ipv6_is_not_public(address: IPv4Address, way: str) -> None:
    """In none of the five ways to hide one in the other."""
    digits = f"{int(address):08x}"
    text = WRAPPED[way].format(address, hex=f"{digits[:4]}:{digits[4:]}")
    assert not is_public(IPv6Address(text))


def test_most_of_the_address_space_that_is_in_use_is_public() -> None:
    """The table is no wall around everything: of the first hosts of all /8 networks at least 200 pass."""
    assert sum(is_public(IPv4Network(f"{first}.0.0.0/8")[1]) for first in range(256)) > 200
    assert is_public(IPv6Network("2600::/12")[1])
