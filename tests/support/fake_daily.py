"""A stand-in for `daily-python`: the same surface, as far as an avatar uses it, and a room that tests play with.

Like the real one it calls back on a thread of its own, checks no frame's length, evicts nobody, and can be initialised
once; there the second time ends the process.
"""

import itertools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Completion = Callable[..., None]
_NUMBERS = itertools.count()


class EventHandler:
    """What the library calls; without a method of its own for everything, unlike the real one."""


class LogLevel:
    """Names only."""

    Error = "error"


def participant(name: str, *, local: bool = False, user_id: str = "", permissions: Any = None) -> dict[str, Any]:
    """A participant as the library shows it."""
    info: dict[str, Any] = {"isLocal": local, "isOwner": False, "userName": name, "userId": user_id or f"user-{name}"}
    if permissions is not None:
        info["permissions"] = permissions
    return {"id": f"id-{name}", "info": info, "media": {}}


class Camera:
    """A virtual camera: keeps what it was shown last."""

    def __init__(self, name: str, width: int, height: int, color_format: str) -> None:
        self.name, self.width, self.height, self.color_format = name, width, height, color_format
        self.frames = 0
        self.last = b""

    def write_frame(self, frame: bytes) -> None:
        """Show it, whatever its length."""
        assert isinstance(frame, bytes)  # the real one takes nothing else
        self.frames += 1
        self.last = frame


class Microphone:
    """A virtual microphone, which plays at once, or only when it is told to."""

    def __init__(self, fake: "FakeDaily", name: str, sample_rate: int, channels: int, *, non_blocking: bool) -> None:
        assert non_blocking  # a blocking one would stop the event loop
        self._fake = fake
        self.name, self.sample_rate, self.channels = name, sample_rate, channels
        self.written: list[bytes] = []
        self.held: list[tuple[int, Completion]] = []
        self.holds = False
        """Keep what is written until `play`."""

    def write_frames(self, frames: bytes, completion: Completion) -> int:
        """Take sound."""
        self.written.append(frames)
        samples = len(frames) // 2 // self.channels
        if self.holds:
            self.held.append((samples, completion))
        else:
            self._fake.later(completion, samples)
        return 0

    def play(self) -> None:
        """Be done with the oldest piece."""
        samples, completion = self.held.pop(0)
        self._fake.later(completion, samples)


class CallClient:
    """One participant: this avatar."""

    def __init__(self, fake: "FakeDaily", event_handler: EventHandler) -> None:
        self._fake = fake
        self.handler = event_handler
        self.user_name = ""
        self.joins: list[tuple[str, str, Mapping[str, Any]]] = []
        self.publishing: Mapping[str, Any] = {}
        self.subscriptions: Mapping[str, Any] = {}
        self.messages: list[Mapping[str, Any]] = []
        self.left = False

    def set_user_name(self, user_name: str) -> None:
        """What the others see."""
        self.user_name = user_name

    def update_subscription_profiles(self, profile_settings: Mapping[str, Any], completion: Any = None) -> None:
        """What is taken from the others."""
        self.subscriptions = profile_settings

    def join(
        self, meeting_url: str, meeting_token: str, client_settings: Mapping[str, Any], completion: Completion
    ) -> None:
        """Answer as the room was told to, or never."""
        self.joins.append((meeting_url, meeting_token, client_settings))
        self.publishing = client_settings["publishing"]
        if self._fake.silent:
            return
        if self._fake.join_error:
            self._fake.later(completion, None, self._fake.join_error)
            return
        me = participant(self.user_name, local=True, user_id="user-avatar", permissions=self._fake.permissions)
        there = {"local": me} | {one["id"]: one for one in self._fake.others}
        self._fake.later(completion, {"meetingSession": {"id": "meeting"}, "participants": there}, None)

    def update_publishing(self, publishing_settings: Mapping[str, Any], completion: Completion) -> None:
        """Send, or do not."""
        self.publishing = publishing_settings
        if not self._fake.silent:
            self._fake.later(completion, self._fake.publish_error)

    def send_app_message(self, message: Mapping[str, Any], completion: Completion) -> None:
        """Tell everybody."""
        if not self._fake.silent:
            self.messages.append(message)
            self._fake.later(completion, self._fake.message_error)

    def leave(self, completion: Completion) -> None:
        """Leave, and say so."""
        self.left = True
        if not self._fake.silent:
            self._fake.emit("on_call_state_updated", "left")
            self._fake.later(completion, None)


Client = CallClient


class FakeDaily:
    """The library as a module, and the room behind it."""

    EventHandler = EventHandler
    LogLevel = LogLevel

    def __init__(self) -> None:
        self.__name__ = f"fake_daily_{next(_NUMBERS)}"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="daily")
        self.initialised = 0
        self.cameras: list[Camera] = []
        self.microphones: list[Microphone] = []
        self.clients: list[Client] = []
        self.others: list[dict[str, Any]] = []
        self.permissions: Any = None
        self.silent = False
        """Complete nothing any more."""
        self.join_error = ""
        self.publish_error: str | None = None
        self.message_error: str | None = None
        self.Daily = self

    def init(self, worker_threads: int = 2, log_level: object = None) -> None:
        """Once."""
        self.initialised += 1
        assert self.initialised == 1, "the real library would have ended the process"

    def create_camera_device(self, device_name: str, width: int, height: int, color_format: str = "RGBA") -> Camera:
        """A camera."""
        self.cameras.append(Camera(device_name, width, height, color_format))
        return self.cameras[-1]

    def create_microphone_device(
        self, device_name: str, sample_rate: int = 16_000, channels: int = 1, *, non_blocking: bool = False
    ) -> Microphone:
        """A microphone."""
        self.microphones.append(Microphone(self, device_name, sample_rate, channels, non_blocking=non_blocking))
        return self.microphones[-1]

    def CallClient(self, event_handler: EventHandler) -> Client:  # noqa: N802 - as the library calls it
        """A participant that is not in a room yet."""
        self.clients.append(Client(self, event_handler))
        return self.clients[-1]

    @property
    def client(self) -> Client:
        """The latest participant."""
        return self.clients[-1]

    def later(self, call: Completion, *values: object) -> None:
        """Call on the library's thread."""
        self._thread.submit(call, *values)

    def emit(self, event: str, *values: object) -> None:
        """Let the latest participant hear of something, on the library's thread."""
        self.later(getattr(self.client.handler, event), *values)

    def enter(self, name: str, **values: Any) -> dict[str, Any]:
        """Somebody comes."""
        who = participant(name, **values)
        self.emit("on_participant_joined", who)
        return who

    def go(self, who: Mapping[str, Any], reason: str = "leftCall") -> None:
        """Somebody goes."""
        self.emit("on_participant_left", who, reason)

    def eject(self, message: str = "") -> None:
        """Put the avatar out of the room."""
        if message:
            self.emit("on_error", message)
        for state in ("leaving", "left"):
            self.emit("on_call_state_updated", state)

    def settle(self, within_s: float = 5) -> None:
        """Wait until the library's thread has nothing left to say."""
        until = time.monotonic() + within_s
        self._thread.submit(lambda: None).result(until - time.monotonic())
