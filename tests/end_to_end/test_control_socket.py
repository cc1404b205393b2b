"""A client without an agent makes the avatar in a real room speak, over the control socket."""

import asyncio
import time
from collections.abc import Callable

from support.control_client import PITCH, RATE, controlling, said, tone
from support.real_system import RealSystem
from support.room_listener import RoomListener
from support.tokens import AVATAR_IDENTITY, person_token


async def test_a_client_speaks_through_its_socket(
    real_system: RealSystem, astronaut: str, measured: Callable[[str], None]
) -> None:
    """The room hears the tone, and silence after an interruption; a goodbye ends the session with its own reason."""
    async with real_system.live(astronaut) as live:
        token = person_token(real_system.livekit, live.room, identity="listener")
        async with RoomListener(real_system.livekit.url, token) as listener, controlling(real_system, live) as socket:
            began = time.monotonic()
            await socket.send_json({"type": "agent.speak", "audio": tone(2), "sample_rate": RATE})
            confirmed = await said(socket)
            assert confirmed == {"type": "agent.speak.confirmed", "audio_samples": 32_000}
            heard = await listener.wait_sound(since=began, within_s=15)
            await listener.wait_silence(for_s=0.5, within_s=15)
            assert abs(listener.pitch(began) - PITCH) < 10
            assert abs(listener.loud_s(began) - 2) < 0.4
            again = time.monotonic()
            await socket.send_json({"type": "agent.speak", "audio": tone(60), "sample_rate": RATE})
            second = await listener.wait_sound(since=again, within_s=15)
            await socket.send_json({"type": "agent.interrupt"})
            assert (await said(socket))["type"] == "agent.interrupt.confirmed"
            await listener.wait_silence(within_s=5)
            measured(f"audible after {heard - began:.2f} s of the first word, {second - again:.2f} s of the second")
            assert (await real_system.get(live.session_id))["status"] == "started"
            await socket.close()
            await real_system.livekit.wait_gone(live.room, AVATAR_IDENTITY, within_s=10)
        async with asyncio.timeout(20):
            while (session := await real_system.get(live.session_id))["status"] != "ended":  # noqa: ASYNC110 - another process ends it
                await asyncio.sleep(0.1)
        assert session["end_reason"] == "control_connection_lost"
