"""The codes of every way a request can be refused or a session can fail to start. Knows neither HTTP nor Temporal."""

from collections.abc import Mapping
from enum import StrEnum


class FailureCode(StrEnum):
    """What went wrong, in one word that never changes."""

    # The request itself
    INVALID_JSON = "INVALID_JSON"
    INVALID_REQUEST = "INVALID_REQUEST"
    AVATAR_REQUIRED = "AVATAR_REQUIRED"
    INVALID_AVATAR = "INVALID_AVATAR"
    ROOM_REQUIRED = "ROOM_REQUIRED"
    INVALID_ROOM = "INVALID_ROOM"
    INVALID_ROOM_PLATFORM = "INVALID_ROOM_PLATFORM"
    ROOM_PLATFORM_UNAVAILABLE = "ROOM_PLATFORM_UNAVAILABLE"
    ROOM_HOST_NOT_ALLOWED = "ROOM_HOST_NOT_ALLOWED"
    INVALID_ASPECT_RATIO = "INVALID_ASPECT_RATIO"
    INVALID_METADATA = "INVALID_METADATA"
    INVALID_WAIT = "INVALID_WAIT"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    LINK_EXPIRED = "LINK_EXPIRED"
    LINK_NOT_FOUND = "LINK_NOT_FOUND"
    LINK_PAUSED = "LINK_PAUSED"
    LINK_USED_UP = "LINK_USED_UP"
    INVALID_LINK = "INVALID_LINK"
    INVALID_SESSION_TOKEN = "INVALID_SESSION_TOKEN"  # noqa: S105 - a code, not a secret
    SPEECH_UNAVAILABLE = "SPEECH_UNAVAILABLE"

    # Who is asking, and for what
    API_KEY_REQUIRED = "API_KEY_REQUIRED"
    INVALID_API_KEY = "INVALID_API_KEY"
    API_KEY_DEACTIVATED = "API_KEY_DEACTIVATED"
    AVATAR_NOT_FOUND = "AVATAR_NOT_FOUND"
    AVATAR_ACCESS_DENIED = "AVATAR_ACCESS_DENIED"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    SESSION_ENDED = "SESSION_ENDED"
    SESSION_NOT_DELETABLE = "SESSION_NOT_DELETABLE"
    EXTENSION_LIMIT_REACHED = "EXTENSION_LIMIT_REACHED"
    PLAN_REQUIRED = "PLAN_REQUIRED"
    AVATAR_LIMIT_REACHED = "AVATAR_LIMIT_REACHED"
    INSUFFICIENT_MINUTES = "INSUFFICIENT_MINUTES"
    CONCURRENCY_LIMIT_REACHED = "CONCURRENCY_LIMIT_REACHED"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"

    # The picture
    INVALID_IMAGE_INPUT = "INVALID_IMAGE_INPUT"
    IMAGE_URL_NOT_ALLOWED = "IMAGE_URL_NOT_ALLOWED"
    IMAGE_URL_UNUSABLE = "IMAGE_URL_UNUSABLE"
    IMAGE_URL_UNREACHABLE = "IMAGE_URL_UNREACHABLE"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    IMAGE_TOO_SMALL = "IMAGE_TOO_SMALL"
    IMAGE_TOO_MANY_PIXELS = "IMAGE_TOO_MANY_PIXELS"
    IMAGE_TYPE_UNSUPPORTED = "IMAGE_TYPE_UNSUPPORTED"
    IMAGE_DAMAGED = "IMAGE_DAMAGED"
    NO_FACE = "NO_FACE"
    SEVERAL_FACES = "SEVERAL_FACES"
    FACE_TOO_SMALL = "FACE_TOO_SMALL"
    FACE_CUT_OFF = "FACE_CUT_OFF"
    EXTREME_POSE = "EXTREME_POSE"
    ILLUSTRATION = "ILLUSTRATION"
    TOO_BLURRY = "TOO_BLURRY"

    # Webhooks
    WEBHOOK_URL_NOT_ALLOWED = "WEBHOOK_URL_NOT_ALLOWED"
    WEBHOOK_NOT_DELIVERED = "WEBHOOK_NOT_DELIVERED"

    # The room
    ROOM_UNREACHABLE = "ROOM_UNREACHABLE"
    ROOM_TOKEN_REFUSED = "ROOM_TOKEN_REFUSED"  # noqa: S105 - a code, not a secret
    ROOM_ENCRYPTED = "ROOM_ENCRYPTED"
    ROOM_JOIN_FAILED = "ROOM_JOIN_FAILED"

    # Ourselves
    ADMISSIONS_FROZEN = "ADMISSIONS_FROZEN"
    AT_CAPACITY = "AT_CAPACITY"
    NO_MATCHING_SERVER = "NO_MATCHING_SERVER"
    SERVER_LOST = "SERVER_LOST"
    LEASE_REVOKED = "LEASE_REVOKED"
    CREATE_TIMED_OUT = "CREATE_TIMED_OUT"
    CREATE_CANCELLED = "CREATE_CANCELLED"
    TEMPORARILY_UNAVAILABLE = "TEMPORARILY_UNAVAILABLE"
    INTERNAL_ERROR = "INTERNAL_ERROR"


