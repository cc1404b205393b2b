"""A room that the SDK cannot reach again is given up in time; one that comes back is not."""

import asyncio

from livekit import rtc

from presence.rooms.livekit_return import Comeback

WITHIN_S = 0.1


async def test_a_room_that_stays_away_is_given_up_once() -> None:
    """The time counts from the first try: further tries of the same absence do not begin it anew."""
    room, given_up = rtc.Room(), list[float]()
    clock = asyncio.get_running_loop().time
    Comeback(room, lambda: given_up.append(clock()), WITHIN_S)
    began = clock()
    for _ in range(4):
        room.emit("reconnecting")
        await asyncio.sleep(WITHIN_S / 2)
    assert len(given_up) == 1
    assert WITHIN_S <= given_up[0] - began < 2 * WITHIN_S


async def test_a_room_that_comes_back_is_kept() -> None:
    """Nothing happens after a return in time, nor after a goodbye; a later absence counts for itself."""
    room, given_up = rtc.Room(), list[float]()
    comeback = Comeback(room, lambda: given_up.append(0), WITHIN_S)
    for back in (lambda: room.emit("reconnected"), comeback.close):
        room.emit("reconnecting")
        await asyncio.sleep(WITHIN_S / 2)
        back()
        await asyncio.sleep(WITHIN_S)
    assert given_up == []
    room.emit("reconnecting")
    await asyncio.sleep(2 * WITHIN_S)
    assert len(given_up) == 1
