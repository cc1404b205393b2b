"""Links and their watch page, in a real browser on the real system."""

import asyncio
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from sqlalchemy import update
from ulid import ULID

from api.auth import key_hash
from database.accounts import Accounts
from database.engine import writing
from database.statements import insert_if_absent
from database.tables import plans
from support import pictures
from support.chromium import Page, chromium_page
from support.real_system import Answer, RealSystem

VIDEO = "document.getElementById('video')"
WARNING = "document.getElementById('warning')"
STATUS = "document.getElementById('status').textContent"
FRAMES = f"{VIDEO}.getVideoPlaybackQuality().totalVideoFrames"
MOUTH = f"""(() => {{
  const v = {VIDEO}, c = document.createElement('canvas'), g = c.getContext('2d', {{willReadFrequently: true}});
  c.width = 48; c.height = 32;
  g.drawImage(v, v.videoWidth * .38, v.videoHeight * .48, v.videoWidth * .24, v.videoHeight * .22, 0, 0, 48, 32);
  return Array.from(g.getImageData(0, 0, 48, 32).data).filter((_, i) => i % 4 === 1);
}})()"""
"""The green of the picture around the mouth, in a small copy."""
SHOTS = os.environ.get("GREENROOM_TEST_SCREENSHOTS", "")
"""A folder, for people who want to look at the page."""
SENTENCE = "Hello there. I am so happy to see you, and I have a lot of things to tell you about."


