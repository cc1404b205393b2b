"""An avatar in a Daily room that is made up: `fake_daily` in the library's place."""

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.failures import FailureCode, Refused
from domain.leases import Stop
from domain.session import EndReason
from presence.pictures import Picture
from presence.processes.protocol import Asks, Event, Join, Published, RoomSeen
from presence.rooms import daily
from presence.rooms.base import Occupancy, VideoFormat
from presence.rooms.daily import DailyRoom
from presence.rooms.daily_voice import MOST_WAITING, PIECE, UNDER_WAY, Voice
from presence.session import AvatarSession
from support.eventually import eventually
from support.fake_daily import FakeDaily, Microphone, participant
from support.portrait_pictures import save_portrait

URL, TOKEN = "https://greenroom.daily.co/stage", "to.ken.of-the-avatar"
SIZE = (64, 48)
VIDEO = VideoFormat(width=SIZE[0], height=SIZE[1], fps=25, codec="H264", bitrate=800_000)


@pytest.fixture
def fake() -> FakeDaily:
    """A library that nobody has used yet."""
    return FakeDaily()


class Stay:
    """A room and what it says of who is there."""

    def __init__(self, fake: FakeDaily, video: VideoFormat = VIDEO, name: str = "Sara") -> None:
        self.seen: list[Occupancy] = []
        self.watched: list[bool] = []
        self.room = DailyRoom(video, self.seen.append, self.watched.append, name, library=fake)

    async def enter(self) -> "Stay":
        """Join and publish."""
        await self.room.connect(URL, TOKEN, within_s=5)
        await self.room.publish()
        return self

    @property
    def people(self) -> list[int]:
        """How many were counted, each time."""
        return [one.people for one in self.seen]


async def heard(fake: FakeDaily) -> None:
    """Let everything arrive that the library has said so far."""
    await asyncio.to_thread(fake.settle)
    await asyncio.sleep(0)


async def test_an_avatar_joins_with_a_camera_and_a_microphone_and_takes_nothing(fake: FakeDaily) -> None:
    """Its name is the request's; it publishes one layer after the join, and subscribes to nobody."""
    stay = Stay(fake)
    await stay.room.connect(URL, TOKEN, within_s=5)
    [(url, token, settings)] = fake.client.joins
    assert (url, token, fake.client.user_name) == (URL, TOKEN, "Sara")
    assert settings["inputs"]["camera"]["settings"]["deviceId"] == fake.cameras[0].name
    assert settings["inputs"]["microphone"]["settings"]["deviceId"] == fake.microphones[0].name
    assert not fake.client.publishing["camera"]["isPublishing"]
    assert set(fake.client.subscriptions["base"].values()) == {"unsubscribed"}
    published = await stay.room.publish()
    camera = fake.client.publishing["camera"]
    assert (camera["isPublishing"], camera["sendSettings"]["preferredCodec"]) == (True, "H264")
    layer = {"maxBitrate": 800_000, "maxFramerate": 25, "scaleResolutionDownBy": 1.0}
    assert camera["sendSettings"]["encodings"] == {"low": layer}
    assert (published.participant_identity, published.participant_sid) == ("user-avatar", "id-Sara")
    assert (published.room_name, published.video_track_sid) == ("stage", "camera")
    device, microphone = fake.cameras[0], fake.microphones[0]
    assert (device.width, device.height, device.color_format) == (*SIZE, "I420")
    assert (microphone.sample_rate, microphone.channels) == (48_000, 1)


async def test_smaller_pictures_are_sent_besides_where_that_is_wanted(fake: FakeDaily) -> None:
    """Three layers, each half as wide as the one above; an unknown codec is left to the library."""
    wanted = VideoFormat(width=64, height=48, fps=25, codec="AV1", bitrate=1_600_000, simulcast=True)
    await Stay(fake, wanted, name="").enter()
    sent = fake.client.publishing["camera"]["sendSettings"]
    assert {name: (one["maxBitrate"], one["scaleResolutionDownBy"]) for name, one in sent["encodings"].items()} == {
        "high": (1_600_000, 1.0),
        "medium": (400_000, 2.0),
        "low": (100_000, 4.0),
    }
    assert "preferredCodec" not in sent
    assert fake.client.user_name == "Avatar"


