"""The room of a create: which platform, and an address that an avatar may be sent to. Connects to nothing."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from msgspec import UNSET, UnsetType

from contracts.http import RoomRequest
from domain.failures import FailureCode, Refused

SUPPORTED = "livekit"
KNOWN = ("livekit", "daily", "proxy")
SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
ANY_HOST = "*"
LONGEST = {"url": 2048, "token": 16_384, "display_name": 256}
"""Characters. All of it travels in the workflow's input; real tokens have some hundreds."""


@dataclass(frozen=True, kw_only=True, repr=False)
class CheckedRoom:
    """A room request that can be acted on."""

    url: str
    token: str
    platform: str = SUPPORTED
    display_name: str | None = None
    managed_name: str = ""
    """The name of a room that is to be made; empty where it is the customer's own."""


def check_room(room: RoomRequest | UnsetType, allowed_hosts: frozenset[str]) -> CheckedRoom:
    """The room, or a refusal that names what is missing or wrong."""
    if isinstance(room, UnsetType):
        raise Refused(FailureCode.ROOM_REQUIRED, "room is required")
    _check_platform(room.platform)
    if isinstance(room.url, UnsetType) or not room.url:
        raise Refused(FailureCode.INVALID_ROOM, "room.url is required")
    if isinstance(room.token, UnsetType) or not room.token:
        raise Refused(FailureCode.INVALID_ROOM, "room.token is required")
    for field, most in LONGEST.items():
        if (value := getattr(room, field)) is not UNSET and len(value) > most:
            raise Refused(FailureCode.INVALID_ROOM, f"room.{field} is too long", details={"max_length": most})
    name = None if room.display_name is UNSET else str(room.display_name)
    return CheckedRoom(url=room_url(room.url, allowed_hosts), token=room.token, display_name=name)


def room_url(text: str, allowed_hosts: frozenset[str]) -> str:
    """The room's address as `ws(s)://host[:port][/path]`, without anything in it that could be a secret."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    scheme = SCHEMES.get(parts.scheme.lower())
    if scheme is None or not host or parts.username is not None:
        raise Refused(FailureCode.INVALID_ROOM, "room.url must be ws(s)://host[:port] without a user name")
    if not allowed_hosts & {ANY_HOST, host.lower()}:
        raise Refused(FailureCode.ROOM_HOST_NOT_ALLOWED, "avatars may not be sent to this room's host")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _check_platform(platform: str | UnsetType) -> None:
    if isinstance(platform, UnsetType):
        raise Refused(FailureCode.INVALID_ROOM_PLATFORM, "room.platform is required")
    if platform not in KNOWN:
        details = {"allowed": list(KNOWN)}
        raise Refused(FailureCode.INVALID_ROOM_PLATFORM, "room.platform is not known", details=details)
    if platform != SUPPORTED:
        message = f"rooms of platform {platform} are not enabled here"
        raise Refused(FailureCode.ROOM_PLATFORM_UNAVAILABLE, message, details={"available": [SUPPORTED]})
