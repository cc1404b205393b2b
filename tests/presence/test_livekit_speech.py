"""Speech in a real room: livekit-agents' own output as the agent, and somebody who listens."""

import asyncio
import time
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from livekit import api, rtc

from domain.failures import FailureCode, Refused
from presence.processes.media_process import MediaProcess
from presence.processes.pool import MediaPool
from support.agent_peer import AgentPeer, agent_token, call_avatar, set_state
from support.livekit_server import LiveKitServer
from support.plain_agent import PlainAgent, plain_agent, send, write
from support.room_listener import RoomListener
from support.small_avatar import small_avatar
from support.speech_bench import tone
from support.steadiness import Froze, check_lasted, three_tries
from support.tokens import AVATAR_IDENTITY, person_token

POSITION_WITHIN_S = 0.02
HEARD_WITHIN_S = 0.06
"""A listener's jitter buffer stretches and squeezes; so exact is a length that it hears."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A room with a small avatar, its agent and somebody who listens."""

    server: LiveKitServer
    room: str
    process: MediaProcess
    agent: AgentPeer
    listener: RoomListener

    async def mark(self) -> tuple[int, int, float]:
        """Wait for silence; how much was started and finished by then, and the time."""
        await self.listener.wait_silence()
        return len(self.agent.started), len(self.agent.finished), time.monotonic()


