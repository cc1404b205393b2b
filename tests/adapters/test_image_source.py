"""Pictures fetched by URL, over real connections: where they come from, what is sent, and every bound."""

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest

from adapters.image_source import FetchLimits, PictureSource
from domain.failures import FailureCode, Refused
from domain.public_addresses import Address
from support.picture_web import PUBLIC, PictureWeb, endless, picture_web, redirect, response

PICTURE = b"\x89PNG\r\n\x1a\n and so on"
NOT_ALLOWED, UNUSABLE = FailureCode.IMAGE_URL_NOT_ALLOWED, FailureCode.IMAGE_URL_UNUSABLE
UNREACHABLE, TOO_LARGE = FailureCode.IMAGE_URL_UNREACHABLE, FailureCode.IMAGE_TOO_LARGE
SECRET = "signature-that-nobody-may-see"


class FakeNames:
    """A resolver of one's own making: each look-up takes a name's next answer, and the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): list(found) for name, found in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> list[str]:
        """The addresses of a host."""
        self.asked.append(host)
        answers = self._answers.get(host)
        if answers is None:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


def is_played_public(address: Address) -> bool:
    """All of loopback plays the internet, save for 127.0.0.1."""
    return str(address) != "127.0.0.1"


@pytest.fixture
async def web() -> AsyncIterator[PictureWeb]:
    """A host on the internet."""
    async with picture_web() as web:
        web.answers["/a.png"] = response(200, PICTURE)
        yield web


@pytest.fixture
async def inner() -> AsyncIterator[PictureWeb]:
    """A host that nobody outside may reach."""
    async with picture_web(host="127.0.0.1") as inner:
        inner.answers["/a.png"] = response(200, b"an inner secret")
        yield inner


Open = Callable[..., PictureSource]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Makes sources whose `pictures.example` is at the played internet, and closes them."""
    sources: list[PictureSource] = []

    def make(names: FakeNames | None = None, *hosts: str, **limits: float) -> PictureSource:
        chosen = names or FakeNames(pictures_example=[[PUBLIC]])
        bounds = FetchLimits(**limits)
        sources.append(PictureSource(hosts, limits=bounds, resolve=chosen, is_public=is_played_public))
        return sources[-1]

    yield make
    for source in sources:
        await source.aclose()


def at(web: PictureWeb, path: str = "/a.png", host: str = "pictures.example") -> str:
    """A URL on the server."""
    return f"http://{host}:{web.port}{path}"


async def refusal(source: PictureSource, url: str) -> Refused:
    """How it is refused; whatever the reason, the URL's secrets are in no word of it."""
    with pytest.raises(Refused) as caught:
        await source.fetch(url)
    told = f"{caught.value.message} {caught.value.details} {caught.value!r}"
    assert SECRET not in told
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return caught.value


async def test_a_picture_is_fetched_and_nothing_is_told(web: PictureWeb, opened: Open) -> None:
    """The body comes as it is; of us the host learns our name and what we take, and no more."""
    assert await opened().fetch(at(web, "/a.png#part")) == PICTURE
    first, *lines = web.requests[0].strip().split("\r\n")
    assert first == "GET /a.png HTTP/1.1"
    headers = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
    assert headers.pop("host") == f"pictures.example:{web.port}"
    assert headers.pop("user-agent") == "Greenroom"
    assert headers.pop("accept").startswith("image/jpeg")
    assert headers.pop("accept-encoding") == "identity"
    assert headers in ({}, {"connection": "close"})


async def test_path_and_query_arrive_as_they_were_written(web: PictureWeb, opened: Open) -> None:
    """A signed URL stays valid: nothing that is encoded is decoded, and only what must be is encoded."""
    written = "/b%2Fc%7e%20d+e;f?sig=A%2FB%3d%3D&x=[1]&y=a/b?c&name=b"
    web.answers[written] = response(200, PICTURE)
    assert await opened().fetch(at(web, written)) == PICTURE
    web.answers["/%C3%A4%20%7Bx%7D.png"] = response(200, PICTURE)
    assert await opened().fetch(at(web, "/ä {x}.png")) == PICTURE


