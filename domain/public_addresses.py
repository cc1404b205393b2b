"""Which IP addresses lie on the public internet. Judges numbers only; knows no names and opens no connection.

Own tables (IANA's special-purpose registries), since what `ipaddress` calls global differs between Python's versions.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

SPECIAL_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network; Linux connects 0.0.0.0 to itself
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carriers' NAT; metadata services of some clouds
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # a public number, but inside Azure the host's own services
            "169.254.0.0/16",  # link-local, with most clouds' metadata service
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays of 6to4, given up
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
GLOBAL_V6 = IPv6Network("2000::/3")
"""All that is assigned for public use. Loopback, mapped and compatible IPv4, ULA, link- and site-local, multicast and
local NAT64 (64:ff9b:1::/48) lie outside."""

SPECIAL_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: any IPv4 address in disguise
            "3fff::/20",  # documentation
        ),
    )
)
NAT64 = IPv6Network("64:ff9b::/96")
"""How a network without IPv4 reaches it (RFC 6052): the last 32 bits are the address that is meant."""

V4_BITS = 0xFFFF_FFFF


def is_public(address: Address) -> bool:
    """Is this a unicast address of the public internet? A NAT64 address is what it stands for."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in SPECIAL_V4)
    if address.scope_id is not None:
        return False
    if address in NAT64:
        return is_public(IPv4Address(int(address) & V4_BITS))
    return address in GLOBAL_V6 and not any(address in network for network in SPECIAL_V6)
