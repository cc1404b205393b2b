"""Pictures fetched over HTTPS: the certificate is the URL's host's, and from https nothing leads back to http."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.image_source import FetchLimits, PictureSource
from domain.failures import FailureCode, Refused
from domain.public_addresses import Address
from support.picture_web import PUBLIC, Authority, PictureWeb, new_authority, picture_web, redirect, response

PICTURE = b"GIF89a and so on"


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Who signed the host's certificate."""
    return new_authority()


@pytest.fixture
async def web(authority: Authority, tmp_path: Path) -> AsyncIterator[PictureWeb]:
    """A host that is pictures.example, at the played internet."""
    async with picture_web(tls=authority.server(["pictures.example"], tmp_path)) as web:
        web.answers["/a.gif"] = response(200, PICTURE)
        yield web


async def at_the_host(host: str) -> list[str]:
    """Every name leads to the same host."""
    return [PUBLIC] if host else []


def anywhere(address: Address) -> bool:
    """Is an address taken for public? All are."""
    return address is not None


@pytest.fixture
async def source(authority: Authority) -> AsyncIterator[PictureSource]:
    """A source that trusts the authority."""
    source = PictureSource(
        limits=FetchLimits(seconds=5), resolve=at_the_host, is_public=anywhere, tls=authority.client()
    )
    yield source
    await source.aclose()


async def refusal(source: PictureSource, url: str) -> Refused:
    """How it is refused."""
    with pytest.raises(Refused) as caught:
        await source.fetch(url)
    return caught.value


async def test_the_certificate_is_checked_for_the_urls_name(web: PictureWeb, source: PictureSource) -> None:
    """The connection goes to an address, yet the name is what is asked for, shown and proved."""
    assert await source.fetch(f"https://pictures.example:{web.port}/a.gif") == PICTURE
    assert f"host: pictures.example:{web.port}" in web.requests[0].lower()


async def test_another_hosts_certificate_is_refused(web: PictureWeb, source: PictureSource) -> None:
    """Whoever holds the address must hold the name; no request is sent to one who does not."""
    refused = await refusal(source, f"https://other.example:{web.port}/a.gif?secret")
    assert refused.code is FailureCode.IMAGE_URL_UNUSABLE
    assert refused.details == {"reason": "certificate", "host": "other.example"}
    assert web.requests == []


async def test_a_certificate_of_nobody_is_refused_even_where_the_host_is_vouched_for(
    authority: Authority, tmp_path: Path
) -> None:
    """The operator's word is about addresses: without the authority nothing is fetched, with it it is."""
    async with picture_web(tls=authority.server(["127.0.0.1"], tmp_path), host="127.0.0.1") as web:
        web.answers["/a.gif"] = response(200, PICTURE)
        url, hosts = f"https://127.0.0.1:{web.port}/a.gif", [f"127.0.0.1:{web.port}"]
        stranger, friend = PictureSource(hosts), PictureSource(hosts, tls=authority.client())
        assert (await refusal(stranger, url)).details == {"reason": "certificate", "host": "127.0.0.1"}
        assert await friend.fetch(url) == PICTURE
        await stranger.aclose()
        await friend.aclose()


async def test_from_https_no_redirect_leads_to_http(web: PictureWeb, source: PictureSource) -> None:
    """Refused before anybody is asked; to https it is followed."""
    web.answers |= {"/down": redirect(f"http://pictures.example:{web.port}/a.gif"), "/on": redirect("/a.gif")}
    refused = await refusal(source, f"https://pictures.example:{web.port}/down")
    assert (refused.code, refused.details) == (
        FailureCode.IMAGE_URL_NOT_ALLOWED,
        {"reason": "downgrade", "host": "pictures.example"},
    )
    assert len(web.requests) == 1
    assert await source.fetch(f"https://pictures.example:{web.port}/on") == PICTURE


async def test_http_may_lead_to_https(web: PictureWeb, source: PictureSource) -> None:
    """As most hosts do."""
    async with picture_web() as plain:
        plain.answers["/"] = redirect(f"https://pictures.example:{web.port}/a.gif")
        assert await source.fetch(f"http://pictures.example:{plain.port}") == PICTURE


async def test_a_host_that_speaks_no_tls_is_refused(source: PictureSource) -> None:
    """It is no https then."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, PUBLIC, 0) as plain:
        refused = await refusal(source, f"https://pictures.example:{plain.sockets[0].getsockname()[1]}/a.gif")
    assert (refused.code, refused.details) == (
        FailureCode.IMAGE_URL_UNUSABLE,
        {"reason": "certificate", "host": "pictures.example"},
    )
