"""How soon an avatar is heard and seen to speak and to stop, beside livekit-agents' AvatarRunner in the same rounds."""

import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from bench.floors.processes import child
from bench.report import Goal, Row, percentile, row
from bench.site import FULL_SIZE, Site
from bench.talk.agent import AGENT_IDENTITY, Agent, agent_in, agent_token
from bench.talk.sounds import RATE
from bench.talk.stage import Heard, Stage
from bench.talk.watcher import Watcher, watcher_in
from domain.rooms import AVATAR_IDENTITY

RUNNER_IDENTITY = "avatar-runner"
FLOOR = "livekit-agents' AvatarRunner with a generator that draws nothing"
GOALS = {
    "speech_audible": Goal(value=250, not_behind=True),
    "speech_mouth": Goal(value=200, ratio=1.0),
    "clear_silence": Goal(value=300, not_behind=True),
    "clear_closed": Goal(value=160, ratio=1.0),
    "clear_finished": Goal(value=50, not_behind=True),
    "position_error": Goal(value=20, ratio=1.0),
}


async def measure_speech(site: Site, rounds: int, tell: Callable[[str], None]) -> list[Row]:
    """Rows in milliseconds; the lower the better."""
    ours: list[Heard] = []
    floors: list[Heard] = []
    async with our_stage(site) as ours_on, runner_stage(site) as floor_on:
        for stage in (ours_on, floor_on):
            await stage.learn_mouth()
        for number in range(-1, rounds):
            for stage, heard in ((ours_on, ours), (floor_on, floors)):
                tell(f"speech: round {number + 1} of {rounds}")
                one = await stage.one_round()
                if number >= 0:
                    heard.append(one)
    return [speech_row(name, ours, floors) for name in GOALS]


def speech_row(name: str, ours: Sequence[Heard], floors: Sequence[Heard]) -> Row:
    """One row of all rounds."""
    mine, theirs = values(name, ours), values(name, floors)
    note = f"5-95 %: {spread(mine)}; AvatarRunner {spread(theirs)}"
    if name == "position_error":
        note += "".join(
            f"; {what} {statistics.median(one.cut_error for one in rounds):.0f}, whole "
            f"{statistics.median(one.whole_error for one in rounds):.0f}"
            for what, rounds in (("interrupted", ours), ("AvatarRunner interrupted", floors))
        )
    return row(name, mine, theirs, unit="ms", reference_name=FLOOR, goal=GOALS[name], note=note)


def values(name: str, rounds: Sequence[Heard]) -> list[float]:
    """What the rounds say of a row; each has two positions."""
    if name == "position_error":
        return [error for one in rounds for error in (one.cut_error, one.whole_error)]
    return [getattr(one, name.partition("_")[2]) for one in rounds]


def spread(found: Sequence[float]) -> str:
    """From the low to the high end, in words."""
    return f"{percentile(found, 5):.0f} to {percentile(found, 95):.0f} ms"


@asynccontextmanager
async def our_stage(site: Site) -> AsyncIterator[Stage]:
    """A session of ours in its room."""
    room = await site.new_room()
    async with peers(site, room, AVATAR_IDENTITY) as (agent, watcher):
        session_id = await site.create(room)
        yield Stage(agent, watcher)
        await site.end(session_id)


@asynccontextmanager
async def runner_stage(site: Site) -> AsyncIterator[Stage]:
    """livekit-agents' runner in its room."""
    async with AsyncExitStack() as stack:
        runner = await stack.enter_async_context(child("bench.floors.avatar_runner"))
        room = await site.new_room()
        agent, watcher = await stack.enter_async_context(peers(site, room, RUNNER_IDENTITY))
        command = {
            "url": site.running.livekit_url,
            "token": site.token(room, RUNNER_IDENTITY, avatar=True),
            "agent": AGENT_IDENTITY,
            "still": str(site.still),
            "fps": site.media["fps"],
            "sample_rate": RATE,
        }
        runner.tell(command)
        await runner.answer()
        yield Stage(agent, watcher)


@asynccontextmanager
async def peers(site: Site, room: str, avatar: str) -> AsyncIterator[tuple[Agent, Watcher]]:
    """The agent and a subscriber of a room."""
    running = site.running
    token = agent_token(running.livekit_api_key, running.livekit_api_secret, room)
    async with (
        watcher_in(running.livekit_url, site.token(room, "listener"), FULL_SIZE) as watcher,
        agent_in(running.livekit_url, token, avatar) as agent,
    ):
        yield agent, watcher
