"""Counting requests: in memory, and in a real Valkey that several processes share."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ulid import ULID

from adapters import rate_limit_store
from adapters.rate_limit_store import MemoryRateLimits, SharedRateLimits, open_rate_limits
from support.gate import Gate
from support.livekit_server import free_port
from support.valkey_server import PASSWORD, ValkeyServer, valkey

__all__ = ["valkey"]


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Its time."""
        return self.now


async def test_memory_counts_in_windows() -> None:
    """A window begins with its first count and ends after its length; names do not touch each other."""
    clock = Clock()
    store = MemoryRateLimits(clock)
    counted = [await store.count("a", 60) for _ in range(3)]
    assert [one.count for one in counted] == [1, 2, 3]
    clock.now += 45
    last = await store.count("a", 60)
    assert (last.count, last.ends_in_s) == (4, 15)
    assert (await store.count("b", 60)).count == 1
    clock.now += 15
    again = await store.count("a", 60)
    assert (again.count, again.ends_in_s) == (1, 60)


async def test_memory_forgets_what_is_over() -> None:
    """Ten thousand addresses that asked once are not remembered for ever."""
    clock = Clock()
    store = MemoryRateLimits(clock)
    for number in range(10_000):
        await store.count(f"address:{number}", 60)
    clock.now += 61
    await store.count("a", 60)
    assert list(store._windows) == ["a"]


@pytest.fixture
async def shared(valkey: ValkeyServer) -> AsyncIterator[SharedRateLimits]:
    """The store on the real server."""
    store = open_rate_limits(valkey.url)
    assert isinstance(store, SharedRateLimits)
    yield store
    await store.aclose()


async def test_a_shared_count_is_one_over_all(
    shared: SharedRateLimits, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two stores, as in two API processes, asked at the same time: no count is lost and none is told twice."""
    monkeypatch.setattr(rate_limit_store, "ANSWER_WITHIN_S", 20.0)  # on a machine that is busy with other things
    name = f"key:{ULID()}"
    other = SharedRateLimits(valkey.url.replace("valkey", "redis"))
    answers = await asyncio.gather(*(store.count(name, 60) for store in (shared, other) for _ in range(10)))
    assert sorted(one.count for one in answers if one) == list(range(1, 21))
    assert all(one and 0 < one.ends_in_s <= 60 for one in answers)
    await other.aclose()


async def test_a_shared_window_ends(shared: SharedRateLimits) -> None:
    """After its time the count begins anew, and a count that has lost its end gets one."""
    name = f"key:{ULID()}"
    assert [one.count for one in [await shared.count(name, 0.2), await shared.count(name, 0.2)] if one] == [1, 2]
    await asyncio.sleep(0.3)
    one = await shared.count(name, 60)
    assert one is not None
    assert one.count == 1
    await shared._redis.persist(f"greenroom:requests:{name}")
    two = await shared.count(name, 60)
    assert two is not None
    assert (two.count, two.ends_in_s) == (2, 60)


PROCESS = """
import asyncio, sys
from adapters.rate_limit_store import open_rate_limits
async def main():
    store = open_rate_limits(sys.stdin.readline().strip())
    print(*[(await store.count(sys.argv[1], 60)).count for _ in range(50)])
    await store.aclose()
asyncio.run(main())
"""


def test_processes_count_together(valkey: ValkeyServer) -> None:
    """Two processes of the operating system at once: together they counted each number once."""
    name = f"key:{ULID()}"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PROCESS, name]
    both = [subprocess.Popen(command, cwd=root, text=True, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    for process in both:
        process.stdin.write(valkey.url + "\n")
        process.stdin.flush()
    counts = [int(word) for process in both for word in process.communicate(timeout=60)[0].split()]
    assert sorted(counts) == list(range(1, 101))


async def test_a_store_that_is_away_stops_nobody(
    valkey: ValkeyServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is counted, the log says so once, without the address, and once more when it is back."""
    monkeypatch.setattr(rate_limit_store, "LEFT_ALONE_S", 0.0)
    caplog.set_level(logging.WARNING)
    server = ValkeyServer(valkey.binary)
    server.start()
    store = SharedRateLimits(server.url.replace("valkey", "redis"))
    assert await store.count("key:a", 60)
    server.kill()
    assert [await store.count("key:a", 60) for _ in range(3)] == [None, None, None]
    server.start()
    assert await store.count("key:a", 60)
    server.kill()
    await store.aclose()
    said = [record.getMessage() for record in caplog.records]
    assert ["does not answer" in line for line in said] == [True, False]
    assert said[1] == "the store of rate limits is back"
    assert PASSWORD not in caplog.text
    assert str(server.port) not in caplog.text


async def test_a_store_that_is_silent_is_left_alone(valkey: ValkeyServer) -> None:
    """It costs half a second once, and then nothing for a while."""
    async with Gate(valkey.port) as gate:
        gate.hold()
        store = SharedRateLimits(f"redis://:{PASSWORD}@127.0.0.1:{gate.port}/0")
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await store.count("key:a", 60) is None
        first = loop.time() - began
        assert first >= 0.4
        asked = store._ask_again_at
        assert await store.count("key:a", 60) is None
        assert store._ask_again_at == asked
        await store.aclose()


async def test_nobody_there_is_known_at_once() -> None:
    """A refused connection is an answer."""
    store = SharedRateLimits(f"redis://127.0.0.1:{free_port()}/0")
    assert await store.count("key:a", 60) is None
    await store.aclose()
