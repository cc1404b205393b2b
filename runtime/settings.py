"""The sole reader of the environment: `load_settings(environ)` is called in `main` only."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

PREFIX = "GREENROOM_"

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 24 * 3600)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a process needs to start. Each field is read from the variable GREENROOM_<FIELD>."""

    data_dir: str = ".greenroom"
    """The folder of the embedded database, object store and caches."""

    database_url: str = ""
    """SQLAlchemy address; empty means SQLite in the data folder."""

    storage_url: str = ""
    """fsspec address of the object store; empty means a folder in the data folder."""

    host: str = "127.0.0.1"
    """Address that the API listens on."""

    port: Port = 8080
    """Port that the API listens on."""

    public_url: str = ""
    """How clients reach the API; empty means http://HOST:PORT. Signed picture addresses begin with it."""

    server_keys: str = ""
    """Keys that session tokens and picture addresses are signed with: `id:base64,...`, 32 bytes each, newest first."""

    sealing_keys: str = ""
    """Keys that room tokens are sealed with, in the same form. Only the API and the avatar role hold them."""

    temporal_wait_s: Seconds = 5.0
    """How long a request waits for Temporal before it answers 503."""

    create_within_s: Seconds = 30.0
    """How long a create by avatar id may take."""

    create_with_picture_within_s: Seconds = 60.0
    """How long a create with a picture, or an upload, may take."""

    nobody_joined_s: Seconds = 120.0
    """After how long a session ends in which nobody ever joined."""

    participants_left_s: Seconds = 20.0
    """How long after the last participant left a session ends."""

    room_hosts: str = ""
    """Hosts that avatars may be sent to: a comma-separated list, or `*` for any (what `greenroom dev` sets)."""

    face_model: str = ""
    """The SCRFD detector file; empty means the one that `greenroom setup` fetched."""

    face_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where detection runs. `cuda` refuses to start without CUDA; `auto` takes what is there."""

    avatar_name: str = "avatar-1"
    """What this avatar server is called in lists and in the Temporal UI."""

    avatar_slots: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 2
    """How many sessions this avatar server serves at once."""

    avatar_spares: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    """How many media processes wait ready-made for the next session."""

    video_codec: Literal["VP8", "H264", "VP9", "AV1"] = "VP8"
    """The codec of the avatar's video."""

    video_fps: Annotated[int, msgspec.Meta(ge=1, le=60)] = 25
    """Frames a second."""

    video_bitrate: Annotated[int, msgspec.Meta(ge=50_000, le=50_000_000)] = 2_000_000
    """Bits a second at most."""

    frame_marker: bool = False
    """Stamp a frame counter into the picture's corner, so that tests can tell a fresh frame from a frozen one."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """Level of the process's own log."""

    @property
    def data_path(self) -> Path:
        """The data folder, absolute."""
        return Path(self.data_dir).resolve()

    @property
    def database_address(self) -> str:
        """The database to use."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_path / 'greenroom.db'}"

    @property
    def storage_address(self) -> str:
        """The object store to use."""
        return self.storage_url or f"file://{self.data_path / 'objects'}"

    @property
    def public_address(self) -> str:
        """How clients reach the API, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


class SettingsError(Exception):
    """A setting is missing or wrong; the message names its variable, never its value."""


def load_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment; an empty variable is one that is not set.

    Unknown GREENROOM_ names are refused, so that a typing error is seen.
    """
    found = {k.removeprefix(PREFIX).lower(): v for k, v in environ.items() if k.startswith(PREFIX)}
    found.pop("run", None)  # the mark by which a supervisor's processes are told apart
    unknown = found.keys() - set(Settings.__struct_fields__)
    if unknown:
        names = ", ".join(sorted(PREFIX + name.upper() for name in unknown))
        raise SettingsError(f"unknown settings: {names}")
    try:
        return msgspec.convert({name: text for name, text in found.items() if text}, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(error) from None


def _wrong(error: msgspec.ValidationError) -> SettingsError:
    """What msgspec found, with the variable's name and without the value, which it quotes where choices are few."""
    what, _, where = str(error).partition(" - at ")
    variable = PREFIX + where.strip("`").removeprefix("$.").upper()
    what = "it is none of its choices" if what.startswith("Invalid enum value") else what
    return SettingsError(f"{variable} is wrong: {what}")


def parse_keys(text: str, variable: str) -> dict[str, bytes]:
    """Keys by id from `id:base64,...`, newest first; each must decode to 32 bytes."""
    keys: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        key_id, _, encoded = entry.partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not key_id or len(key) != 32:  # noqa: PLR2004
            raise SettingsError(f"{variable} must be `id:base64` with 32 bytes a key")
        keys[key_id] = key
    if not keys:
        raise SettingsError(f"{variable} is not set")
    return keys
