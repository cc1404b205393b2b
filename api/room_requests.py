"""The room of a create: which platform, and an address that an avatar may be sent to. Connects to nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from msgspec import UNSET, UnsetType

from contracts.http import RoomRequest
from domain.failures import FailureCode, Refused

SUPPORTED = "livekit"
DAILY = "daily"
KNOWN = ("livekit", "daily", "proxy")
SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
DAILY_SCHEMES = {"https": "https"}
DAILY_DOMAIN = ".daily.co"
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


def check_room(room: RoomRequest | UnsetType, allowed_hosts: frozenset[str], *, daily: bool = False) -> CheckedRoom:
    """The room, or a refusal that names what is missing or wrong. `daily`: are rooms of Daily switched on?"""
    if isinstance(room, UnsetType):
        raise Refused(FailureCode.ROOM_REQUIRED, "room is required")
    platform = _check_platform(room.platform, daily=daily)
    if isinstance(room.url, UnsetType) or not room.url:
        raise Refused(FailureCode.INVALID_ROOM, "room.url is required")
    if isinstance(room.token, UnsetType) or not room.token:
        raise Refused(FailureCode.INVALID_ROOM, "room.token is required")
    for field, most in LONGEST.items():
        if (value := getattr(room, field)) is not UNSET and len(value) > most:
            raise Refused(FailureCode.INVALID_ROOM, f"room.{field} is too long", details={"max_length": most})
    name = None if room.display_name is UNSET else str(room.display_name)
    url = daily_url(room.url, allowed_hosts) if platform == DAILY else room_url(room.url, allowed_hosts)
    return CheckedRoom(url=url, token=room.token, platform=platform, display_name=name)


def daily_url(text: str, allowed_hosts: frozenset[str]) -> str:
    """The address of a room of Daily, `https://DOMAIN.daily.co/ROOM`, without a token that may stand behind it."""
    url = room_url(text, allowed_hosts, DAILY_SCHEMES)
    parts = urlsplit(url)
    named = (parts.hostname or "").endswith(DAILY_DOMAIN) and parts.port is None
    if not named or not parts.path.strip("/") or "/" in parts.path.strip("/"):
        raise Refused(FailureCode.INVALID_ROOM, f"room.url must be https://DOMAIN{DAILY_DOMAIN}/ROOM")
    return url


def room_url(text: str, allowed_hosts: frozenset[str], schemes: Mapping[str, str] = SCHEMES) -> str:
    """The room's address as `ws(s)://host[:port][/path]`, without anything in it that could be a secret."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    scheme = schemes.get(parts.scheme.lower())
    if scheme is None or not host or parts.username is not None:
        wanted = "ws(s)" if schemes is SCHEMES else "https"
        raise Refused(FailureCode.INVALID_ROOM, f"room.url must be {wanted}://host[:port] without a user name")
    if not allowed_hosts & {ANY_HOST, host.lower()}:
        raise Refused(FailureCode.ROOM_HOST_NOT_ALLOWED, "avatars may not be sent to this room's host")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def _check_platform(platform: str | UnsetType, *, daily: bool) -> str:
    if isinstance(platform, UnsetType):
        raise Refused(FailureCode.INVALID_ROOM_PLATFORM, "room.platform is required")
    if platform not in KNOWN:
        details = {"allowed": list(KNOWN)}
        raise Refused(FailureCode.INVALID_ROOM_PLATFORM, "room.platform is not known", details=details)
    available = [SUPPORTED, DAILY] if daily else [SUPPORTED]
    if platform not in available:
        message = f"rooms of platform {platform} are not enabled here"
        raise Refused(FailureCode.ROOM_PLATFORM_UNAVAILABLE, message, details={"available": available})
    return platform
