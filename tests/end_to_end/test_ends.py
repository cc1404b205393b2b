"""How sessions end when nobody asks: each on the real system, with its reason, and the avatar out of the room."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from livekit import api
from sqlalchemy import insert

from api.auth import key_hash
from database.accounts import Accounts
from database.engine import writing
from database.tables import plans
from support import pictures
from support.real_system import SLOTS, Answer, RealSystem, new_room
from support.room_viewer import RoomViewer
from support.tokens import AVATAR_IDENTITY, person_token

NOBODY_S = 3.0
LEFT_S = 2.0
PLAN_S = 4
LATE_S = 4.0
"""How much later than its timer a session may end: a report waits up to 2 s to be merged, and the machine is small."""
KEY = "gr_" + "e" * 40


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A session that ended by itself."""

    session: Answer
    created: Answer
    lasted_s: float
    """From its start, by the database's clock."""
    gone_s: float
    """From the moment its end was seen until the avatar was out of the room."""
    held_s: float = 0.0
    """From its start to the moment from which the end was due."""


Scenario = Callable[["Scene"], Coroutine[Any, Any, Ending]]


class Scene:
    """One session in one room, through an API whose timers are short."""

    def __init__(self, system: RealSystem, avatar: str, base: str) -> None:
        self.system = system
        self.room = new_room()
        self._avatar = avatar
        self._base = base

    async def create(self, **how: str) -> Answer:
        """Create the session."""
        room = self.system.room(room=self.room)
        answer = await self.system.create(self._avatar, room, base=self._base, **how)
        assert answer.status_code == 201, answer.text
        return dict(answer.json()["session"])

    def somebody(self, kind: Any = "standard") -> RoomViewer:
        """Somebody in the room."""
        token = person_token(self.system.livekit, self.room, identity=kind, kind=kind)
        return RoomViewer(self.system.livekit.url, token)

    async def ended(self, created: Answer, *, held_s: float = 0.0, key: str = "", within_s: float = 10.0) -> Ending:
        """Wait for the end."""
        async with asyncio.timeout(within_s):
            while (session := await self.system.get(created["session_id"], key=key))["status"] != "ended":  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        gone_s = await self.system.livekit.wait_gone(self.room, AVATAR_IDENTITY, within_s=3)
        lasted = datetime.fromisoformat(session["ended_at"]) - datetime.fromisoformat(session["started_at"])
        lasted_s = lasted.total_seconds()
        return Ending(session=session, created=created, lasted_s=lasted_s, gone_s=gone_s, held_s=held_s)


async def nobody_joined(scene: Scene) -> Ending:
    """Only an agent is there."""
    async with scene.somebody("agent"):
        return await scene.ended(await scene.create())


async def participants_left(scene: Scene) -> Ending:
    """Somebody is there and leaves; an agent stays."""
    async with scene.somebody("agent"):
        async with scene.somebody():
            created = await scene.create()
            await asyncio.sleep(NOBODY_S - LEFT_S / 2)
            left_at = datetime.now(UTC)
        held_s = (left_at - datetime.fromisoformat(created["started_at"])).total_seconds()
        return await scene.ended(created, held_s=held_s)


async def room_deleted(scene: Scene) -> Ending:
    """The room's owner deletes it."""
    async with scene.somebody(), scene.system.livekit.admin() as admin:
        created = await scene.create()
        await admin.room.delete_room(api.DeleteRoomRequest(room=scene.room))
        return await scene.ended(created)


async def removed(scene: Scene) -> Ending:
    """The room's owner sends the avatar away."""
    async with scene.somebody(), scene.system.livekit.admin() as admin:
        created = await scene.create()
        await admin.room.remove_participant(api.RoomParticipantIdentity(room=scene.room, identity=AVATAR_IDENTITY))
        return await scene.ended(created)


async def expired(scene: Scene) -> Ending:
    """The plan's time is over."""
    accounts = Accounts(scene.system.engine)
    row = {"key": "brief", "name": "Brief", "max_session_seconds": PLAN_S, "max_concurrent_sessions": 1}
    async with writing(scene.system.engine) as connection:
        await connection.execute(insert(plans).values(row))
    await accounts.create("brief", "An account of short sessions", "brief")
    await accounts.add_key("brief", key_hash(KEY), "test")
    # An avatar belongs to one account.
    uploaded = await scene.system.upload(pictures.astronaut(), key=KEY)
    scene = Scene(scene.system, uploaded["avatar_id"], scene.system.running.api_url)
    async with scene.somebody():
        return await scene.ended(await scene.create(key=KEY), key=KEY)


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario for scenario in (nobody_joined, participants_left, room_deleted, removed, expired)
}


@pytest.fixture(scope="module")
async def endings(real_system: RealSystem, astronaut: str) -> AsyncIterator[dict[str, asyncio.Task[Ending]]]:
    """Every scenario, as many at once as there are slots."""
    seats = asyncio.Semaphore(SLOTS)

    async with real_system.second_api(nobody_joined_s=str(NOBODY_S), participants_left_s=str(LEFT_S)) as base:

        async def play(scenario: Scenario) -> Ending:
            async with seats:
                ending = await scenario(Scene(real_system, astronaut, base))
                await real_system.wait_released()
                return ending

        tasks = {name: asyncio.create_task(play(scenario)) for name, scenario in SCENARIOS.items()}
        yield tasks
        await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("reason", SCENARIOS)
async def test_a_session_ends_with_its_reason(
    endings: dict[str, asyncio.Task[Ending]], reason: str, measured: Callable[[str], None]
) -> None:
    """Each way out has its own reason in the API, and the avatar leaves the room; an agent alone is nobody."""
    ending = await endings[reason]
    measured(
        f"lasted {ending.lasted_s:.2f} s, due after {ending.held_s:.2f} s, avatar gone {ending.gone_s:.2f} s later"
    )
    assert ending.session["end_reason"] == reason
    assert ending.created["end_reason"] is None


@pytest.mark.parametrize(
    ("reason", "timer_s"), [("nobody_joined", NOBODY_S), ("participants_left", LEFT_S), ("expired", PLAN_S)]
)
async def test_a_timer_fires_at_its_time(endings: dict[str, asyncio.Task[Ending]], reason: str, timer_s: float) -> None:
    """A timer counts from the start, or from the last one's leaving, and fires neither early nor much later."""
    ending = await endings[reason]
    after_s = ending.lasted_s - ending.held_s
    assert timer_s - 0.1 <= after_s <= timer_s + LATE_S


async def test_the_expiration_is_told_at_the_create(endings: dict[str, asyncio.Task[Ending]]) -> None:
    """The create's answer says when the plan ends the session, counted from its start; without a limit it is null."""
    created = (await endings["expired"]).created
    life = datetime.fromisoformat(created["expiration"]) - datetime.fromisoformat(created["started_at"])
    assert life.total_seconds() == PLAN_S
    assert (await endings["removed"]).created["expiration"] is None
