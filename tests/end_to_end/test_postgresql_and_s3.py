"""The same session on PostgreSQL and S3, by nothing but settings; and what an outage of either touches."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from support import pictures
from support.databases import PostgreSQLMaker
from support.fresh_pictures import as_avatar
from support.gate import Gate
from support.postgresql_server import PostgreSQLServer
from support.real_system import RealSystem, new_room, running_real_system
from support.s3_server import BUCKET, S3Server
from support.steadiness import check_gap, three_tries
from support.tokens import AVATAR_IDENTITY

AWAY_WITHIN_S = 10.0
END_WITHIN_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Site:
    """A system whose database is PostgreSQL and whose S3 server stands behind a gate."""

    system: RealSystem
    gate: Gate
    public: str
    """How clients reach the S3 server."""


@pytest.fixture(scope="module")
async def site(
    postgresql_server: PostgreSQLServer, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """One system for the tests of this module."""
    folder = tmp_path_factory.mktemp("postgresql-and-s3")
    public = f"http://localhost:{s3_server.ports['s3.port']}"
    maker = PostgreSQLMaker(postgresql_server)
    database = await maker.empty(folder)
    async with Gate(s3_server.ports["s3.port"]) as gate:
        store = s3_server.settings(f"s3://{BUCKET}/{folder.name}", endpoint=gate.endpoint, public_endpoint=public)
        async with running_real_system(folder, database_url=database, **store) as system:
            yield Site(system=system, gate=gate, public=public)
    await maker.drop(database)
    await maker.aclose()


async def test_a_session_with_a_picture(site: Site, measured: Callable[[str], None]) -> None:
    """Created with a picture, seen by a viewer, ended over HTTP; its picture comes from the S3 server itself."""
    system = site.system
    async with system.live(as_avatar(pictures.astronaut())) as live:
        listed = (await system.call("GET", "/v1/avatars")).json()["my_avatars"]
        (avatar,) = (one for one in listed if one["avatar_id"] == live.session["avatar"]["avatar_id"])
        for name in ("image_url", "preview_url"):
            assert avatar[name].startswith(f"{site.public}/{BUCKET}/")
            answer = await system.http.get(avatar[name])
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
            assert pictures.pixels(answer.content).size
        ended = await system.end(live.session_id)
        measured(f"create {live.create_s:.2f} s")
    assert (ended["status"], ended["end_reason"]) == ("ended", "ended_by_request")
    assert not (system.folder / "greenroom.db").exists()
    assert not (system.folder / "objects").exists()


async def test_an_outage_of_s3_touches_no_session(site: Site, measured: Callable[[str], None]) -> None:
    """A create that needs it is refused in time and may be repeated; pictures go on, and an end is an end."""
    system, gate = site.system, site.gate
    avatar = (await system.upload(pictures.astronaut()))["avatar_id"]
    async with system.live(avatar) as live:
        await gate.shut()
        began = time.monotonic()
        answer = await system.create(as_avatar(pictures.astronaut()), system.room(room=new_room()))
        refused_s = time.monotonic() - began
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert "Retry-After" in answer.headers
        ready = (await system.call("GET", "/readyz")).json()
        assert ready["parts"] | {"storage": ""} == {**dict.fromkeys(ready["parts"], "ok"), "storage": ""}
        assert ready["parts"]["storage"] != "ok"
        by_id = await system.create(avatar, system.room(room=new_room()))  # its portrait is in the server's cache
        assert by_id.status_code == 201, by_id.text
        await system.end(by_id.json()["session"]["session_id"])
        seen = len(live.viewer.frames)
        await live.viewer.wait_frames(seen + 10)
        began = time.monotonic()
        ended = await system.end(live.session_id)
        ended_s = time.monotonic() - began
        await system.livekit.wait_gone(live.room, AVATAR_IDENTITY, within_s=3)
        await gate.open()
    measured(f"refused in {refused_s:.2f} s, end answered in {ended_s:.2f} s")
    assert refused_s < AWAY_WITHIN_S
    assert ended_s < END_WITHIN_S
    assert ended["end_reason"] == "ended_by_request"
    async with asyncio.timeout(AWAY_WITHIN_S):
        await system.upload(pictures.astronaut())


@three_tries
async def test_a_restart_of_postgresql_touches_no_session(
    site: Site, postgresql_server: PostgreSQLServer, measured: Callable[[str], None]
) -> None:
    """While it is away requests are refused at once and may be repeated; the picture goes on, in the same session."""
    system = site.system
    avatar = (await system.upload(pictures.astronaut()))["avatar_id"]
    async with system.live(avatar) as live:
        postgresql_server.kill()
        await live.viewer.wait_frames(len(live.viewer.frames) + 50)
        began = time.monotonic()
        create = await system.create(avatar, system.room(room=new_room()))
        end = await system.call("POST", f"/v1/sessions/{live.session_id}/end")
        refused_s = time.monotonic() - began
        for answer in (create, end):
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        postgresql_server.start()
        began = time.monotonic()
        assert (await system.get(live.session_id))["status"] == "started"
        back_s = time.monotonic() - began
        await live.viewer.wait_frames(len(live.viewer.frames) + 50)  # renewals that found no lease would have ended it
        gap = live.viewer.longest_gap()
        ended = await system.end(live.session_id)
    measured(
        f"longest gap {gap:.2f} s, two requests refused in {refused_s:.2f} s, answered {back_s:.2f} s after the start"
    )
    check_gap(gap)
    assert refused_s < 1
    assert ended["end_reason"] == "ended_by_request"
