"""Room tokens as a customer makes them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from livekit import api

from support.livekit_server import LiveKitServer

AVATAR_IDENTITY = "agenthuman-avatar-agent"


def avatar_token(
    server: LiveKitServer,
    room: str,
    *,
    identity: str = AVATAR_IDENTITY,
    secret: str = "",
    seconds: float = 3600,
    can_publish: bool = True,
    can_publish_sources: Sequence[str] = (),
) -> str:
    """A token as the agents' plugin makes it: kind agent, publishing on behalf of the agent."""
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_publish=can_publish,
        can_subscribe=True,
        can_publish_data=True,
        can_publish_sources=list(can_publish_sources) or None,  # type: ignore[arg-type]
    )
    return _sign(server, identity, grants, kind="agent", secret=secret, seconds=seconds)


def person_token(
    server: LiveKitServer,
    room: str,
    *,
    identity: str = "person",
    kind: Literal["standard", "agent", "sip"] = "standard",
) -> str:
    """A token for somebody who watches."""
    return _sign(server, identity, api.VideoGrants(room_join=True, room=room), kind=kind)


def _sign(
    server: LiveKitServer,
    identity: str,
    grants: api.VideoGrants,
    *,
    kind: Literal["standard", "agent", "sip"],
    secret: str = "",
    seconds: float = 3600,
) -> str:
    token = (
        api.AccessToken(server.api_key, secret or server.api_secret)
        .with_identity(identity)
        .with_name(identity)
        .with_kind(kind)
        .with_ttl(timedelta(seconds=seconds))
        .with_grants(grants)
    )
    if kind == "agent":
        token = token.with_attributes({"lk.publish_on_behalf": "agent"})
    return token.to_jwt()
