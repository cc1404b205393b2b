"""One avatar with its agent and its subscriber: what is said to it, and how long it took until it was perceived."""

import asyncio
import time
from dataclasses import dataclass

from bench.talk.agent import Agent
from bench.talk.mouth import OPEN, make_scale
from bench.talk.sounds import tone
from bench.talk.watcher import BLOCK_S, Watcher

REST_S = 0.4
"""So long must it have been silent and shut before a round begins."""
WITHIN_S = 10.0
_LOOK_S = 0.02
_SPOKEN_S = 1.2
_SETTLE_S = 0.9
_WHOLE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A round: milliseconds, from the first byte sent or from the interruption."""

    audible: float
    mouth: float
    silence: float
    closed: float
    finished: float
    cut_error: float
    """Of the position of the interrupted segment, against what was heard of it."""
    whole_error: float
    """Of the position of a segment that was played whole."""


class Stage:
    """Rounds with one avatar."""

    def __init__(self, agent: Agent, watcher: Watcher) -> None:
        self.agent = agent
        self.watcher = watcher

    async def learn_mouth(self) -> None:
        """Look at it resting and speaking. ValueError where that looks the same."""
        watcher = self.watcher
        async with asyncio.timeout(WITHIN_S):
            while not watcher.pictures:  # noqa: ASYNC110 - nobody signals it
                await asyncio.sleep(_LOOK_S)
        await asyncio.sleep(1.0)  # the first pictures are coarse
        rested_at = time.monotonic()
        await asyncio.sleep(2.0)
        spoke_at = time.monotonic()
        await self.agent.say(tone(2.0))
        await self.agent.wait_finished(len(self.agent.finished) + 1, within_s=WITHIN_S)
        resting = [picture for at, picture in watcher.pictures if rested_at < at < spoke_at]
        speaking = [picture for at, picture in watcher.pictures if spoke_at + 0.6 < at < spoke_at + 1.8]
        watcher.scale = make_scale(resting, speaking)
        watcher.pictures.clear()

    async def rest(self) -> None:
        """Wait until it is silent and its mouth is shut."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                await asyncio.sleep(REST_S)
                since = time.monotonic() - REST_S
                looks = self.watcher.seen(since)
                if looks and not self.watcher.loud(since) and all(look.openness < OPEN for look in looks):
                    return

    async def one_round(self) -> Heard:
        """Speak and interrupt, then speak a segment whole."""
        await self.rest()
        count, sent_at = len(self.agent.finished), time.monotonic()
        await self.agent.say(tone(4.0))
        await asyncio.sleep(sent_at + _SPOKEN_S - time.monotonic())
        cleared_at = time.monotonic()
        self.agent.interrupt()
        cut = await self.agent.wait_finished(count + 1, within_s=WITHIN_S)
        await asyncio.sleep(_SETTLE_S)
        loud, looks = self.watcher.loud(sent_at), self.watcher.seen(sent_at)
        opened = [index for index, look in enumerate(looks) if look.openness >= OPEN]
        if not loud or not opened or opened[-1] + 1 >= len(looks):
            raise ValueError("the avatar was not heard, not seen to speak, or never shut its mouth")
        heard_s = len(loud) * BLOCK_S  # and not from the first to the last: holes in the sound are no speech
        return Heard(
            audible=(loud[0] - sent_at) * 1000,
            mouth=(looks[opened[0]].at - sent_at) * 1000,
            silence=(loud[-1] + BLOCK_S - cleared_at) * 1000,
            closed=(looks[opened[-1] + 1].at - cleared_at) * 1000,
            finished=(cut.at - cleared_at) * 1000,
            cut_error=abs(cut.position_s - heard_s) * 1000,
            whole_error=await self._whole_error(),
        )

    async def _whole_error(self) -> float:
        count = len(self.agent.finished)
        await self.agent.say(tone(_WHOLE_S))
        whole = await self.agent.wait_finished(count + 1, within_s=WITHIN_S)
        return abs(whole.position_s - _WHOLE_S) * 1000
