"""Which URLs are fetched, by their text alone: one reading each, and none that leads inside."""
# ruff: noqa: RUF001 - characters that look like others are what is tested

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.failures import FailureCode, Refused
from domain.picture_urls import check_url, parse_hosts, redirected
from domain.public_addresses import is_public

GOOD = {
    "http://pictures.example": "http://pictures.example/",
    "https://pictures.example?a=b": "https://pictures.example/?a=b",
    "HTTPS://Pictures.Example/A.png": "https://pictures.example/A.png",
    "https://pictures.example:443/a": "https://pictures.example/a",
    "http://pictures.example:/a": "http://pictures.example/a",
    "http://pictures.example:443/a": "http://pictures.example:443/a",
    "https://pictures.example:8443/a#part": "https://pictures.example:8443/a",
    "https://pictures.example./a": "https://pictures.example/a",
    " https://pictures.example/a b\n": "https://pictures.example/a%20b",
    "https://pictures.example/%2e%2E/%zz?%41": "https://pictures.example/%2e%2E/%zz?%41",
    "https://pictures.example/ä\\x|y": "https://pictures.example/%C3%A4%5Cx%7Cy",
    "https://bücher.example/a": "https://xn--bcher-kva.example/a",
    "https://xn--bcher-kva.example/a": "https://xn--bcher-kva.example/a",
    "https://a_b.pictures-2.example/a": "https://a_b.pictures-2.example/a",
    "http://8.8.8.8/a": "http://8.8.8.8/a",
    "http://[2606:4700:4700:0::1111]:8080/a": "http://[2606:4700:4700::1111]:8080/a",
    "https://pictures.example/a@b:c": "https://pictures.example/a@b:c",
}


@pytest.mark.parametrize("url", GOOD)
def test_a_url_is_read_in_one_way(url: str) -> None:
    """What will be asked for is spelled out; what was encoded stays so."""
    assert check_url(url).text == GOOD[url]


BAD = {
    "length": ["https://pictures.example/" + "a" * 2024],
    "characters": ["https://pictures.example/\x00", "https://pictures.example/\r\nHost: a", "http://a.example/\ud800"],
    "scheme": [
        "", "pictures.example", "ftp://pictures.example", "file:///etc/passwd", "//pictures.example", "http:/a.example",
        "http:a.example", "javascript:alert(1)", "data:image/png;base64,AAAA", "https:\\\\a.example", "httpx://a.example",
    ],
    "credentials": [
        "https://user@pictures.example/", "https://user:word@pictures.example/", "https://@pictures.example/",
        "http://pictures.example@127.0.0.1/", "http://127.0.0.1\\@pictures.example/", "http://a:80@b.example/",
    ],
    "host": [
        "http://", "http:///a", "http://:80/", "http://a..example/", "http://.a.example/", "http://a.example../",
        "http://a b.example/", "http://a%2eexample/", "http://127.0.0.1%2f/", "http://a.example\\b/", "http://a,b.example/",
        "http://2130706433/", "http://0x7f.1/", "http://017700000001/", "http://0x7f000001/", "http://127.1/",
        "http://0177.0.0.1/", "http://127.0.0.01/", "http://1.2.3.4.5/", "http://256.1.1.1/", "http://8.8.8.8.0x8/",
        "http://[::1/", "http://::1/", "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[127.0.0.1]/",
        "http://[::1].example/", "http://[:::]/", "http://straße.example/", "http://a\u200db.example/",
        "http://" + "a" * 64 + ".example/", "http://" + "a." * 126 + "example/", "http://a.example:80:80/",
        "http://a.example:-1/", "http://a.example:8o/", "http://a.example:٨٠/", "http://a.example:111111/",
        "http://①②⑦.⓪.⓪.①.②/", "http://℀.example/",
    ],
    "port": [
        "http://a.example:0/", "http://a.example:65536/", "http://a.example:22/", "http://a.example:25/",
        "https://a.example:1023/", "http://8.8.8.8:53/",
    ],
    "address": [
        "http://127.0.0.1/", "http://127.0.0.1./", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/", "http://0.0.0.0/", "http://[::1]/", "http://[::]/", "http://[::ffff:8.8.8.8]/",
        "http://[::ffff:7f00:1]/", "http://[::127.0.0.1]/", "http://[64:ff9b::127.0.0.1]/", "http://[2002:7f00:1::]/",
        "http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://[ff02::1]/", "http://224.0.0.1/", "http://255.255.255.255/",
        "http://localhost/", "http://LOCALHOST:8080/", "http://a.localhost/", "http://localhost./", "http://db/",
        "http://printer.local/", "http://metadata.google.internal/", "http://localhost.localdomain/",
        "http://１２７．０．０．１/", "http://127。0。0。1/", "http://①②⑦.⓪.⓪.①/", "http://ⓛocalhost/",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("reason", "url"), [(reason, url) for reason, urls in BAD.items() for url in urls])
def test_every_trick_is_refused(reason: str, url: str) -> None:
    """By the code for URLs, with the reason in one word."""
    with pytest.raises(Refused) as caught:
        check_url(url)
    assert caught.value.code is FailureCode.IMAGE_URL_NOT_ALLOWED
    assert caught.value.details is not None
    assert caught.value.details["reason"] == reason


def test_two_thousand_and_forty_eight_characters_are_enough() -> None:
    """The limit itself is allowed."""
    start = "https://pictures.example/"
    assert check_url(start + "a" * (2048 - len(start))).host == "pictures.example"


def test_a_url_in_a_log_keeps_its_secrets() -> None:
    """Path and query are not part of what is shown."""
    assert "secret" not in repr(check_url("https://pictures.example/secret?secret"))


VOUCHED = parse_hosts("127.0.0.1:9000, minio ,[::1]:9000,Files.Corp.Internal:25,[fd00::0:1]")


@pytest.mark.parametrize(
    ("url", "is_vouched_for"),
    [
        ("http://127.0.0.1:9000/a", True),
        ("http://minio/a", True),
        ("http://MINIO.:9000/a", True),
        ("http://minio:22/a", True),
        ("http://[0:0::1]:9000/a", True),
        ("http://files.corp.internal:25/a", True),
        ("https://[fd00::1]/a", True),
        ("https://pictures.example/a", False),
    ],
)
def test_the_operators_hosts_may_be_inside(url: str, is_vouched_for: bool) -> None:
    """A host with any port, or with the one that is named."""
    assert check_url(url, VOUCHED).is_vouched_for is is_vouched_for


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a", "http://127.0.0.1:9001/a", "http://minio.localhost/a", "http://[::1]/a", "http://a:9000/",
        "http://127.1:9000/", "http://2130706433:9000/", "http://a@minio/", "ftp://minio/", "http://files.corp.internal/a",
        "http://minio:70000/a", "http://[::ffff:127.0.0.1]:9000/",
    ],
)  # fmt: skip
def test_all_else_stays_refused(url: str) -> None:
    """Neighbours of the operator's hosts, and other spellings."""
    with pytest.raises(Refused):
        check_url(url, VOUCHED)


