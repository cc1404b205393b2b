"""The sole reader of the environment: `load_settings(environ)` is called in `main` only."""

import base64
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from domain.labels import parse_labels
from domain.picture_urls import parse_hosts
from runtime.setting_files import PREFIX, SettingsError, with_files

__all__ = ["PLAIN", "PREFIX", "Settings", "SettingsError", "load_settings", "parse_keys", "payload_keys"]

S3 = "s3://"
DATABASES = ("postgresql", "postgres", "postgresql+asyncpg", "sqlite", "sqlite+aiosqlite")
"""How the address of a database may begin."""

PLAIN = "plain"
"""In the place of a key of payloads: new ones are not encrypted."""

RATE_LIMIT_STORES = ("redis", "rediss", "valkey", "valkeys")

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=7 * 24 * 3600)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a process needs to start.

    Each field is read from the variable GREENROOM_<FIELD>, or from the file whose name is in GREENROOM_<FIELD>_FILE.
    """

    data_dir: str = ".greenroom"
    """The folder of the embedded database, object store and caches."""

    database_url: str = ""
    """`postgresql://USER:PASSWORD@HOST:PORT/DATABASE` or `sqlite:///FILE`; empty means SQLite in the data folder."""

    storage_url: str = ""
    """Where objects lie: `s3://bucket/prefix`, or an address that fsspec knows; empty means in the data folder."""

    storage_endpoint: str = ""
    """Address of an S3-compatible server, `http(s)://host:port`; empty means AWS."""

    storage_access_key: str = ""
    """S3 access key id; empty: botocore looks for credentials (its variables, its files, the machine's role)."""

    storage_secret_key: str = ""
    """The secret that belongs to it."""

    storage_region: str = ""
    """The bucket's region; S3-compatible servers mostly need none."""

    storage_public_endpoint: str = ""
    """How clients reach the S3 server. Where it is set, they get presigned S3 addresses of pictures, else the API's."""

    host: str = "127.0.0.1"
    """Address that the API listens on."""

    port: Port = 8080
    """Port that the API listens on."""

    public_url: str = ""
    """How clients reach the API; empty means http://HOST:PORT. Signed picture addresses begin with it."""

    control_port: Port = 0
    """A port of its own for control sockets of clients, beside `/ws` on the API's; 0 means none."""

    control_message_mb: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """Megabytes that one message of a control socket has at most."""

    control_lost_s: Seconds = 10.0
    """How long after its control socket was lost a session that had one ends."""

    relay_url: str = ""
    """How avatar servers reach this very API process, `ws://HOST:PORT`; empty: as it listens, or by its host's name."""

    server_keys: str = ""
    """Keys that session tokens and picture addresses are signed with: `id:base64,...`, 32 bytes each, newest first."""

    sealing_keys: str = ""
    """Keys that room tokens are sealed with, in the same form. Only the API and the avatar role hold them."""

    webhook_keys: str = ""
    """Keys that webhooks' secrets are sealed with, in the same form. Only the sessions role and whoever runs
    `greenroom webhooks` hold them; empty means that there are no webhooks."""

    payload_keys: str = ""
    """Keys that whatever crosses Temporal is encrypted with, in the same form, for those who must: every process, and
    every command that asks Temporal, holds them then. `plain` in front of them: nothing new is encrypted. Empty:
    histories stay readable."""

    codec_token: Annotated[str, msgspec.Meta(pattern=r"^(\S{24,})?$")] = ""
    """What whoever asks `greenroom codec-server` must show, of 24 characters or more."""

    codec_origins: str = ""
    """Addresses of pages that may ask the codec server from a browser, as Temporal's own: `http(s)://HOST[:PORT],...`."""

    webhook_hosts: str = ""
    """Hosts, besides public addresses, that webhooks may be sent to, in the form of GREENROOM_PICTURE_HOSTS (`greenroom
    dev` sets this machine)."""

    webhook_first_pause_s: Seconds = 5.0
    """How long after a failed delivery of a webhook it is tried again; each further pause is twice as long, an hour at
    most."""

    webhook_give_up_s: Seconds = 24 * 3600.0
    """For how long a webhook is tried."""

    requests_per_minute: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 60
    """How many requests a minute each API key may make; 0 means any number (what `greenroom dev` sets)."""

    rate_limit_url: str = ""
    """A Valkey or Redis in which all API processes count together, `redis://[:PASSWORD@]HOST:PORT/0`; `rediss://` and
    `valkey://` are taken too. Empty: each counts for itself."""

    temporal_wait_s: Seconds = 5.0
    """How long a request waits for Temporal before it answers 503."""

    create_within_s: Seconds = 30.0
    """How long a create by avatar id may take."""

    create_with_picture_within_s: Seconds = 60.0
    """How long a create with a picture, or an upload, may take."""

    wait_up_to_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 10.0
    """How long a create waits in line for a free slot, unless it says `wait_up_to` itself."""

    longest_wait_s: Annotated[float, msgspec.Meta(ge=0, le=300)] = 120.0
    """What a create may ask for at most."""

    longest_line: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 100
    """How many creates may wait in line at once; whoever comes then is told AT_CAPACITY at once."""

    nobody_joined_s: Seconds = 120.0
    """After how long a session ends in which nobody ever joined."""

    participants_left_s: Seconds = 20.0
    """How long after the last participant left a session ends."""

    agent_left_s: Seconds = 20.0
    """How long after the avatar's agent left a session ends, where the avatar's token names the agent."""

    failover_within_s: Seconds = 30.0
    """How long a session whose avatar server is lost waits for another one."""

    cached_sessions: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000
    """How many running workflows a sessions worker keeps in its memory; each more is replayed with its next task."""

    heartbeat_within_s: Annotated[float, msgspec.Meta(ge=2, le=60)] = 3.0
    """For how long a session's avatar server may say nothing to Temporal before it is looked for: failovers take so
    much longer than 3 s as this is longer, and Temporal gets a heartbeat of each session in a third of it."""

    room_hosts: str = ""
    """Hosts that avatars may be sent to: a comma-separated list, or `*` for any (what `greenroom dev` sets)."""

    daily_rooms: bool = False
    """Take creates for rooms of Daily; every avatar server then needs the extra `daily`. Their hosts stand in
    `room_hosts` like others."""

    livekit_url: str = ""
    """The operator's own LiveKit server as we reach it, `ws(s)://host:port`; empty: no rooms are made here."""

    livekit_public_url: str = ""
    """How clients reach the same LiveKit server; empty means as we do."""

    livekit_api_key: str = ""
    """The LiveKit server's key. Only the API and the sessions role hold it and its secret."""

    livekit_api_secret: str = ""
    """The secret that belongs to it."""

    face_model: str = ""
    """The SCRFD detector file; empty means the one that `greenroom setup` fetched."""

    face_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where detection runs. `cuda` refuses to start without CUDA; `auto` takes what is there."""

    face_thresholds: str = ""
    """Limits of the face verdict that differ from the built-in ones: `name=number,...`, names as in docs/faces.md."""

    photo_classifier: str = ""
    """An ONNX file that tells photographs from drawings (docs/faces.md says how it is asked); empty means none."""

    picture_hosts: str = ""
    """Hosts, besides public addresses, that pictures may be fetched from: a comma-separated list of `host` or
    `host:port`. For these the address is not checked."""

    keep_originals: bool = False
    """Keep each avatar's picture as it was sent, beside its portraits, until the avatar is deleted."""

    first_api_key: Annotated[str, msgspec.Meta(pattern=r"^(\S{32,})?$")] = ""
    """A key, of 32 characters or more, for which `greenroom migrate` makes the account `local`; empty means none."""

    avatar_name: str = ""
    """What this avatar server is called in lists and in the Temporal UI; empty means as its machine."""

    avatar_version: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """Which software this avatar server runs, such as its image's tag: `greenroom servers drain --version` finds it by
    that. Empty: the package's version."""

    server_labels: str = ""
    """What this avatar server is or has, `gpu=h100,region=eu`: plans and accounts can require it of their servers."""

    avatar_slots: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 2
    """How many sessions this avatar server serves at once."""

    avatar_spares: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1
    """How many media processes wait ready-made for the next session."""

    video_codec: Literal["VP8", "H264", "VP9", "AV1"] = "VP8"
    """The codec of the avatar's video."""

    video_fps: Annotated[int, msgspec.Meta(ge=1, le=60)] = 25
    """Frames a second."""

    video_idle_fps: Annotated[int, msgspec.Meta(ge=1, le=60)] = 12
    """Frames a second while nobody is subscribed to the picture."""

    video_bitrate: Annotated[int, msgspec.Meta(ge=50_000, le=50_000_000)] = 2_000_000
    """Bits a second at most."""

    video_size: Annotated[int, msgspec.Meta(ge=0, le=1920)] = 0
    """The longer side of the video in pixels; 0 is the portrait's own, which is 1280. For faces and avatar alike."""

    video_simulcast: bool = False
    """Send smaller pictures besides; a viewer then sees the full size later."""

    session_memory_mb: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1024
    """What one session's media process may occupy before it is killed; 0 is no limit."""

    session_open_files: Annotated[int, msgspec.Meta(ge=128, le=1_000_000)] = 4096
    """How many files one session's media process may open."""

    renderer: str = "warp"
    """What draws the avatar: `warp`, `still`, `lipsync`, or a renderer that another installed package brings. For
    faces and avatar alike."""

    lipsync_model: str = ""
    """The ONNX file of the renderer `lipsync` (docs/renderer-lipsync.md says which fit)."""

    lipsync_device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where that model runs. `cuda` refuses to start without CUDA; `auto` takes what is there."""

    av_offset_ms: Annotated[int, msgspec.Meta(ge=-200, le=1000)] = 0
    """How much later than its sound a picture is shown; negative for earlier."""

    frame_marker: bool = False
    """Stamp a frame counter into the picture's corner, so that tests can tell a fresh frame from a frozen one."""

    deployment: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "greenroom"
    """How Temporal calls the versions of our sessions workers together: one name a namespace."""

    build_id: Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9_.-]{1,64})?$")] = ""
    """The version of this sessions worker; empty: a digest of the workflows' source (`greenroom dev` sets `dev`)."""

    promote: Literal["start", "hand"] = "start"
    """Who gives new sessions to a new version: `start`, its first worker; `hand`, an operator by `greenroom deploy
    promote`. Where no version takes any, the first worker does in either case."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """Level of the process's own log."""

    log_format: Literal["json", "text"] = "json"
    """Lines of JSON, or sentences for people (what `greenroom dev` sets)."""

    metrics_port: Port = 0
    """The port on which this process shows its metrics to Prometheus, at /metrics; 0 means none."""

    metrics_host: str = "127.0.0.1"
    """The address of that port. Metrics ask for no key: beyond this machine only in a network of your own."""

    def __repr__(self) -> str:
        """Without the values: some are secrets, and a representation ends up in logs."""
        return f"Settings(data_dir={self.data_dir!r}, ...)"

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
    def storage_access(self) -> dict[str, str]:
        """How to reach an S3 server, by the words of `ObjectStore` and `Presigner`; empty where it is not S3."""
        if not self.storage_url.startswith(S3):
            return {}
        return {
            "endpoint": self.storage_endpoint,
            "access_key": self.storage_access_key,
            "secret_key": self.storage_secret_key,
            "region": self.storage_region,
        }

    @property
    def allowed_room_hosts(self) -> frozenset[str]:
        """The hosts that avatars may be sent to."""
        return frozenset(filter(None, (host.strip().lower() for host in self.room_hosts.split(","))))

    @property
    def allowed_picture_hosts(self) -> frozenset[str]:
        """The hosts that pictures may be fetched from, besides public addresses."""
        return parse_hosts(self.picture_hosts)

    @property
    def livekit_access(self) -> dict[str, str]:
        """The operator's LiveKit server by the words of `LiveKitAccess`; empty where none is set."""
        if not self.livekit_url:
            return {}
        return {"url": self.livekit_url, "api_key": self.livekit_api_key, "api_secret": self.livekit_api_secret}

    @property
    def public_livekit_url(self) -> str:
        """How clients reach the operator's LiveKit server; empty where none is set."""
        return self.livekit_public_url or self.livekit_url

    @property
    def allowed_webhook_hosts(self) -> frozenset[str]:
        """The hosts that webhooks may be sent to, besides public addresses."""
        return parse_hosts(self.webhook_hosts)

    @property
    def allowed_codec_origins(self) -> frozenset[str]:
        """The pages that may ask the codec server, as browsers write their addresses."""
        return frozenset(filter(None, (one.strip().rstrip("/") for one in self.codec_origins.split(","))))

    @property
    def relay_address(self) -> str:
        """How avatar servers reach this very API process, without a slash at the end."""
        host = socket.gethostname() if self.host in ("", "0.0.0.0", "::") else self.host  # noqa: S104 - compared only
        return (self.relay_url or f"ws://{host}:{self.port}").rstrip("/")

    @property
    def public_address(self) -> str:
        """How clients reach the API, without a slash at the end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def load_settings(environ: Mapping[str, str]) -> Settings:
    """The settings of an environment; an empty variable is one that is not set.

    Unknown GREENROOM_ names are refused, so that a typing error is seen.
    """
    environ = with_files(environ)
    found = {k.removeprefix(PREFIX).lower(): v for k, v in environ.items() if k.startswith(PREFIX)}
    found.pop("run", None)  # the mark by which a supervisor's processes are told apart
    unknown = found.keys() - set(Settings.__struct_fields__)
    if unknown:
        names = ", ".join(sorted(PREFIX + name.upper() for name in unknown))
        raise SettingsError(f"unknown settings: {names}")
    try:
        settings = msgspec.convert({name: text for name, text in found.items() if text}, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(error) from None
    checks = (_wrong_storage, _wrong_livekit, _wrong_others)
    if wrong := _wrong_database(settings.database_url) or next(filter(None, (check(settings) for check in checks)), ""):
        raise SettingsError(wrong)
    return settings


def _wrong_database(address: str) -> str:
    """What is wrong with the database's address, without quoting it: there may be a password; empty if nothing."""
    if not address:
        return ""
    if address.partition("://")[0] not in DATABASES:
        return "GREENROOM_DATABASE_URL is wrong: it must begin with postgresql:// or sqlite://"
    try:
        parts = urlsplit(address)
        fits = parts.netloc.count("@") <= 1 and parts.port != 0
    except ValueError:  # not passed on: what it calls a port may be the rest of a password
        fits = False
    if fits:
        return ""
    return "GREENROOM_DATABASE_URL is wrong: write @ : / ? # in a name or password as %40 %3A %2F %3F %23"