@pytest.fixture(scope="module")
def agents_library() -> None:
    """livekit-agents, imported before anything is timed; its own warnings are its own business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from livekit.agents.voice import avatar  # noqa: F401, PLC0415 - takes seconds


@pytest.fixture(scope="module")
async def stage(
    agents_library: None,
    livekit_server: LiveKitServer,
    media_pool: MediaPool,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stage]:
    """One avatar that all of these tests talk through, each starting in silence."""
    server, room = livekit_server, f"room-{uuid4().hex[:12]}"
    async with (
        RoomListener(server.url, person_token(server, room)) as listener,
        small_avatar(media_pool, server, room, tmp_path_factory.mktemp("small")) as process,
        AgentPeer(server.url, agent_token(server, room)) as agent,
    ):
        yield Stage(server=server, room=room, process=process, agent=agent, listener=listener)


@three_tries
async def test_a_segment_is_heard_and_reported(stage: Stage) -> None:
    """Half a second of speech is heard for half a second; the agent hears of its start and, once, of its end."""
    started, finished, since = await stage.mark()
    await stage.agent.say(tone(0.5, 16_000))
    last = (await stage.agent.wait_finished(finished + 1))[-1]
    await asyncio.sleep(0.3)
    assert last.position_s == pytest.approx(0.5, abs=0.005)
    assert not last.interrupted
    check_lasted(stage.listener.loud_s(since), 0.5, HEARD_WITHIN_S)
    assert stage.listener.pitch(since) == pytest.approx(300, abs=6)
    assert (len(stage.agent.started), len(stage.agent.finished)) == (started + 1, finished + 1)
    assert stage.agent.started[-1] < last.at - 0.4


@pytest.mark.parametrize(
    ("rate", "channels"), [(8_000, 1), (24_000, 1), (44_100, 1), (48_000, 1), (24_000, 2), (48_000, 2)]
)
@three_tries
async def test_any_rate_and_channels_keep_pitch_and_length(stage: Stage, rate: int, channels: int) -> None:
    """Segments follow each other at other rates, and none is played at the wrong speed."""
    _, finished, since = await stage.mark()
    samples = np.repeat(tone(0.3, rate)[:, None], channels, axis=1)
    await stage.agent.say(samples, rate=rate, channels=channels)
    last = (await stage.agent.wait_finished(finished + 1))[-1]
    await asyncio.sleep(0.2)
    assert last.position_s == pytest.approx(0.3, abs=0.005)
    assert stage.listener.pitch(since) == pytest.approx(300, abs=8)
    check_lasted(stage.listener.loud_s(since), 0.3, HEARD_WITHIN_S)


@three_tries
async def test_segments_back_to_back_are_each_reported(stage: Stage) -> None:
    """Two that are sent at once are heard one after the other, without a gap, and reported in order."""
    started, finished, since = await stage.mark()
    await stage.agent.say(tone(0.3, 16_000))
    await stage.agent.say(tone(0.4, 16_000))
    ends = (await stage.agent.wait_finished(finished + 2))[finished:]
    await asyncio.sleep(0.2)
    assert [end.position_s for end in ends] == pytest.approx([0.3, 0.4], abs=0.005)
    assert not any(end.interrupted for end in ends)
    assert len(stage.agent.started) == started + 2
    check_lasted(stage.listener.loud_s(since), 0.7, HEARD_WITHIN_S)


@three_tries
async def test_an_interruption_while_speaking(stage: Stage) -> None:
    """The agent learns within the moment how much was heard, to 20 ms; soon there is silence, and nothing starts."""
    started, finished, _ = await stage.mark()
    await stage.agent.say(tone(5.0, 16_000))
    await stage.agent.wait_started(started + 1)
    await asyncio.sleep(0.5)
    interrupted_at = time.monotonic()
    stage.agent.interrupt()
    last = (await stage.agent.wait_finished(finished + 1))[-1]
    await asyncio.sleep(0.8)
    assert last.interrupted
    spoken_s = interrupted_at - stage.agent.started[started]
    check_lasted(last.position_s, spoken_s, POSITION_WITHIN_S + 0.02)  # and two calls over the network
    assert last.at - interrupted_at < 0.25
    assert stage.listener.loud()[-1] - interrupted_at < 0.5
    assert (len(stage.agent.started), len(stage.agent.finished)) == (started + 1, finished + 1)


async def test_an_interruption_of_what_was_not_heard_yet(stage: Stage) -> None:
    """Of two segments, both come back at once: the one that was heard in part, and the one that never began."""
    started, finished, _ = await stage.mark()
    await stage.agent.say(tone(3.0, 16_000))
    await stage.agent.say(tone(3.0, 16_000))
    await stage.agent.wait_started(started + 1)
    stage.agent.interrupt()
    ends = (await stage.agent.wait_finished(finished + 2, within_s=3.0))[finished:]
    assert [end.interrupted for end in ends] == [True, True]
    assert ends[0].position_s < 1.0
    assert ends[1].position_s == 0
    assert len(stage.agent.started) == started + 1


async def test_interruptions_without_speech_are_answered_and_change_nothing(stage: Stage) -> None:
    """Some agents interrupt whenever the user speaks: nothing is reported, and the next segment is whole."""
    _, finished, _ = await stage.mark()
    assert await stage.agent.call("lk.clear_buffer") == "ok"
    assert await stage.agent.call("lk.clear_buffer") == "ok"
    await stage.agent.say(tone(0.2, 16_000))
    ends = (await stage.agent.wait_finished(finished + 1))[finished:]
    assert await stage.agent.call("lk.clear_buffer") == "ok"
    await asyncio.sleep(0.1)
    assert [end.position_s for end in ends] == pytest.approx([0.2], abs=0.005)
    assert len(stage.agent.finished) == finished + 1


@three_tries
async def test_twenty_interruptions_in_a_row(stage: Stage) -> None:
    """Each segment is finished exactly once, in order, and the one after them all is heard in full."""
    started, finished, _ = await stage.mark()
    for turn in range(20):
        before = len(stage.agent.started)
        await stage.agent.say(tone(2.0, 16_000))
        if turn % 2:
            await stage.agent.wait_started(before + 1)
        stage.agent.interrupt()
        await stage.agent.wait_finished(finished + turn + 1, within_s=3.0)
    _, _, since = await stage.mark()
    await stage.agent.say(tone(0.3, 16_000))
    ends = (await stage.agent.wait_finished(finished + 21))[finished:]
    await asyncio.sleep(0.3)
    assert [end.interrupted for end in ends] == [True] * 20 + [False]
    assert all(end.position_s < 1.0 for end in ends[:20])
    assert ends[20].position_s == pytest.approx(0.3, abs=0.005)
    assert len(stage.agent.finished) == finished + 21
    assert 11 <= len(stage.agent.started) - started <= 21
    check_lasted(stage.listener.loud_s(since), 0.3, HEARD_WITHIN_S)


async def test_only_the_agent_may_speak_and_interrupt(stage: Stage) -> None:
    """A stranger is rejected, and what it sends is not heard; the agent's speech goes on."""
    _, finished, since = await stage.mark()
    async with plain_agent(stage.server, stage.room, "stranger") as stranger:
        await send(stranger.room, tone(1.0, 16_000), {})
        await asyncio.sleep(0.3)
        assert stage.listener.loud_s(since) == 0
        await stage.agent.say(tone(0.5, 16_000))
        await stage.listener.wait_sound(since=since)
        assert await call_avatar(stranger.room, "lk.clear_buffer") == "reject"
        last = (await stage.agent.wait_finished(finished + 1))[-1]
    assert not last.interrupted