@pytest.mark.parametrize(
    "text", ["*", "http://minio", "minio/a", "a@b", "minio:x", "minio:0", "::1", "[::1", "a b", "0x7f.1"]
)
def test_a_list_with_a_wrong_entry_is_refused_at_once(text: str) -> None:
    """Rather than left without effect; the entry is quoted."""
    with pytest.raises(ValueError, match="is neither host nor host:port"):
        parse_hosts(f"minio,{text}")


def test_an_empty_list_names_nobody() -> None:
    """Spare commas do no harm."""
    assert parse_hosts("") == parse_hosts(" , ") == frozenset()


def test_a_redirect_is_read_from_where_it_stands() -> None:
    """Relative to the URL, with its port; checked like any URL, and never down to http."""
    url = check_url("https://pictures.example:8443/a/b?c")
    assert redirected(url, "../d e").text == "https://pictures.example:8443/d%20e"
    assert redirected(url, "//other.example/x").text == "https://other.example/x"
    assert redirected(check_url("http://a.example"), "https://a.example").scheme == "https"
    for location in ("http://pictures.example/", "https://127.0.0.1/", "https://a@b.example/", "https://[", "\udcff"):
        with pytest.raises(Refused) as caught:
            redirected(url, location)
        assert caught.value.code is FailureCode.IMAGE_URL_NOT_ALLOWED


def judged(url: str) -> None:
    """A URL is read or refused; an address that is read is public; what is asked for reads the same again."""
    try:
        found = check_url(url)
    except Refused as refusal:
        assert refusal.code is FailureCode.IMAGE_URL_NOT_ALLOWED  # noqa: PT017 - anything else falls through
        return
    assert found.text.isascii()
    assert "@" not in found.text.split("/")[2]
    assert not set(found.text) & set(" \t\r\n\\")
    try:
        address = ip_address(found.host)
    except ValueError:
        address = None
    assert address == found.address
    assert address is None or is_public(address)
    if len(found.text) <= 2048:
        assert check_url(found.text) == found


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.text())
@example("http://[::ffff:1.2.3.4]")
def test_no_text_does_anything_else(text: str) -> None:
    """As a URL, as a host, as a path and as a port."""
    judged(text)
    judged(f"http://{text}")
    judged(f"https://pictures.example/{text}")
    judged(f"https://pictures.example:{text}")


PIECES = st.sampled_from(
    ["http://", "https://", "//", "/", "\\", "@", ":", "#", "?", "%", "[", "]", ".", "..", "127", "0x7f", "0177", "1",
     "::1", "::ffff:", "fe80::", "%25", "%2e", "%00", "localhost", "example", "a", "80", "65536", "。", "．", "１", "ß",
     "\u200d", "\ud800", "\r\n", " ", "xn--", "internal", "169.254.169.254", "2130706433", "user:word@"]
)  # fmt: skip


@settings(max_examples=700, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_no_hostile_url_does_anything_else(url: str) -> None:
    """Made of the pieces of which attacks are made."""
    judged(url)
    judged(f"http://{url}")


SPELLINGS = [
    "{dotted}",
    "{number}",
    "0x{number:08x}",
    "0{number:o}",
    "{dotted}.",
    "{first}.{rest}",
    "[::ffff:{dotted}]",
]
SPELLINGS += ["[::{dotted}]", "[64:ff9b::{dotted}]", "[::ffff:0:{dotted}]", "0{dotted}", "user@{dotted}"]


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.ip_addresses(v=4), st.sampled_from(SPELLINGS))
def test_no_spelling_of_an_address_that_is_not_public_passes(address: object, spelling: str) -> None:
    """Dotted, as a number, in hex and octal, shortened, or inside IPv6."""
    host_of = int(ip_address(str(address)))
    host = spelling.format(dotted=address, number=host_of, first=host_of >> 24, rest=host_of & 0xFFFFFF)
    judged(f"http://{host}/")
    if not is_public(ip_address(str(address))):
        with pytest.raises(Refused):
            check_url(f"http://{host}/")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.ip_addresses(v=6), st.booleans())
def test_no_ipv6_address_that_is_not_public_passes(address: IPv6Address, long: bool) -> None:
    """Short or written out."""
    url = f"http://[{address.exploded if long else address.compressed}]/"
    if is_public(address):
        assert check_url(url).address == address
    else:
        with pytest.raises(Refused):
            check_url(url)
