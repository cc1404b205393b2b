"""Which addresses on the web a picture may be fetched from, by their text alone. Looks up no name, fetches nothing."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import quote, urljoin

from domain.failures import FailureCode, Refused
from domain.public_addresses import Address, is_public

MOST_CHARACTERS = 2048
MOST_HOST_CHARACTERS = 253
DEFAULT_PORTS = {"http": 80, "https": 443}
FIRST_FREE_PORT, LAST_PORT = 1024, 65_535
"""Below the first, a port is some other service's."""

PRIVATE_NAMES = frozenset({"localhost", "localdomain", "local", "internal"})
"""Last labels that never stand for a public host."""

# A grammar of its own: where a lenient parser and the client understand a URL differently, checks are got round.
URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([0-9]{0,5}))?")
LABEL = re.compile(r"[a-z0-9_-]{1,63}")
NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
AMBIGUOUS = re.compile("[ßς\u200c\u200d]")
"""Characters for which the two standards of international names give two different hosts."""

KEPT = "!#$%&'()*+,/:;=?@[]~"
"""What a path and query keep; all else is percent-encoded."""


@dataclass(frozen=True, kw_only=True)
class PictureUrl:
    """A URL that may be fetched once its host's addresses have been checked. Its path and query may hold secrets."""

    scheme: str
    host: str
    """In ASCII and lower case; an IPv6 address without its brackets."""
    port: int
    target: str = field(repr=False)
    """Path and query, percent-encoded."""
    address: Address | None
    """Where the host is an address itself."""
    is_vouched_for: bool
    """The operator named this host: its address is not checked."""

    @property
    def text(self) -> str:
        """The URL in ASCII, as it is asked for."""
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{bracketed(self.host)}{port}{self.target}"


def check_url(url: str, vouched_for: Collection[str] = ()) -> PictureUrl:
    """The URL in its parts; Refused with IMAGE_URL_NOT_ALLOWED where it can be told without a look-up.

    `vouched_for`: what `parse_hosts` gave. The details never hold the path or query.
    """
    url = url.strip(" \t\r\n")
    if len(url) > MOST_CHARACTERS:
        raise not_allowed("length", f"The URL has more than {MOST_CHARACTERS} characters")
    if NOT_TEXT.search(url):
        raise not_allowed("characters", "The URL holds characters that no URL has")
    parts = URL.fullmatch(url)
    if parts is None:
        raise not_allowed("scheme", "The URL must begin with http:// or https://")
    scheme, authority, target = parts[1].lower(), parts[2], parts[3]
    if "@" in authority:
        raise not_allowed("credentials", "The URL must not hold a user name or password")
    host, address, named_port = read_authority(authority)
    port = DEFAULT_PORTS[scheme] if named_port is None else named_port
    is_vouched_for = bracketed(host) in vouched_for or f"{bracketed(host)}:{port}" in vouched_for
    if not is_vouched_for:
        check_host(host, address)
        if port < FIRST_FREE_PORT and port not in DEFAULT_PORTS.values():
            raise not_allowed("port", "The URL's port belongs to another service", host=host, port=port)
    return PictureUrl(
        scheme=scheme,
        host=host,
        port=port,
        target=quote(target if target.startswith("/") else f"/{target}", safe=KEPT),
        address=address,
        is_vouched_for=is_vouched_for,
    )


def redirected(url: PictureUrl, location: str, vouched_for: Collection[str] = ()) -> PictureUrl:
    """Where a redirect leads, by the same rules; from https never to http."""
    try:
        joined = urljoin(url.text, location)
    except ValueError:
        raise not_allowed("redirect", "The picture's host redirects to no valid URL", host=url.host) from None
    following = check_url(joined, vouched_for)
    if (url.scheme, following.scheme) == ("https", "http"):
        raise not_allowed("downgrade", "The picture's host redirects from https to http", host=url.host)
    return following


def parse_hosts(text: str) -> frozenset[str]:
    """The hosts in an operator's comma-separated list of `host`, `host:port`, `[IPv6]` or `[IPv6]:port`.

    ValueError names the first entry that is none of these; there is no wildcard.
    """
    return frozenset(_entry(part.strip()) for part in text.split(",") if part.strip())


def check_host(host: str, address: Address | None) -> None:
    """Refuse a host that cannot be public: an address that is not, or a name of an inner network."""
    if address is not None:
        if not is_public(address):
            raise not_public(host)
    elif "." not in host or host.rsplit(".", 1)[1] in PRIVATE_NAMES:
        raise not_public(host)


def read_authority(text: str) -> tuple[str, Address | None, int | None]:
    """Host, its address if it is one, and port if one is named; refused unless it can be read in one way only."""
    parts = AUTHORITY.fullmatch(text)
    if parts is None:
        raise not_allowed("host", "The URL's host is not a valid name or address")
    port = int(parts[3]) if parts[3] else None
    if port is not None and not 0 < port <= LAST_PORT:
        raise not_allowed("port", "The URL's port is not a port")
    if parts[1] is None:
        host, address = _read_name(parts[2])
        return host, address, port
    try:
        v6 = IPv6Address(parts[1])
    except AddressValueError:
        raise not_allowed("host", "The URL's host is not a valid address") from None
    return str(v6), v6, port


def not_public(host: str) -> Refused:
    """The refusal of a host of an inner network, by its text or by what its name stands for."""
    return not_allowed("address", "The picture's host is not on the public internet", host=host)


def not_allowed(reason: str, message: str, **details: object) -> Refused:
    """The refusal of a URL by its text; `reason` in one word."""
    return Refused(FailureCode.IMAGE_URL_NOT_ALLOWED, message, details={"reason": reason, **details})


def bracketed(host: str) -> str:
    """The host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def _read_name(text: str) -> tuple[str, Address | None]:
    """A name in ASCII, or the IPv4 address that stands in its place."""
    if len(text) > MOST_HOST_CHARACTERS or AMBIGUOUS.search(text):
        raise not_allowed("host", "The URL's host is not a valid name; write an international one as xn--...")
    try:
        host = (text if text.isascii() else text.encode("idna").decode("ascii")).lower().removesuffix(".")
    except UnicodeError:
        raise not_allowed("host", "The URL's host is not a valid name") from None
    labels = host.split(".")
    if len(host) > MOST_HOST_CHARACTERS or not all(LABEL.fullmatch(label) for label in labels):
        raise not_allowed("host", "The URL's host is not a valid name")
    if not NUMERIC_LABEL.fullmatch(labels[-1]):
        return host, None
    # 2130706433, 0x7f.1 and 017700000001 are 127.0.0.1 to many libraries, and a name to others.
    try:
        return host, IPv4Address(host)
    except AddressValueError:
        raise not_allowed("host", "An address must be written as four decimal numbers") from None


def _entry(text: str) -> str:
    """One entry of the operator's list, as `check_url` compares it."""
    try:
        host, _, port = read_authority(text)
    except Refused as refusal:
        raise ValueError(f"{text!r} is neither host nor host:port") from refusal
    return bracketed(host) if port is None else f"{bracketed(host)}:{port}"