async def test_the_library_is_initialised_once_a_process(fake: FakeDaily) -> None:
    """A second time would end the process, and with it every session in it."""
    await Stay(fake).enter()
    await Stay(fake).enter()
    assert (fake.initialised, len(fake.clients)) == (1, 2)


@pytest.mark.parametrize("code", [FailureCode.ROOM_TOKEN_REFUSED, FailureCode.ROOM_JOIN_FAILED])
async def test_a_refused_join_has_its_code_and_shows_no_token(
    fake: FakeDaily, caplog: pytest.LogCaptureFixture, code: FailureCode
) -> None:
    """The library's text may hold the token; ours never does."""
    word = "InvalidMeetingToken" if code is FailureCode.ROOM_TOKEN_REFUSED else "Unheard of"
    fake.join_error = f"Connection({word}, {TOKEN})"
    with pytest.raises(Refused) as caught:
        await Stay(fake).enter()
    assert caught.value.code == code
    assert word in caplog.text
    assert TOKEN not in caplog.text + caught.value.message


async def test_a_room_that_never_answers_is_unreachable_in_time(fake: FakeDaily) -> None:
    """The join goes on in the library, which cannot call it off; the avatar asks nothing more of it and is gone."""
    fake.silent = True
    stay = Stay(fake)
    with pytest.raises(Refused) as caught:
        await stay.room.connect(URL, TOKEN, within_s=0.05)
    assert caught.value.code == FailureCode.ROOM_UNREACHABLE
    await stay.room.disconnect()
    assert not fake.client.left


@pytest.mark.parametrize("can_send", [False, ["microphone"], []])
async def test_a_token_without_the_right_to_publish_is_named(fake: FakeDaily, can_send: Any) -> None:
    """It is ROOM_JOIN_FAILED at once, and the avatar leaves."""
    fake.permissions = {"hasPresence": True, "canSend": can_send}
    stay = Stay(fake)
    with pytest.raises(Refused) as caught:
        await stay.room.connect(URL, TOKEN, within_s=5)
    assert caught.value.code == FailureCode.ROOM_JOIN_FAILED
    await stay.room.disconnect()
    assert fake.client.left


async def test_a_publication_that_fails_or_is_overtaken_is_refused(fake: FakeDaily) -> None:
    """The server takes no track, or the room is lost meanwhile."""
    fake.publish_error = "The SFU rejected send-track"
    with pytest.raises(Refused) as caught:
        await Stay(fake).enter()
    assert caught.value.code == FailureCode.ROOM_JOIN_FAILED
    stay = Stay(fake)
    await stay.room.connect(URL, TOKEN, within_s=5)
    fake.silent = True
    fake.eject("Meeting has ended")
    with pytest.raises(Refused) as caught:
        await stay.room.publish()
    assert caught.value.code == FailureCode.ROOM_JOIN_FAILED


@pytest.mark.parametrize("shape", [(32, 24), (48, 64), (64, 50)])
async def test_only_pictures_of_the_cameras_size_are_written(fake: FakeDaily, shape: tuple[int, int]) -> None:
    """The library reads as many bytes as it expects, whether they are there or not."""
    stay = await Stay(fake).enter()
    with pytest.raises(ValueError, match="bytes for a camera"):
        stay.room.push_video(Picture(*shape))
    cut = Picture(*SIZE)
    cut.data = cut.data[:-1]
    with pytest.raises(ValueError, match="bytes for a camera"):
        stay.room.push_video(cut)
    assert fake.cameras[0].frames == 0
    stay.room.push_video(Picture(*SIZE))
    assert len(fake.cameras[0].last) == 64 * 48 * 3 // 2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("You were ejected from the meeting", EndReason.REMOVED),
        ("Meeting has ended", EndReason.ROOM_DELETED),
        ("Ejected after timeout", EndReason.TOKEN_EXPIRED),
        ("something new", EndReason.ROOM_UNREACHABLE),
        ("", EndReason.ROOM_UNREACHABLE),
    ],
)
async def test_each_way_to_lose_the_room_has_a_reason(fake: FakeDaily, said: str, reason: EndReason) -> None:
    """A leaving that nobody asked for, with the words that come with it; the avatar then leaves nothing twice."""
    stay = await Stay(fake).enter()
    fake.eject(said)
    async with asyncio.timeout(5):
        assert await stay.room.wait_lost() is reason
    await stay.room.disconnect()
    assert not fake.client.left


