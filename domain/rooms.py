"""What tokens for avatars say in their attributes: those who sign them and those who join with them must agree."""

from typing import Final

ON_BEHALF: Final = "lk.publish_on_behalf"
"""The identity of the one whose speech the avatar takes: its agent."""
FOR_CLIENT: Final = "greenroom.client"
"""Set where that one is no agent but the session's client, a person: while they are there the room is not empty."""

AVATAR_IDENTITY = "agenthuman-avatar-agent"
"""The avatar's identity in rooms of our own, and in those that public clients make."""


def room_name(session_id: str) -> str:
    """What a session's own room is called: every answer to a repeated create names the same."""
    return f"greenroom-{session_id}"