@three_tries
async def test_a_stream_that_never_ends_is_heard_after_each_interruption(
    livekit_server: LiveKitServer, media_pool: MediaPool, room_name: str, tmp_path: Path
) -> None:
    """One stream for a whole session, without attributes, as Pipecat sends: it is told of one end, and always heard."""
    async with (
        RoomListener(livekit_server.url, person_token(livekit_server, room_name)) as listener,
        small_avatar(media_pool, livekit_server, room_name, tmp_path),
        plain_agent(livekit_server, room_name) as agent,
    ):
        writer = await send(agent.room, tone(1.5, 16_000), {}, end=False)
        for turn in range(2):
            await listener.wait_sound(since=time.monotonic())
            assert await call_avatar(agent.room, "lk.clear_buffer") == "ok"
            await listener.wait_silence(for_s=0.3)
            since = time.monotonic()
            await write(writer, tone(1.5 if turn < 1 else 0.4, 16_000))
        await asyncio.sleep(0.9)
        check_lasted(listener.loud_s(since), 0.4, HEARD_WITHIN_S)
        assert listener.pitch(since) == pytest.approx(300, abs=6)
        await writer.aclose()
        await asyncio.sleep(0.1)
    assert [told["interrupted"] for told in agent.told] == [True]
    assert set(agent.told[0]) == {"playback_position", "interrupted", "synchronized_transcript"}


async def fallen_silent(listener: RoomListener) -> None:
    """Wait for silence. That the evicted one of two agents comes back by itself, and goes on, was seen twice."""
    try:
        await listener.wait_silence()
    except (TimeoutError, AssertionError) as error:
        raise Froze("an agent that was replaced goes on") from error


@three_tries
async def test_an_agent_that_returns_or_is_replaced_is_heard(
    livekit_server: LiveKitServer, media_pool: MediaPool, room_name: str, tmp_path: Path
) -> None:
    """What an agent had not ended when it left is forgotten, and never told to the next one of the same identity."""
    async with (
        RoomListener(livekit_server.url, person_token(livekit_server, room_name)) as listener,
        small_avatar(media_pool, livekit_server, room_name, tmp_path),
    ):
        async with plain_agent(livekit_server, room_name) as first:
            await send(first.room, tone(20.0, 16_000), {}, end=False)
            await listener.wait_sound()
            async with plain_agent(livekit_server, room_name) as second:
                await fallen_silent(listener)
                await send(second.room, tone(0.3, 16_000), {"sample_rate": "16000", "num_channels": "1"})
                assert [told["interrupted"] for told in await second.wait_told(1)] == [False]
                await send(second.room, tone(20.0, 16_000), {}, end=False)
                await listener.wait_sound(since=time.monotonic())
        await fallen_silent(listener)
        async with plain_agent(livekit_server, room_name) as third:
            third.refusals = 2
            await send(third.room, tone(0.2, 16_000), {})
            (told,) = await third.wait_told(1)
            assert next(third.calls) == 3
            assert told["playback_position"] == pytest.approx(0.2, abs=0.005)
            assert first.told == []
            assert len(second.told) == 1


