"""Sessions of people who have a link and no API key: started by it, and then held by their session's token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.creation import created
from api.link_views import started_ratio
from api.services import Services
from api.session_requests import Caller
from api.views import session_view
from contracts.http import CreateSessionRequest
from contracts.http_links import StartByLinkRequest, StartedByLink
from domain.failures import FailureCode, Refused
from domain.ids import is_link_id, is_session_id
from domain.links import Link
from domain.rooms import AVATAR_IDENTITY
from domain.session import Session, SessionStatus


async def start_by_link(services: Services, request: StartByLinkRequest) -> StartedByLink:
    """Use a link once: a session of its account in a room of our own making. A use without a session is none."""
    if services.managed_rooms is None:
        raise Refused(FailureCode.ROOM_PLATFORM_UNAVAILABLE, "this server makes no rooms, which links need")
    async with taken(services, request.link_id) as link:
        ratio = started_ratio(request.aspect_ratio, link)
        wanted = CreateSessionRequest(avatar=link.avatar_id, aspect_ratio=ratio, metadata={"link": link.reference})
        session = (await created(services, Caller(account_id=link.account_id), wanted, b"", None)).session
    room = services.managed_rooms.entrance(session)
    view = session_view(session)
    return StartedByLink(
        session_id=session.session_id,
        livekit_url=room.room_url,
        participant_token=room.participant_token,
        agent_identity=AVATAR_IDENTITY,
        session_token=services.signer.session_token(session.session_id),
        aspect_ratio=view.aspect_ratio,
        expiration=view.expiration,
    )


@asynccontextmanager
async def taken(services: Services, link_id: str) -> AsyncIterator[Link]:
    """One use of a link, given back if nothing comes of it."""
    if not is_link_id(link_id):
        raise Refused(FailureCode.LINK_NOT_FOUND, "Link not found")
    link = await services.links.take(link_id)
    try:
        yield link
    except BaseException:
        await services.links.give_back(link_id)
        raise


async def held_session(services: Services, session_id: str, token: str | None) -> Session:
    """The session whose token is shown; INVALID_SESSION_TOKEN for every other."""
    if token and is_session_id(session_id) and services.signer.is_session_token(token, session_id):
        session = await services.sessions.get(session_id)
        if session is not None:
            return session
    raise Refused(FailureCode.INVALID_SESSION_TOKEN, "Invalid session credentials")


async def running_session(services: Services, session_id: str, token: str | None) -> Session:
    """The same; SESSION_ENDED once it is over."""
    session = await held_session(services, session_id, token)
    if session.status == SessionStatus.ENDED:
        raise Refused(FailureCode.SESSION_ENDED, "Session has ended")
    return session