async def test_no_proxy_and_no_password_of_the_machine_is_used(
    web: PictureWeb, opened: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """Variables that other clients obey lead nowhere: the connection is ours."""
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:  # noqa: ASYNC230, PTH123
        file.write("machine pictures.example login us password ours\n")
    for name, value in {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NETRC": netrc}.items():
        monkeypatch.setenv(name, value)
    assert await opened().fetch(at(web)) == PICTURE
    assert "authorization" not in web.requests[0].lower()


async def test_a_host_is_looked_up_once_and_that_address_is_connected_to(
    web: PictureWeb, inner: PictureWeb, opened: Open
) -> None:
    """A name that turns private at the second look-up finds no second look-up."""
    inner.answers = web.answers
    names = FakeNames(pictures_example=[[PUBLIC], ["127.0.0.1"]])
    assert await opened(names).fetch(at(web)) == PICTURE
    assert names.asked == ["pictures.example"]
    assert (web.connections, inner.connections) == (1, 0)


async def test_a_redirect_to_the_same_name_is_looked_up_and_checked_again(web: PictureWeb, opened: Open) -> None:
    """A name that turns private between two hops is refused at the second."""
    web.answers["/start"] = redirect("/a.png")
    names = FakeNames(pictures_example=[[PUBLIC], ["127.0.0.1"]])
    assert (await refusal(opened(names), at(web, "/start"))).code is NOT_ALLOWED
    assert names.asked == ["pictures.example"] * 2
    assert web.connections == 1


@pytest.mark.parametrize("found", [["127.0.0.1"], [PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC]])
async def test_one_private_address_among_a_hosts_is_enough(web: PictureWeb, opened: Open, found: list[str]) -> None:
    """All addresses of a name are judged, and nobody is connected to."""
    refused = await refusal(opened(FakeNames(pictures_example=[found])), at(web, f"/a.png?{SECRET}"))
    assert refused.code is NOT_ALLOWED
    assert refused.details == {"reason": "address", "host": "pictures.example"}
    assert web.connections == 0


async def test_the_next_address_is_tried_where_the_first_is_dead(web: PictureWeb, opened: Open) -> None:
    """Of a name's public addresses one that answers is enough."""
    assert await opened(FakeNames(pictures_example=[["127.0.0.3", PUBLIC]])).fetch(at(web)) == PICTURE


ASTRAY = [
    "http://127.0.0.1:{port}/a.png",
    "http://[::1]:{port}/a.png",
    "http://[::ffff:127.0.0.1]:{port}/a.png",
    "http://localhost:{port}/a.png",
    "http://2130706433:{port}/a.png",
    "http://inner.example:{port}/a.png",
    "//inner.example:{port}/a.png",
    "http://user:word@pictures.example/a.png",
    "file:///etc/passwd",
    "gopher://pictures.example/",
    "data:image/png;base64,AAAA",
    "http://169.254.169.254/latest/meta-data/",
    "http://[bad",
    "http://pictures.example:25/",
    "\xff\xfe",
]


@pytest.mark.parametrize("location", ASTRAY)
async def test_a_redirect_is_checked_as_the_first_url_was(
    web: PictureWeb, inner: PictureWeb, opened: Open, location: str
) -> None:
    """To whatever private place it leads, by address or by name, nobody knocks there."""
    names = FakeNames(pictures_example=[[PUBLIC]], inner_example=[["127.0.0.1"]])
    web.answers["/start"] = redirect(location.format(port=inner.port))
    assert (await refusal(opened(names), at(web, f"/start#{SECRET}"))).code is NOT_ALLOWED
    assert inner.connections == 0


@pytest.mark.parametrize("location", ["/a.png", "a.png", "?x", "//pictures.example:{port}/a.png", "/./b/../a.png"])
async def test_three_redirects_are_followed(web: PictureWeb, opened: Open, location: str) -> None:
    """Relative ones too; each is asked for without telling whence we come."""
    web.answers |= {"/1": redirect("/2", 301), "/2": redirect("/3", 307), "/3?x": response(200, PICTURE)}
    web.answers["/3"] = redirect(location.format(port=web.port), 308)
    assert await opened().fetch(at(web, "/1")) == PICTURE
    assert len(web.requests) == 4
    assert not any("referer" in head.lower() or "cookie" in head.lower() for head in web.requests)


@pytest.mark.parametrize("last", ["/5", "/1"])
async def test_the_fourth_redirect_is_refused(web: PictureWeb, opened: Open, last: str) -> None:
    """Whether it goes round in a ring or on and on."""
    web.answers |= {f"/{step}": redirect(f"/{step + 1}") for step in (1, 2, 3)} | {"/4": redirect(last)}
    refused = await refusal(opened(), at(web, "/1"))
    assert (refused.code, refused.details) == (
        UNUSABLE,
        {"reason": "redirects", "host": "pictures.example", "limit": 3},
    )
    assert web.connections == 4


async def test_a_cookie_is_not_carried_to_the_next_hop(web: PictureWeb, opened: Open) -> None:
    """Nothing that a host gives us is shown to anybody."""
    web.answers["/start"] = response(302, b"", Location="/a.png", Set_Cookie="a=b; Path=/")
    assert await opened().fetch(at(web, "/start")) == PICTURE
    assert "cookie" not in web.requests[1].lower()


STATUSES = [(204, UNUSABLE), (206, UNUSABLE), (300, UNUSABLE), (304, UNUSABLE), (401, UNUSABLE), (403, UNUSABLE)]
STATUSES += [(404, UNUSABLE), (410, UNUSABLE), (416, UNUSABLE)]
STATUSES += [(status, UNREACHABLE) for status in (408, 425, 429, 500, 502, 503, 504)]


@pytest.mark.parametrize(("status", "code"), STATUSES)
async def test_any_status_but_200_is_refused(web: PictureWeb, opened: Open, status: int, code: FailureCode) -> None:
    """With the status in the details; those that may pass have a code that is tried again."""
    body = b"" if status in (204, 304) else PICTURE
    web.answers["/x?secret=" + SECRET] = response(status, body)
    refused = await refusal(opened(), at(web, "/x?secret=" + SECRET))
    assert refused.code is code
    assert refused.details == {"reason": "status", "host": "pictures.example", "status": status}


async def test_a_redirect_without_a_goal_is_refused(web: PictureWeb, opened: Open) -> None:
    """It is a status like any other."""
    web.answers["/x"] = response(302, b"")
    assert (await refusal(opened(), at(web, "/x"))).details == {
        "reason": "status", "host": "pictures.example", "status": 302,
    }  # fmt: skip


async def test_the_size_limit_is_exact(web: PictureWeb, opened: Open) -> None:
    """So many bytes are taken, one more is refused before a byte of it is read."""
    web.answers |= {"/most": response(200, b"x" * 1000), "/more": response(200, b"x" * 1001)}
    source = opened(most_bytes=1000)
    assert len(await source.fetch(at(web, "/most"))) == 1000
    refused = await refusal(source, at(web, "/more"))
    assert (refused.code, refused.details) == (TOO_LARGE, {"bytes": 1001, "limit": 1000})


async def test_a_body_that_only_announces_its_size_is_refused_at_once(web: PictureWeb, opened: Open) -> None:
    """What will be too much is not waited for."""
    web.answers["/x"] = endless(b"", head=response(200, b"", Content_Length=str(10 * 2**20 + 1)), pause_s=0.05)
    began = time.monotonic()
    refused = await refusal(opened(), at(web, "/x"))
    assert (refused.code, refused.details) == (TOO_LARGE, {"bytes": 10 * 2**20 + 1, "limit": 10 * 2**20})
    assert time.monotonic() - began < 2


CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


@pytest.mark.parametrize(
    ("headers", "piece"),
    [({"Content_Length": ""}, b"x" * 65536), ({"Content_Length": "", "Transfer_Encoding": "chunked"}, CHUNK)],
)
async def test_a_body_without_end_is_cut_at_the_limit(
    web: PictureWeb, opened: Open, headers: dict[str, str], piece: bytes
) -> None:
    """Without a length, or in chunks: what comes is counted, and little more than the limit was ever read."""
    web.answers["/x"] = endless(piece, head=response(200, b"", **headers))
    refused = await refusal(opened(most_bytes=300_000), at(web, "/x"))
    assert refused.code is TOO_LARGE
    assert refused.details is not None
    assert 300_000 < refused.details["bytes"] < 700_000


async def test_a_compressed_body_is_refused_and_never_inflated(web: PictureWeb, opened: Open) -> None:
    """We asked for none; a thousandfold bomb stays what it is."""
    web.answers["/x"] = response(200, gzip.compress(bytes(10**6)), Content_Encoding="gzip")
    refused = await refusal(opened(most_bytes=100_000), at(web, "/x"))
    assert (refused.code, refused.details) == (UNUSABLE, {"reason": "encoding", "host": "pictures.example"})


async def test_an_empty_body_is_refused(web: PictureWeb, opened: Open) -> None:
    """A status of 200 alone is no picture."""
    web.answers["/x"] = response(200, b"")
    assert (await refusal(opened(), at(web, "/x"))).details == {"reason": "empty", "host": "pictures.example"}


async def test_a_body_that_breaks_off_may_be_asked_for_again(web: PictureWeb, opened: Open) -> None:
    """Less than was announced is not taken for the whole."""
    web.answers["/x"] = response(200, PICTURE, Content_Length="1000")
    refused = await refusal(opened(), at(web, "/x"))
    assert (refused.code, refused.details) == (UNREACHABLE, {"reason": "connection", "host": "pictures.example"})


SLOW = {
    "a silent host": endless(b"", head=b"", pause_s=0.01),
    "a head in drips": endless(b"X-A: b\r\n", head=b"HTTP/1.1 200 OK\r\n", pause_s=0.02),
    "a body in drips": endless(b"x", head=response(200, b"", Content_Length="1000"), pause_s=0.02),
    "answers before the answer": endless(b"HTTP/1.1 103 Early\r\n\r\n", head=b"", pause_s=0.01),
}


@pytest.mark.parametrize("name", SLOW)
async def test_a_slow_host_is_left_in_time(web: PictureWeb, opened: Open, name: str) -> None:
    """However it drags its feet, the bound is on everything together."""
    web.answers["/x"] = SLOW[name]
    began = time.monotonic()
    refused = await refusal(opened(seconds=0.3), at(web, f"/x#{SECRET}"))
    assert time.monotonic() - began < 1.5
    assert (refused.code, refused.details) == (
        UNREACHABLE,
        {"reason": "time", "host": "pictures.example", "seconds_limit": 0.3},
    )


async def test_slow_hops_share_one_bound(web: PictureWeb, opened: Open) -> None:
    """Three hops that each stay within it do not within it together."""

    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(redirect("/late"))
        await writer.drain()

    web.answers["/late"] = late
    refused = await refusal(opened(seconds=0.5), at(web, "/late"))
    assert refused.details is not None
    assert refused.details["reason"] == "time"


async def test_a_slow_look_up_counts_too(web: PictureWeb) -> None:
    """A name server may be the attacker's own."""

    async def never(host: str) -> list[str]:
        await asyncio.sleep(5)
        return [host]

    source = PictureSource(limits=FetchLimits(seconds=0.1), resolve=never)
    assert (await refusal(source, at(web))).code is UNREACHABLE
    await source.aclose()


@pytest.mark.parametrize("piece", [b"X-A: " + b"b" * 1000 + b"\r\n", b"b" * 65536])
async def test_a_head_without_end_is_refused(web: PictureWeb, opened: Open, piece: bytes) -> None:
    """Headers are bounded as the body is, in lines and in length."""
    web.answers["/x"] = endless(piece, head=b"HTTP/1.1 200 OK\r\nX-B: c")
    refused = await refusal(opened(seconds=5), at(web, "/x"))
    assert (refused.code, refused.details) == (UNUSABLE, {"reason": "protocol", "host": "pictures.example"})


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 2OO OK\r\n\r\n", b"\0\1\2\r\n\r\n"])
async def test_what_is_no_http_is_refused(web: PictureWeb, opened: Open, answer: bytes) -> None:
    """Another service's words reach nobody."""
    web.answers["/x"] = answer
    assert (await refusal(opened(), at(web, "/x"))).details == {"reason": "protocol", "host": "pictures.example"}


async def test_a_host_that_hangs_up_may_be_asked_again(web: PictureWeb, opened: Open) -> None:
    """Nothing answered, or nobody listening: both may pass."""
    web.answers["/x"] = b""
    assert (await refusal(opened(), at(web, "/x"))).code is UNREACHABLE
    with socket.socket() as unused:
        unused.bind((PUBLIC, 0))
        url = f"http://pictures.example:{unused.getsockname()[1]}/{SECRET}"
        assert (await refusal(opened(), url)).details == {"reason": "connection", "host": "pictures.example"}


@pytest.mark.parametrize(
    ("number", "code"),
    [(socket.EAI_NONAME, UNUSABLE), (socket.EAI_AGAIN, UNREACHABLE), (socket.EAI_FAIL, UNREACHABLE)],
)
async def test_a_name_that_is_not_and_one_that_cannot_be_asked_for_differ(number: int, code: FailureCode) -> None:
    """The first is final."""

    async def failing(host: str) -> list[str]:
        raise socket.gaierror(number, f"words about {host}")

    source = PictureSource(resolve=failing)
    refused = await refusal(source, f"https://pictures.example/{SECRET}")
    assert (refused.code, refused.details) == (code, {"reason": "name", "host": "pictures.example"})
    await source.aclose()


async def test_the_systems_resolver_is_asked_by_default() -> None:
    """`localhost` is known everywhere; without the operator's word it is not asked for."""
    async with picture_web(host="127.0.0.1") as web:
        web.answers["/a.png"] = response(200, PICTURE)
        source, strict = PictureSource([f"localhost:{web.port}"]), PictureSource()
        assert await source.fetch(at(web, host="localhost")) == PICTURE
        assert (await refusal(strict, at(web, host="localhost"))).code is NOT_ALLOWED
        await source.aclose()
        await strict.aclose()


async def test_for_a_host_that_the_operator_names_only_the_address_goes_unchecked(inner: PictureWeb) -> None:
    """Its other ports, its redirects to others, and its size are looked at as ever."""
    source = PictureSource([f"127.0.0.1:{inner.port}"], limits=FetchLimits(most_bytes=100))
    assert await source.fetch(at(inner, host="127.0.0.1")) == b"an inner secret"
    inner.answers |= {"/away": redirect("http://127.0.0.3/x"), "/large": response(200, b"x" * 101)}
    assert (await refusal(source, at(inner, "/away", host="127.0.0.1"))).code is NOT_ALLOWED
    assert (await refusal(source, at(inner, "/large", host="127.0.0.1"))).code is TOO_LARGE
    assert (await refusal(source, "http://127.0.0.1:8081/a.png")).code is NOT_ALLOWED
    await source.aclose()


async def test_of_many_addresses_a_few_are_tried(web: PictureWeb, opened: Open) -> None:
    """A name cannot make us knock at a thousand doors: an answer at the ninth is not found."""
    dead = [f"127.0.1.{last}" for last in range(1, 9)]
    assert (await refusal(opened(FakeNames(pictures_example=[[*dead, PUBLIC]])), at(web))).code is UNREACHABLE
    assert await opened(FakeNames(pictures_example=[[*dead[:7], PUBLIC]])).fetch(at(web)) == PICTURE
