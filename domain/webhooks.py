"""What customers' servers are told, and under which ids. Sends nothing."""

from collections.abc import Collection
from enum import StrEnum

from domain.failures import FailureCode, Refused
from domain.picture_urls import PictureUrl, check_url

SECRET_FIELD = "webhook.secret"  # noqa: S105 - the field's name, which a sealed secret is bound to


class WebhookEvent(StrEnum):
    """What an account's endpoints can be told."""

    AVATAR_CREATED = "avatar.created"
    SESSION_STARTED = "session.started"
    """The SFU has acknowledged the avatar's video: the moment of the create's 201."""
    SESSION_FIRST_FRAME = "session.first_frame"
    """Somebody who can see it is in the room with the published video for the first time."""
    SESSION_ENDED = "session.ended"
    TEST = "webhook.test"
    """Made by the operator; every endpoint takes it."""


SUBSCRIBABLE = tuple(event for event in WebhookEvent if event is not WebhookEvent.TEST)


def event_id(event: WebhookEvent, subject: str) -> str:
    """The id of what happened to a session or avatar. Each happens once, so that the id needs no dice."""
    return f"evt_{event.replace('.', '_')}_{subject.partition('_')[2] or subject}"


def parse_events(text: str) -> tuple[WebhookEvent, ...]:
    """The events of a comma-separated list; empty text is all of them. ValueError names what is none."""
    names = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [name for name in names if name not in SUBSCRIBABLE]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no event; there are {', '.join(SUBSCRIBABLE)}")
    return tuple(WebhookEvent(name) for name in dict.fromkeys(names)) or SUBSCRIBABLE


def check_webhook_url(url: str, vouched_for: Collection[str] = ()) -> PictureUrl:
    """The URL in its parts, under the rules for pictures' URLs; WEBHOOK_URL_NOT_ALLOWED where it breaks one."""
    try:
        return check_url(url, vouched_for)
    except Refused as refusal:
        raise of_webhook(refusal) from None


def of_webhook(refusal: Refused) -> Refused:
    """A refusal of a picture's URL, said of a webhook's."""
    final = refusal.code == FailureCode.IMAGE_URL_NOT_ALLOWED
    code = FailureCode.WEBHOOK_URL_NOT_ALLOWED if final else FailureCode.WEBHOOK_NOT_DELIVERED
    return Refused(code, refusal.message.replace("picture's host", "webhook's host"), details=refusal.details)