async def test_a_stream_without_its_end_is_ended_by_the_next_one(
    livekit_server: LiveKitServer, media_pool: MediaPool, room_name: str, tmp_path: Path
) -> None:
    """A lost end does not hold up what is said next, and both are reported."""
    async with (
        small_avatar(media_pool, livekit_server, room_name, tmp_path),
        plain_agent(livekit_server, room_name) as agent,
    ):
        await send(agent.room, tone(0.3, 16_000), {}, end=False)
        await send(agent.room, tone(0.2, 16_000), {})
        told = await agent.wait_told(2)
    assert [end["interrupted"] for end in told] == [False, False]
    assert [end["playback_position"] for end in told] == pytest.approx([0.3, 0.2], abs=0.005)


async def test_without_a_name_in_the_token_the_first_agent_is_the_agent(
    livekit_server: LiveKitServer, media_pool: MediaPool, room_name: str, tmp_path: Path
) -> None:
    """One that the server has not told of yet is heard, persons are not; a second one is once the first has left."""
    grants = api.VideoGrants(room_join=True, room=room_name)
    nameless = api.AccessToken(livekit_server.api_key, livekit_server.api_secret).with_identity(AVATAR_IDENTITY)
    token = nameless.with_kind("agent").with_grants(grants).to_jwt()
    async with small_avatar(media_pool, livekit_server, room_name, tmp_path, token):
        person, agent = PlainAgent(rtc.Room()), PlainAgent(rtc.Room())
        await person.room.connect(livekit_server.url, person_token(livekit_server, room_name))
        await agent.room.connect(livekit_server.url, agent_token(livekit_server, room_name, "late"))
        for sender in (person, agent):
            sender.listen()
            await send(sender.room, tone(0.2, 16_000), {})
        await set_state(agent.room, "speaking")
        await agent.wait_told(1)
        async with plain_agent(livekit_server, room_name, "second") as second:
            await send(second.room, tone(0.2, 16_000), {})
            assert await call_avatar(second.room, "lk.clear_buffer") == "reject"
            assert await call_avatar(agent.room, "lk.clear_buffer") == "ok"
            await asyncio.sleep(0.4)
            assert (len(agent.told), person.told, second.told) == (1, [], [])
            await agent.room.disconnect()
            while await call_avatar(second.room, "lk.clear_buffer") == "reject":  # noqa: ASYNC110 - nobody signals it
                await asyncio.sleep(0.05)
            await send(second.room, tone(0.2, 16_000), {})
            await second.wait_told(1)
        await person.room.disconnect()
    assert (len(agent.told), len(person.told), len(second.told)) == (1, 0, 1)


async def test_an_encrypted_room_is_refused(
    livekit_server: LiveKitServer, media_pool: MediaPool, room_name: str, tmp_path: Path
) -> None:
    """Where somebody publishes end-to-end encrypted the avatar has no key: a code says so, and it does not stay."""
    options = rtc.E2EEOptions(key_provider_options=rtc.KeyProviderOptions(shared_key=b"a key of a test"))
    person = rtc.Room()
    await person.connect(
        livekit_server.url, person_token(livekit_server, room_name), rtc.RoomOptions(encryption=options)
    )
    voice = rtc.LocalAudioTrack.create_audio_track("voice", rtc.AudioSource(48_000, 1))
    await person.local_participant.publish_track(voice)
    with pytest.raises(Refused) as caught:
        async with small_avatar(media_pool, livekit_server, room_name, tmp_path):
            pass
    await livekit_server.wait_gone(room_name, AVATAR_IDENTITY, within_s=3)
    await person.disconnect()
    assert caught.value.code == FailureCode.ROOM_ENCRYPTED
