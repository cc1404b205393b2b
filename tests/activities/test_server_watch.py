"""The watch over avatar servers: what a step learns of it, and that nothing stops it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import pytest

from activities import server_watch
from activities.server_watch import ServerWatch
from domain.failures import Unavailable
from support.eventually import eventually


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The seconds that it shows."""
        return self.now


async def test_it_knows_how_long_a_server_is_silent() -> None:
    """By its own looks; a look that the database does not answer takes it back."""
    clock, counters, away = Clock(), {"a": 1, "b": 1}, False

    async def look() -> Mapping[str, int]:
        if away:
            raise Unavailable("away")
        return dict(counters)

    watch = ServerWatch(look, clock)
    for _ in range(10):
        await watch.look()
        clock.now += 1
        counters["b"] += 1
    assert await watch.still_s("a") == pytest.approx(10)
    assert await watch.still_s("b") == 0
    away = True
    assert await watch.still_s("a") == 0
    away = False
    assert await watch.still_s("a") == 0


async def test_it_goes_on_whatever_becomes_of_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end would end the sessions worker."""
    monkeypatch.setattr(server_watch, "LOOK_EVERY_S", 0.001)
    looks: list[int] = []

    async def look() -> Mapping[str, int]:
        looks.append(1)
        raise Unavailable("away") if len(looks) % 2 else ValueError("odd")

    task = asyncio.create_task(ServerWatch(look).run())
    await eventually(lambda: len(looks) > 4)
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