OUR_FAULT = frozenset({FailureCode.TEMPORARILY_UNAVAILABLE, FailureCode.INTERNAL_ERROR})
"""Codes that say that something is wrong on our side."""

RETRYABLE = OUR_FAULT | {FailureCode.IMAGE_URL_UNREACHABLE, FailureCode.WEBHOOK_NOT_DELIVERED}
"""Codes for which the step itself is worth another attempt; every other code is an answer, and stays the same."""

_NOT_FINAL = RETRYABLE | {
    FailureCode.TOO_MANY_REQUESTS,
    FailureCode.CONCURRENCY_LIMIT_REACHED,
    FailureCode.ADMISSIONS_FROZEN,
    FailureCode.AT_CAPACITY,
    FailureCode.NO_MATCHING_SERVER,
    FailureCode.SERVER_LOST,
    FailureCode.LEASE_REVOKED,
    FailureCode.CREATE_TIMED_OUT,
    FailureCode.CREATE_CANCELLED,
}


def is_final(code: FailureCode) -> bool:
    """Would the same request be refused again? Everything else is worth another try later."""
    return code not in _NOT_FINAL


SUGGESTIONS: Mapping[FailureCode, str] = {
    FailureCode.INVALID_JSON: "Send a JSON object with `Content-Type: application/json`.",
    FailureCode.INVALID_REQUEST: "Compare the request with the API's description (GET /schema).",
    FailureCode.AVATAR_REQUIRED: "Send `avatar`: an avatar id, or a picture as base64 or data URI.",
    FailureCode.INVALID_AVATAR: "Send `avatar` as a string: an avatar id, or a picture as base64 or data URI.",
    FailureCode.ROOM_REQUIRED: "Send `room` with `platform`, `url` and `token`; this server makes no rooms itself.",
    FailureCode.INVALID_ROOM: "Send `room` with `platform`, `url` (ws:// or wss://) and `token`, all strings.",
    FailureCode.INVALID_ROOM_PLATFORM: "Send `room.platform`: `livekit`, or `proxy` for a room of the server's own.",
    FailureCode.ROOM_PLATFORM_UNAVAILABLE: "Use a LiveKit room, or ask the operator for this platform.",
    FailureCode.INVALID_ASPECT_RATIO: "Use 4:3, 3:4, 1:1 or auto.",
    FailureCode.INVALID_METADATA: "Send a JSON object, or leave `metadata` out.",
    FailureCode.INVALID_WAIT: "Send `wait_up_to` in seconds, from 0 to what `details` says, or leave it out.",
    FailureCode.IDEMPOTENCY_KEY_REUSED: "Send the same body as before, or a new Idempotency-Key.",
    FailureCode.ROOM_HOST_NOT_ALLOWED: "Ask the operator to add the room's host to GREENROOM_ROOM_HOSTS.",
    FailureCode.AVATAR_ACCESS_DENIED: "Use an avatar of your own account or a public one (GET /v1/avatars).",
    FailureCode.AVATAR_NOT_FOUND: "List the avatars that you can use with GET /v1/avatars.",
    FailureCode.INVALID_IMAGE_INPUT: "Send exactly one of `file` (multipart), `image_base64` or `image_url`.",
    FailureCode.IMAGE_URL_NOT_ALLOWED: (
        "Send an http:// or https:// URL of a public host, without user name or password, or send the picture itself."
    ),
    FailureCode.IMAGE_URL_UNUSABLE: (
        "Open the URL in a private browser window: it must show the picture itself, without a login."
    ),
    FailureCode.IMAGE_URL_UNREACHABLE: "Try again when the picture's host answers, or send the picture itself.",
    FailureCode.WEBHOOK_URL_NOT_ALLOWED: "Use a URL of a public host, or add the host to GREENROOM_WEBHOOK_HOSTS.",
    FailureCode.WEBHOOK_NOT_DELIVERED: "Mend the receiver, then send again with `greenroom webhooks redeliver`.",
    FailureCode.IMAGE_TOO_LARGE: "Send a picture of at most 10 MB.",
    FailureCode.IMAGE_TOO_SMALL: "Send a picture whose shorter side has at least 64 pixels; 500 or more look well.",
    FailureCode.IMAGE_TOO_MANY_PIXELS: "Scale the picture down; 2560 pixels on the longer side lose nothing.",
    FailureCode.IMAGE_TYPE_UNSUPPORTED: "Send a JPEG, PNG, GIF or WebP picture.",
    FailureCode.IMAGE_DAMAGED: "Open the picture in a viewer and save it again; the file is cut off or damaged.",
    FailureCode.NO_FACE: "Send a photograph that shows one person's face from the front, well lit.",
    FailureCode.SEVERAL_FACES: "Crop the picture so that one person is left.",
    FailureCode.FACE_TOO_SMALL: "Crop closer to the head, or send a picture of higher resolution.",
    FailureCode.FACE_CUT_OFF: "Send a picture that shows the whole head with some room around it.",
    FailureCode.EXTREME_POSE: "Send a picture in which the person looks towards the camera with the head upright.",
    FailureCode.ILLUSTRATION: "Send a photograph; drawings do not move convincingly.",
    FailureCode.TOO_BLURRY: "Send a sharper picture.",
    FailureCode.ROOM_UNREACHABLE: "Check `room.url`; the avatar server could not reach a room there.",
    FailureCode.ROOM_TOKEN_REFUSED: (
        "Check that `room.token` was made with the room's own API secret, is not expired and allows joining."
    ),
    FailureCode.ROOM_ENCRYPTED: "Use a room without end-to-end encryption; the avatar has no key for it.",
    FailureCode.ROOM_JOIN_FAILED: "Check that the token allows publishing, and try again.",
    FailureCode.ADMISSIONS_FROZEN: "Try again after the seconds that `Retry-After` says; running sessions go on.",
    FailureCode.AT_CAPACITY: "Try again shortly; a slot is freed whenever a session ends.",
    FailureCode.NO_MATCHING_SERVER: "Tell the operator: no avatar server has what the plan or account requires.",
    FailureCode.SERVER_LOST: "Try again; the avatar server stopped, and another one takes over.",
    FailureCode.LEASE_REVOKED: "Try again; the avatar server lost this session before it started.",
    FailureCode.CREATE_TIMED_OUT: "Try again; a smaller picture, or an avatar that is stored already, is quicker.",
    FailureCode.CREATE_CANCELLED: "Try again, unless you ended this session yourself.",
    FailureCode.TEMPORARILY_UNAVAILABLE: "Try again after the seconds that `Retry-After` says.",
    FailureCode.INTERNAL_ERROR: "Try again; if it happens again, tell the operator the answer's `X-Request-Id`.",
    FailureCode.SESSION_ENDED: "Create another session; one that has ended does not start again.",
    FailureCode.SESSION_NOT_DELETABLE: "End the session with POST /v1/sessions/{id}/end.",
    FailureCode.PLAN_REQUIRED: "Use a stored avatar, or ask for a plan with pictures of your own.",
    FailureCode.AVATAR_LIMIT_REACHED: "Use a stored avatar until the next period, or ask for a larger plan.",
    FailureCode.INSUFFICIENT_MINUTES: "Buy minutes, end a running session, or wait for the next period.",
    FailureCode.ACCOUNT_CLOSED: "Ask the operator for an account.",
    FailureCode.CONCURRENCY_LIMIT_REACHED: "End a running session, or ask for a larger plan.",
    FailureCode.TOO_MANY_REQUESTS: "Try again after the seconds that `Retry-After` says.",
    FailureCode.LINK_EXPIRED: "Ask for a fresh one: of a picture with GET /v1/avatars, else whoever gave it to you.",
    FailureCode.LINK_NOT_FOUND: "List your links with GET /v1/links.",
    FailureCode.LINK_PAUSED: "Ask whoever gave you the link to make it active again.",
    FailureCode.LINK_USED_UP: "Ask whoever gave you the link for another one, or for a higher limit.",
    FailureCode.INVALID_LINK: "Send a `use_limit` above `uses` and an `expires_at` in the future, or null for neither.",
    FailureCode.SPEECH_UNAVAILABLE: "Ask the operator to install espeak-ng beside the API, or use the microphone.",
    FailureCode.EXTENSION_LIMIT_REACHED: "Ask for `available_seconds` at most, or for a plan with longer sessions.",
}
"""What a person can do about a code; the messages say what happened, these say what helps."""


class Refused(Exception):
    """A rule said no; `code` says which, `details` what was measured."""

    def __init__(self, code: FailureCode, message: str, *, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = dict(details) if details else None
        self.stage = ""
        """Where it came up, for those who count refusals: a workflow's step, or empty."""


class TimeUsedUp(Refused):
    """A refusal whose attempt took all the time that there is: the step is not tried again, whatever its code says."""


class NotYet(Refused):
    """What is asked for is being made: the same request will succeed in a moment, and nothing is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureCode.TEMPORARILY_UNAVAILABLE, message)


class Unavailable(Refused):
    """A part that we depend on did not answer; the same request may succeed later.

    `trouble` names the part for our log. Clients do not see it, since it may quote addresses.
    """

    def __init__(self, trouble: str) -> None:
        super().__init__(FailureCode.TEMPORARILY_UNAVAILABLE, "the service is temporarily unavailable; try again")
        self.trouble = trouble

    def __str__(self) -> str:
        return self.trouble