def _wrong_storage(settings: Settings) -> str:
    """What does not fit together in the object store's settings; empty if nothing."""
    names = ("endpoint", "access_key", "secret_key", "region", "public_endpoint")
    given = {f"{PREFIX}STORAGE_{name.upper()}": getattr(settings, f"storage_{name}") for name in names}
    if not settings.storage_url.startswith(S3):
        stray = ", ".join(name for name, text in given.items() if text)
        return stray and f"GREENROOM_STORAGE_URL is no {S3} address, for which {stray} is"
    if not settings.storage_url.removeprefix(S3).partition("/")[0]:
        return "GREENROOM_STORAGE_URL is wrong: it names no bucket"
    if bool(settings.storage_access_key) != bool(settings.storage_secret_key):
        return "GREENROOM_STORAGE_ACCESS_KEY and GREENROOM_STORAGE_SECRET_KEY are set together or not at all"
    if settings.storage_public_endpoint and not settings.storage_secret_key:
        return "GREENROOM_STORAGE_PUBLIC_ENDPOINT needs GREENROOM_STORAGE_ACCESS_KEY and GREENROOM_STORAGE_SECRET_KEY"
    for name, text in given.items():
        if text and name.endswith("ENDPOINT") and not is_server(text):
            return f"{name} is wrong: it must be http://HOST:PORT or https://HOST, without a user or query"
    return ""