async def test_an_old_error_is_not_why_the_room_is_lost(fake: FakeDaily, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of single requests come the same way, long before."""
    monkeypatch.setattr(daily, "_STALE_AFTER_S", 0.0)
    stay = await Stay(fake).enter()
    fake.eject("Error: you were ejected from something else")
    async with asyncio.timeout(5):
        assert await stay.room.wait_lost() is EndReason.ROOM_UNREACHABLE


async def test_everybody_visible_is_a_person_but_this_sessions_own_avatars(fake: FakeDaily) -> None:
    """Daily has no agents; who hides has left; an older generation came with the same token, so as the same user."""
    fake.others = [participant("early"), participant("before", user_id="user-avatar")]
    stay = Stay(fake)
    await stay.room.connect(URL, TOKEN, within_s=5)
    assert stay.seen == []
    await stay.room.publish()
    late = fake.enter("late")
    fake.enter("late")  # told of twice
    await heard(fake)
    fake.go(late, "hidden")
    fake.go(fake.others[0])
    fake.go(fake.others[1])
    await heard(fake)
    assert stay.people == [1, 2, 1, 0]
    assert {(one.agents, one.agent_there) for one in stay.seen} == {(0, None)}
    assert stay.watched == [True, True, True, False]


async def test_nobody_is_gone_while_the_connection_is_interrupted(
    fake: FakeDaily, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes back with it was never away, and the avatar asks whether it still belongs there."""
    monkeypatch.setattr("presence.rooms.census.SETTLE_S", 0.1)
    stay = await Stay(fake).enter()
    returns: list[int] = []
    stay.room.on_return(lambda: returns.append(1))
    stays, goes = fake.enter("stays"), fake.enter("goes")
    fake.emit("on_network_connection_status_updated", {"event": "interrupted"})
    fake.go(stays)
    fake.go(goes)
    await heard(fake)
    assert (stay.people, returns) == ([0, 1, 2], [])
    fake.emit("on_network_connection_status_updated", {"event": "connected"})
    fake.enter("stays")
    await eventually(lambda: stay.people == [0, 1, 2, 1])
    assert returns == [1]


async def test_the_room_is_told_by_app_messages(fake: FakeDaily, caplog: pytest.LogCaptureFixture) -> None:
    """State, reason and warning, each with its type; what cannot be told is logged."""
    stay = await Stay(fake).enter()
    await stay.room.announce("connected")
    await stay.room.warn("expired", 60)
    await stay.room.announce("disconnected", "expired")
    assert fake.client.messages == [
        {"type": "session.state", "state": "connected"},
        {"type": "session.warning", "reason": "expired", "seconds_left": 60},
        {"type": "session.state", "state": "disconnected", "reason": "expired"},
    ]
    fake.message_error = "AppMessage(Signalling(ChannelNotOpen))"
    await stay.room.announce("connected")
    assert "ChannelNotOpen" in caplog.text
    fake.silent = True
    await stay.room.announce("connected")
    assert "no answer" in caplog.text


async def test_leaving_is_bounded_and_no_loss(
    fake: FakeDaily, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaving of its own accord loses no room, and a library that does not answer holds up nobody."""
    monkeypatch.setattr(daily, "_WHY_WITHIN_S", 0.0)
    stay = await Stay(fake).enter()
    await stay.room.disconnect()
    await heard(fake)
    await asyncio.sleep(0.02)
    assert fake.client.left
    assert not stay.room._lost.done()
    stay = await Stay(fake).enter()
    fake.silent = True
    async with asyncio.timeout(5):
        await stay.room.disconnect()
    assert "did not leave" in caplog.text


async def test_little_sound_is_in_the_microphone_at_once(fake: FakeDaily) -> None:
    """What it has cannot be taken back, so it gets the next piece when one has been played; a clear drops the rest."""
    microphone = Microphone(fake, "m", 48_000, 1, non_blocking=True)
    microphone.holds = True
    voice = Voice(microphone)
    first = np.arange(PIECE * 4 + 10, dtype=np.int16)
    await voice.push(first)
    assert len(microphone.written) == UNDER_WAY
    microphone.play()
    await heard(fake)
    assert len(microphone.written) == UNDER_WAY + 1
    voice.clear()
    second = np.full(PIECE, 7, np.int16)
    await voice.push(second)
    while microphone.held:
        microphone.play()
        await heard(fake)
    assert b"".join(microphone.written) == first[: PIECE * 3].tobytes() + second.tobytes()


async def test_whoever_pushes_too_much_sound_waits(fake: FakeDaily) -> None:
    """Until there is room again, or everything was dropped."""
    microphone = Microphone(fake, "m", 48_000, 1, non_blocking=True)
    microphone.holds = True
    voice = Voice(microphone)
    for relieve in (microphone.play, voice.clear):
        pushing = asyncio.create_task(voice.push(np.zeros(PIECE * (MOST_WAITING + UNDER_WAY + 1), np.int16)))
        await asyncio.sleep(0.01)
        assert not pushing.done()
        while not pushing.done():
            relieve()
            await heard(fake)
        await pushing


@pytest.fixture
def order(tmp_path: Path) -> Callable[..., Join]:
    """Makes joins of a small avatar for a Daily room."""
    portrait = save_portrait(tmp_path, 320, 240)

    def make(**changes: Any) -> Join:
        values: dict[str, Any] = {
            "session_id": "session-of-daily",
            "generation": 1,
            "platform": "daily",
            "url": URL,
            "token": TOKEN,
            "portrait_path": str(portrait.path),
            "portrait_sha256": portrait.sha256,
            "width": 320,
            "height": 240,
            "display_name": "Sara",
        }
        return Join(**(values | changes))

    return make


async def test_a_session_plays_in_the_room_and_leaves_it(
    fake: FakeDaily, order: Callable[..., Join], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole session: frames and sound flow, people are reported, warnings and the goodbye are said."""
    monkeypatch.setitem(sys.modules, "daily", fake)
    events: list[Event] = []
    session = AvatarSession(order(), events.append)
    running = asyncio.create_task(session.run())
    await eventually(lambda: any(isinstance(event, Published) for event in events), within_s=15)
    fake.enter("somebody")
    await eventually(lambda: [e.people for e in events if isinstance(e, RoomSeen)] == [0, 1])
    await eventually(lambda: fake.cameras[0].frames > 10 and len(fake.microphones[0].written) > 10, within_s=15)
    assert len(fake.cameras[0].last) == 320 * 240 * 3 // 2
    assert len(set(fake.cameras[0].last)) > 50  # a picture, not a plane
    assert session.playback is not None
    assert session.playback.watched
    fake.emit("on_network_connection_status_updated", {"event": "interrupted"})
    fake.emit("on_network_connection_status_updated", {"event": "connected"})
    await eventually(lambda: any(isinstance(event, Asks) for event in events))
    session._hold.renewed(Stop(in_s=30, reason="expired"))
    await eventually(lambda: any(m["type"] == "session.warning" for m in fake.client.messages))
    await session.leave("ended_by_request")
    running.cancel()
    await asyncio.wait({running})
    assert fake.client.user_name == "Sara"
    assert fake.client.messages[0] == {"type": "session.state", "state": "connected"}
    goodbye = {"type": "session.state", "state": "disconnected", "reason": "ended_by_request"}
    assert fake.client.messages[-1] == goodbye
    assert fake.client.left


async def test_a_session_ends_as_the_room_says(
    fake: FakeDaily, order: Callable[..., Join], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put out of the room, its run returns the reason."""
    monkeypatch.setitem(sys.modules, "daily", fake)
    events: list[Event] = []
    running = asyncio.create_task(AvatarSession(order(), events.append).run())
    await eventually(lambda: any(isinstance(event, Published) for event in events), within_s=15)
    fake.eject("You were ejected from the meeting")
    async with asyncio.timeout(15):
        assert await running is EndReason.REMOVED


async def test_a_server_without_the_library_joins_no_such_room(
    order: Callable[..., Join], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so by the code, and its operator by name what is missing."""
    caplog.set_level(logging.ERROR)
    monkeypatch.setitem(sys.modules, "daily", None)
    with pytest.raises(Refused) as caught:
        AvatarSession(order(), lambda _: None)
    assert caught.value.code == FailureCode.ROOM_PLATFORM_UNAVAILABLE
    assert "daily-python" in caplog.text