async def new_link(system: RealSystem, avatar: str, **fields: Any) -> Answer:
    """A link to an avatar."""
    answer = await system.call("POST", "/v1/links", json={"avatar": avatar, **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["link"])


async def looked_at(page: Page, name: str) -> None:
    """A picture of the page, for those who asked for it."""
    if SHOTS:
        await page.screenshot(Path(SHOTS) / f"{name}.png")


async def movement(page: Page, seconds: float) -> float:
    """How much the mouth moves: the mean change from one look to the next, in levels."""
    looks: list[Any] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        looks.append(await page.js(MOUTH))
        await asyncio.sleep(0.08)
    taken = np.asarray(looks, np.float32)
    return float(np.abs(np.diff(taken, axis=0)).mean())


async def check_page(page: Page, system: RealSystem) -> None:
    """Nothing was refused by the page's own policy, and nobody else was asked for anything."""
    hosts = {urlsplit(url).netloc for url in page.requests if not url.startswith(("data:", "blob:"))}
    allowed = {urlsplit(system.running.api_url).netloc, urlsplit(system.livekit.url).netloc}
    assert hosts <= allowed, hosts
    assert [text for text in page.complaints if "Content Security Policy" in text or "Refused" in text] == []


async def fits(page: Page) -> None:
    """Nothing hangs over the side, and every control is large enough for a finger."""
    assert await page.js("document.documentElement.scrollWidth <= window.innerWidth")
    small = "[...document.querySelectorAll('button, input')].filter(e => e.offsetParent && e.offsetHeight < 44).length"
    assert await page.js(small) == 0


async def test_who_has_a_link_sees_the_avatar_and_makes_it_speak(
    real_system: RealSystem, astronaut: str, measured: Callable[[str], None]
) -> None:
    """By keyboard alone: start, read the state, have a text spoken, interrupt, end. The mouth moves only then."""
    speaks = shutil.which("espeak-ng") is not None
    assert speaks or os.environ.get("CI") != "true", "no espeak-ng on PATH"
    link = await new_link(real_system, astronaut, name="Eileen")
    async with chromium_page() as page:
        await page.resize(1280, 900)
        await page.open(link["url"])
        assert await page.js(STATUS) == "Ready when you are"
        await fits(page)
        await looked_at(page, "desktop-idle")
        began = time.monotonic()
        await page.press("Tab")
        await page.press("Enter", text="\r")
        await page.until(f"{STATUS} === 'Live'", within_s=40)
        visible = time.monotonic() - began
        size = await page.js(f"[{VIDEO}.videoWidth, {VIDEO}.videoHeight]")
        frames, since = await page.js(FRAMES), time.monotonic()
        idle = await movement(page, 2)
        fps = (await page.js(FRAMES) - frames) / (time.monotonic() - since)
        await looked_at(page, "desktop-live")
        spoken = 0.0
        if speaks:
            assert await page.js("document.activeElement.id") == "text"
            await page.write(SENTENCE)
            await page.press("Enter", text="\r")
            await page.until(f"{STATUS} === 'Speaking…'", within_s=15)
            spoken = await movement(page, 2)
            await looked_at(page, "desktop-speaking")
            await page.press("Escape")
            await page.until(f"{STATUS} === 'Live'", within_s=10)
        await page.resize(390, 844)
        await page.dark(on=True)
        await fits(page)
        await looked_at(page, "phone-live-dark")
        await page.js("document.getElementById('end').focus()")
        await page.press("Enter", text="\r")
        assert await page.until(f"document.body.dataset.state === 'ended' && {STATUS}") == "The session has ended."
        await looked_at(page, "phone-ended-dark")
        await check_page(page, real_system)
    measured(f"visible {visible:.2f} s, {fps:.1f} fps, mouth idle {idle:.2f}, speaking {spoken:.2f}")
    assert size == [1280, 960]
    assert fps > 5  # the browser decodes and this machine encodes on the same cores
    assert not speaks or spoken > 1.5 * idle
    (session,) = (await real_system.call("GET", "/v1/sessions?status=ended")).json()["sessions"][:1]
    assert (session["end_reason"], session["metadata"]) == ("ended_by_request", {"link": link["reference"]})
    assert (await real_system.call("GET", f"/v1/links/{link['link_id']}")).json()["link"]["uses"] == 1
    await real_system.wait_released()


async def hurried_account(system: RealSystem, seconds: int) -> str:
    """The key of an account whose sessions may last so long."""
    plan = f"hurried_{seconds}"
    row = {"key": plan, "name": "Hurried", "max_session_seconds": seconds, "max_concurrent_sessions": 2}
    async with writing(system.engine) as connection:
        await insert_if_absent(connection, plans, row)
    key = f"ah_test_{ULID()}"
    await Accounts(system.engine).create(f"acct_{plan}", plan, plan)
    await Accounts(system.engine).add_key(f"acct_{plan}", key_hash(key), "first")
    return key


async def last_seconds(page: Page) -> int:
    """The seconds of the page's clock."""
    minutes, seconds = (await page.js("document.getElementById('time-left').textContent")).split()[0].split(":")
    return int(minutes) * 60 + int(seconds)


async def test_a_preview_is_shown_once_and_says_so_the_second_time(real_system: RealSystem) -> None:
    """The address of a preview opens the page; its one session runs until its time is up, and cannot be had again.

    The microphone makes the avatar speak as well: here it is the browser's made-up one, which beeps.
    """
    key = await hurried_account(real_system, 15)
    body = {"avatar_id": "avat_01KMZJ4WE5QCD9G3EK21QW8NJK"}
    answer = await real_system.call("POST", "/v1/avatars/preview", key=key, json=body)
    assert answer.status_code == 201, answer.text
    async with chromium_page() as page:
        await page.open(answer.json()["url"])
        await page.js("document.getElementById('start').click()")
        await page.until(f"{STATUS} === 'Live'", within_s=40)
        await page.js("document.getElementById('microphone').click()")
        await page.until(f"{STATUS} === 'Speaking…'", within_s=20)
        assert await page.js("document.getElementById('microphone').getAttribute('aria-pressed')") == "true"
        assert re.fullmatch(r"00:[01]\d left", await page.js("document.getElementById('time-left').textContent"))
        warned = await page.until(f"!{WARNING}.hidden && {WARNING}.textContent", within_s=15)
        assert re.fullmatch(r"The session ends in 1?\d s: its time is nearly up\.", warned)
        await looked_at(page, "desktop-warned")
        words = await page.until(f"document.body.dataset.state === 'ended' && {STATUS}", within_s=40)
        assert words == "The session's time is up."
        await page.js("document.getElementById('start').click()")
        words = await page.until(f"document.body.dataset.state === 'failed' && {STATUS}")
        assert words == "This link has been used as often as it may be"
        await check_page(page, real_system)
    listed = (await real_system.call("GET", "/v1/links", key=key)).json()["links"]
    assert answer.json()["url"] not in [link["url"] for link in listed]
    await real_system.wait_released()


async def test_the_page_notices_that_its_session_was_extended(real_system: RealSystem) -> None:
    """A warned page takes its warning back, and its clock shows the new time, once its session was extended."""
    key = await hurried_account(real_system, 40)
    body = {"avatar": "avat_01KMZJ4WE5QCD9G3EK21QW8NJK"}
    link = (await real_system.call("POST", "/v1/links", key=key, json=body)).json()["link"]
    async with chromium_page() as page:
        await page.open(link["url"])
        await page.js("document.getElementById('start').click()")
        await page.until(f"!{WARNING}.hidden", within_s=40)
        async with writing(real_system.engine) as connection:
            await connection.execute(update(plans).where(plans.c.key == "hurried_40").values(max_session_seconds=400))
        (session,) = (await real_system.call("GET", "/v1/sessions?status=started", key=key)).json()["sessions"]
        way = f"/v1/sessions/{session['session_id']}/extend"
        assert (await real_system.call("POST", way, key=key, json={"seconds": 300})).status_code == 200
        await page.until(f"{WARNING}.hidden", within_s=20)
        assert await last_seconds(page) > 60
        assert await page.js("document.body.dataset.state") == "live"
        await page.js("document.getElementById('end').click()")
        await page.until("document.body.dataset.state === 'ended'", within_s=10)
        await check_page(page, real_system)
    await real_system.wait_released()


async def test_a_start_that_fails_costs_no_use(real_system: RealSystem, astronaut: str) -> None:
    """The avatar of a link was deleted: 404, and the link is as unused as before. No key is asked for."""
    avatar = (await real_system.upload(pictures.newton()))["avatar_id"]
    link = await new_link(real_system, avatar, use_limit=1)
    assert (await real_system.call("DELETE", f"/v1/avatars/{avatar}")).status_code == 200
    address = f"{real_system.running.api_url}/v1/links/start-session"
    answer = await real_system.http.post(address, json={"link_id": link["link_id"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "AVATAR_NOT_FOUND")
    found = (await real_system.call("GET", f"/v1/links/{link['link_id']}")).json()["link"]
    assert (found["uses"], found["status"]) == (0, "active")


async def test_a_link_starts_a_session_as_the_contract_has_it(real_system: RealSystem, astronaut: str) -> None:
    """Contract 12: the way into a room and whom to talk to; what is no ratio is 4:3; the token ends it."""
    link = await new_link(real_system, astronaut, aspect_ratio="1:1")
    address = f"{real_system.running.api_url}/v1/links/start-session"
    answer = await real_system.http.post(address, json={"link_id": link["link_id"], "aspect_ratio": "16:9"})
    assert answer.status_code == 201, answer.text
    started = answer.json()
    assert {"success", "session_id", "livekit_url", "participant_token", "agent_identity"} <= started.keys()
    assert (started["agent_identity"], started["aspect_ratio"]) == ("agenthuman-avatar-agent", "4:3")
    way = f"{real_system.running.api_url}/watch/sessions/{started['session_id']}"
    for token in (None, "k1.wrong", real_system.running.api_key):
        headers = {"x-session-token": token} if token else {}
        unknown = await real_system.http.get(way, headers=headers)
        assert (unknown.status_code, unknown.json()) == (401, {"error": "Invalid session credentials"})
        for path, body in (("end", None), ("speech", {"text": "hello"})):
            refused = await real_system.http.post(f"{way}/{path}", json=body, headers=headers)
            assert (refused.status_code, refused.json()) == (401, {"error": "Invalid session credentials"})
    held = {"x-session-token": started["session_token"]}
    known = (await real_system.http.get(way, headers=held)).json()
    assert known == {"status": "started", "expiration": started["expiration"], "end_reason": None}
    for _ in range(2):
        ended = await real_system.http.post(f"{way}/end", headers=held)
        assert (ended.status_code, ended.json()["end_reason"]) == (200, "ended_by_request")
    late = await real_system.http.post(f"{way}/speech", json={"text": "hello"}, headers=held)
    assert (late.status_code, late.json()["error"]["code"]) == (400, "SESSION_ENDED")
    await real_system.wait_released()
