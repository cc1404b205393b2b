"""The API with its pictures on a real S3 server: where clients find them, and what it says when the server is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from ulid import ULID

from adapters import object_bucket
from api.app import create_app
from api.auth import key_hash
from api.readiness import WITHIN_S
from database.migrations import migrate
from domain.avatars import Avatar
from support.api_system import KEY, PICTURE, ROOM, serving, settings_in
from support.databases import an_avatar
from support.gate import Gate
from support.s3_server import S3Server, s3_address

__all__ = ["s3_address"]

NOBODY = "127.0.0.1:9"
AWAY_WITHIN_S = 10.0
HEADERS = {"x-api-key": KEY}


@dataclass(frozen=True, kw_only=True)
class Site:
    """An API with one avatar, behind a gate to its S3 server."""

    http: httpx.AsyncClient
    gate: Gate
    store: Any
    avatar: Avatar

    async def links(self) -> dict[str, str]:
        """The addresses of the avatar's pictures."""
        listed = (await self.http.get("/v1/avatars", headers=HEADERS)).json()
        (found,) = (one for one in listed["my_avatars"] if one["avatar_id"] == self.avatar.avatar_id)
        return {name: found[name] for name in ("image_url", "preview_url")}


@asynccontextmanager
async def site(server: S3Server, address: str, folder: Path, **more: str) -> AsyncIterator[Site]:
    """An API that reaches the server through a gate."""
    async with Gate(server.ports["s3.port"]) as gate:
        settings = settings_in(folder, **server.settings(address, endpoint=gate.endpoint, **more))
        await migrate(settings.database_address)
        app = create_app(settings, {"TEMPORAL_ADDRESS": NOBODY})
        async with serving(app) as http:
            services: Any = app.state.services
            await services.accounts.create("acct_1", "tester")
            await services.accounts.add_key("acct_1", key_hash(KEY), "first")
            avatar = an_avatar(f"avat_{ULID()}", "acct_1")
            await services.avatars.register(avatar, "0" * 64)
            for portrait in avatar.portraits.values():
                await services.store.put(portrait.key, portrait.key.encode())
            yield Site(http=http, gate=gate, store=services.store, avatar=avatar)


async def test_clients_get_pictures_from_the_s3_server_itself(
    s3_server: S3Server, s3_address: str, tmp_path: Path
) -> None:
    """Where the settings say how they reach it: no key, the right bytes and kind, parts, one address for a while."""
    public = f"http://localhost:{s3_server.ports['s3.port']}"
    async with site(s3_server, s3_address, tmp_path, public_endpoint=public) as api, httpx.AsyncClient() as browser:
        links = await api.links()
        assert links == await api.links()
        for name, profile in (("image_url", api.avatar.primary), ("preview_url", "preview")):
            assert links[name].startswith(f"{public}/")
            answer = await browser.get(links[name])
            assert answer.status_code == 200
            assert answer.content == api.avatar.portraits[profile].key.encode()
            assert answer.headers["content-type"] == "image/jpeg"
            assert "private" in answer.headers["cache-control"]
            part = await browser.get(links[name], headers={"Range": "bytes=2-5"})
            assert (part.status_code, part.content) == (206, answer.content[2:6])
            assert part.headers["content-range"] == f"bytes 2-5/{len(answer.content)}"
            had = await browser.get(links[name], headers={"If-None-Match": answer.headers["etag"]})
            assert (had.status_code, had.content) == (304, b"")
        await api.gate.shut()
        assert links.keys() == (await api.links()).keys()  # made without asking the server


async def test_else_they_get_them_through_the_api(s3_server: S3Server, s3_address: str, tmp_path: Path) -> None:
    """A picture that was deleted is 404; one that cannot be had now is 503, in time."""
    async with site(s3_server, s3_address, tmp_path) as api:
        links = {name: urlsplit(link) for name, link in (await api.links()).items()}
        assert {link.path.split("/")[1] for link in links.values()} == {"files"}
        image, preview = (f"{link.path}?{link.query}" for link in links.values())
        answer = await api.http.get(image)
        assert (answer.status_code, answer.content) == (200, api.avatar.portraits[api.avatar.primary].key.encode())
        await api.store.delete_below(api.avatar.portraits["preview"].key.split("/")[0])
        assert (await api.http.get(preview)).status_code == 404
        await api.gate.shut()
        began = time.monotonic()
        assert (await api.http.get(preview)).status_code == 503
        assert time.monotonic() - began < AWAY_WITHIN_S


@pytest.mark.parametrize("silent", [False, True])
async def test_a_server_that_is_away_is_named_in_time(
    s3_server: S3Server, s3_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, silent: bool
) -> None:
    """Readiness says so, what needs a picture is 503 with nothing started, and what needs none is answered."""
    monkeypatch.setattr(object_bucket, "WITHIN_S", WITHIN_S + 1)  # half of what it is: the test need not wait so long
    async with site(s3_server, s3_address, tmp_path) as api:
        if silent:
            api.gate.hold()
        else:
            await api.gate.shut()
        began = time.monotonic()
        requests = (
            api.http.get("/readyz"),
            api.http.post("/v1/sessions", json={"avatar": PICTURE, "room": ROOM}, headers=HEADERS),
            api.http.post("/v1/avatars/upload-face", json={"image_base64": PICTURE}, headers=HEADERS),
            api.http.get("/healthz"),
        )
        took: list[float] = []

        async def timed(request: Any) -> httpx.Response:
            answer: httpx.Response = await request
            took.append(time.monotonic() - began)
            return answer

        ready, create, upload, health = await asyncio.gather(*map(timed, requests))
        assert max(took) < AWAY_WITHIN_S
        assert min(took) < 1
        assert health.status_code == 200
        assert ready.status_code == 503
        assert ready.json()["parts"]["storage"] == ("no answer" if silent else "away")
        for refused in (create, upload):
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "TEMPORARILY_UNAVAILABLE")
            assert "Retry-After" in refused.headers
            assert "127.0.0.1" not in refused.text
        if silent:
            await api.gate.shut()
        await api.gate.open()
        assert (await api.http.get("/readyz")).json()["parts"]["storage"] == "ok"
