"""Speech where something goes wrong around it: agents and servers die, rooms become encrypted, others speak too."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from livekit import rtc

from presence.processes.pool import MediaPool
from presence.rooms.base import VideoFormat
from presence.rooms.livekit import LiveKitRoom
from presence.speech.soxr import SoxrResampler
from presence.speech.speech_queue import SpeechQueue
from support.agent_peer import agent_token, call_avatar, set_state
from support.doomed_agent import doomed_agent
from support.eventually import eventually
from support.livekit_server import LiveKitServer, make_server
from support.plain_agent import PlainAgent, plain_agent, send
from support.room_listener import RoomListener
from support.room_viewer import RoomViewer
from support.small_avatar import small_avatar
from support.speech_bench import tone
from support.steadiness import check_lasted, three_tries
from support.tokens import AVATAR_IDENTITY, avatar_token, person_token

HEARD_WITHIN_S = 0.06


@three_tries
async def test_three_rooms_at_once_do_not_hear_each_other(
    livekit_server: LiveKitServer, media_pool: MediaPool, room_name: str, tmp_path: Path
) -> None:
    """Three avatars speak at the same time: each is heard in its own room only, and reports its own length."""
    lengths = {f"{room_name}-{number}": 0.6 + 0.3 * number for number in range(3)}
    pitches = {room: 300.0 + 200.0 * number for number, room in enumerate(lengths)}
    async with AsyncExitStack() as stack:
        listeners, agents = {}, {}
        for room in lengths:
            listener = RoomListener(livekit_server.url, person_token(livekit_server, room))
            listeners[room] = await stack.enter_async_context(listener)
            await stack.enter_async_context(small_avatar(media_pool, livekit_server, room, tmp_path))
            agents[room] = await stack.enter_async_context(plain_agent(livekit_server, room))
        await asyncio.gather(
            *(send(agents[room].room, tone(lengths[room], 16_000, pitches[room]), {}) for room in lengths)
        )
        for room, length in lengths.items():
            (told,) = await agents[room].wait_told(1, within_s=15)
            assert told["playback_position"] == pytest.approx(length, abs=0.005)
            await listeners[room].wait_silence(for_s=0.3, within_s=15)
            # Three encoders on two cores stretch what is heard; that it is heard, and nothing else, is the matter here.
            assert listeners[room].loud_s() > length / 2
            assert listeners[room].pitch() == pytest.approx(pitches[room], abs=8)
    assert {len(agent.told) for agent in agents.values()} == {1}


@three_tries
async def test_an_agent_that_is_killed_and_comes_back_is_heard(
    livekit_server: LiveKitServer, media_pool: MediaPool, room_name: str, tmp_path: Path
) -> None:
    """Kill -9 in mid-speech: the one that returns is heard at once, and told of nothing but its own speech."""
    url, token = livekit_server.url, agent_token(livekit_server, room_name)
    async with (
        RoomListener(url, person_token(livekit_server, room_name)) as listener,
        small_avatar(media_pool, livekit_server, room_name, tmp_path),
    ):
        async with doomed_agent(url, token) as process:
            await listener.wait_sound()
            process.kill()
        async with plain_agent(livekit_server, room_name) as agent:
            await listener.wait_silence(within_s=10)
            since = time.monotonic()
            await send(agent.room, tone(0.4, 16_000), {})
            (told,) = await agent.wait_told(1)
            await listener.wait_silence()
    assert told["playback_position"] == pytest.approx(0.4, abs=0.005)
    check_lasted(listener.loud_s(since), 0.4, HEARD_WITHIN_S)
    assert len(agent.told) == 1


@three_tries
async def test_speech_and_positions_survive_a_restart_of_the_server(
    media_pool: MediaPool, room_name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """LiveKit dies under a segment: its end and whole length are told afterwards, once, and the next one is heard."""
    caplog.set_level(logging.DEBUG)
    server = make_server()
    token = avatar_token(server, room_name)
    try:
        async with (
            RoomListener(server.url, person_token(server, room_name)) as listener,
            small_avatar(media_pool, server, room_name, tmp_path, token) as process,
            plain_agent(server, room_name) as agent,
        ):
            await send(agent.room, tone(2.0, 16_000), {})
            await listener.wait_sound()
            server.kill()
            await asyncio.sleep(0.3)
            server.start()
            (told,) = await agent.wait_told(1, within_s=20)
            assert (told["playback_position"], told["interrupted"]) == (pytest.approx(2.0, abs=0.005), False)
            since = await said_again(agent, listener)
            await agent.wait_told(2, within_s=10)
            await listener.wait_silence()
            check_lasted(listener.loud_s(since), 0.5, HEARD_WITHIN_S)
            assert await call_avatar(agent.room, "lk.clear_buffer") == "ok"
            assert process.alive
        assert len(agent.told) == 2
    finally:
        server.kill()
    no_token_in(caplog, token)


async def said_again(agent: PlainAgent, listener: RoomListener) -> float:
    """Say half a second once everybody is back in the room and nothing is heard; the time when that was."""
    async with asyncio.timeout(15):
        while AVATAR_IDENTITY not in agent.room.remote_participants:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    count = len(listener.blocks)
    await eventually(lambda: len(listener.blocks) > count + 50)
    await listener.wait_silence(within_s=10)
    since = time.monotonic()
    await send(agent.room, tone(0.5, 16_000), {})
    return since


def no_token_in(caplog: pytest.LogCaptureFixture, token: str) -> None:
    """The SDK wrote of its tries to come back, and of the address without the token in it."""
    assert "livekit" in caplog.text
    assert token not in caplog.text
    assert token.rsplit(".", maxsplit=1)[-1] not in caplog.text


async def test_a_room_that_becomes_encrypted_ends_the_stay(
    livekit_server: LiveKitServer, media_pool: MediaPool, room_name: str, tmp_path: Path
) -> None:
    """Somebody publishes encrypted after the avatar came: it says so to the room, leaves, and its end has a name."""
    async with (
        RoomViewer(livekit_server.url, person_token(livekit_server, room_name)) as viewer,
        small_avatar(media_pool, livekit_server, room_name, tmp_path) as process,
        encrypting_person(livekit_server, room_name),
    ):
        async with asyncio.timeout(5):
            ended = await process.wait_ended()
        await livekit_server.wait_gone(room_name, AVATAR_IDENTITY, within_s=3)
    assert (ended.reason, ended.exit_code) == ("room_encrypted", 0)
    assert ended.served_ms > 0
    assert viewer.states == [{"state": "connected"}, {"state": "disconnected", "reason": "room_encrypted"}]


@asynccontextmanager
async def encrypting_person(server: LiveKitServer, room: str) -> AsyncIterator[None]:
    """Somebody who publishes an end-to-end encrypted voice."""
    person, options = rtc.Room(), rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=b"a key"))
    await person.connect(server.url, person_token(server, room, identity="secret"), rtc.RoomOptions(encryption=options))
    voice = rtc.LocalAudioTrack.create_audio_track("voice", rtc.AudioSource(48_000, 1))
    await person.local_participant.publish_track(voice)
    yield
    await person.disconnect()


async def test_the_avatar_listens_while_its_agent_does(livekit_server: LiveKitServer, room_name: str) -> None:
    """An agent's state in a real room, set before the avatar comes, changed, and gone with the agent."""
    queue = SpeechQueue(asyncio.get_running_loop(), SoxrResampler)
    video = VideoFormat(width=320, height=240, fps=25, codec="VP8", bitrate=500_000)
    room = LiveKitRoom(video, lambda _: None, lambda _: None, queue)
    async with plain_agent(livekit_server, room_name) as agent:
        await set_state(agent.room, "listening")
        await room.connect(livekit_server.url, avatar_token(livekit_server, room_name), within_s=5)
        await eventually(lambda: queue.listening)
        await set_state(agent.room, "speaking")
        await eventually(lambda: not queue.listening)
        await set_state(agent.room, "listening")
        await eventually(lambda: queue.listening)
    await eventually(lambda: not queue.listening)
    await room.disconnect()