def _wrong_livekit(settings: Settings) -> str:
    """What does not fit together in the settings of the operator's LiveKit server; empty if nothing."""
    together = (settings.livekit_url, settings.livekit_api_key, settings.livekit_api_secret)
    if any(together) != all(together):
        return f"{PREFIX}LIVEKIT_URL, _API_KEY and _API_SECRET are set together or not at all"
    if settings.livekit_public_url and not settings.livekit_url:
        return f"{PREFIX}LIVEKIT_PUBLIC_URL needs {PREFIX}LIVEKIT_URL"
    for name in ("livekit_url", "livekit_public_url"):
        if (text := getattr(settings, name)) and not is_server(text, ("ws", "wss")):
            return f"{PREFIX}{name.upper()} is wrong: it must be ws://HOST:PORT or wss://HOST, without a user or query"
    return ""


def _wrong_others(settings: Settings) -> str:
    """What is wrong in settings that have a form of their own; empty if nothing."""
    if settings.rate_limit_url and not _is_rate_limit_store(settings.rate_limit_url):
        return f"{PREFIX}RATE_LIMIT_URL is wrong: it must be redis://[:PASSWORD@]HOST:PORT/0, or rediss:// or valkey://"
    if not all(map(is_server, settings.allowed_codec_origins)):
        return f"{PREFIX}CODEC_ORIGINS is wrong: it must be http(s)://HOST[:PORT],..."
    for name, parse in (
        ("picture_hosts", parse_hosts),
        ("webhook_hosts", parse_hosts),
        ("server_labels", parse_labels),
    ):
        try:
            parse(getattr(settings, name))
        except ValueError as error:
            return f"{PREFIX}{name.upper()} is wrong: {error}"
    return ""


def _is_rate_limit_store(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in RATE_LIMIT_STORES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_server(address: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Is it a server's address that may be shown, and that paths can be added to?"""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.username or parts.password or parts.query or parts.fragment) and port != 0
    return parts.scheme in schemes and bool(parts.hostname) and plain


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


def payload_keys(environ: Mapping[str, str]) -> dict[str, bytes]:
    """The keys that Temporal's payloads are encrypted with, newest first; none where they stay readable.

    With PLAIN as the newest they only decrypt. Asked by whoever connects, so that no role and no command can forget
    them; SettingsError.
    """
    variable = f"{PREFIX}PAYLOAD_KEYS"
    text = with_files(environ).get(variable, "")
    first, _, others = text.partition(",")
    if first.strip() == PLAIN:
        return {PLAIN: b"", **parse_keys(others, variable)}
    return parse_keys(text, variable) if text else {}
