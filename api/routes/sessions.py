"""Sessions: create, read, extend, end."""

from litestar import Router, get, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody

from api.auth import SECURED, AccountId
from api.managed_rooms import entrance
from api.pictures import discarded_if_unavailable
from api.routes.session_aliases import delete_session, start_session
from api.routes.session_extension import extend_session
from api.routes.session_reading import get_timeline, list_sessions
from api.routes.shared import AWAY, BAD_REQUEST, NOT_FOUND, UNAUTHORIZED, SessionId, own_session
from api.services import Services
from api.session_requests import session_command
from api.views import session_view, started_session, usage_view
from contracts.http import (
    CreateSessionRequest,
    ErrorView,
    SessionCreated,
    SessionEndedView,
    SessionFound,
)
from contracts.session_workflow import EndSession
from domain.failures import Unavailable
from domain.plans import Concurrency
from domain.session import SessionStatus

CREATE_ERRORS = {
    400: ResponseSpec(ErrorView, description="The request, the picture or the room is refused; `code` says why"),
    401: UNAUTHORIZED,
    403: ResponseSpec(ErrorView, description="Not allowed to use this avatar or feature, or no minutes are left"),
    404: ResponseSpec(ErrorView, description="No such avatar"),
    429: ResponseSpec(ErrorView, description="The plan's concurrent sessions are all in use"),
    503: AWAY,
}


@post("/", responses=CREATE_ERRORS, status_code=201)
async def create_session(
    data: JSONBody[CreateSessionRequest],
    services: NamedDependency[Services],
    account_id: NamedDependency[AccountId],
) -> SessionCreated:
    """Create a session and put its avatar into the room; answers when the avatar's video is published."""
    command = await session_command(services, account_id, data)
    async with discarded_if_unavailable(services.store, command.picture):
        started = await services.gateway.create(command)
    return SessionCreated(
        session=session_view(
            started_session(command, started),
            token=services.signer.session_token(command.session_id),
            room=entrance(services.managed_rooms, started),
        ),
        usage=usage_view(Concurrency(current=started.concurrency, max=started.max_concurrency), started.minutes_left),
    )


@get("/{session_id:str}", responses={400: BAD_REQUEST, 401: UNAUTHORIZED, 404: NOT_FOUND, 503: AWAY})
async def get_session(
    session_id: SessionId, services: NamedDependency[Services], account_id: NamedDependency[AccountId]
) -> SessionFound:
    """A session of this account, with its live duration and, once it has ended, the reason."""
    return SessionFound(session=session_view(await own_session(services, account_id, session_id)))


@route(
    "/{session_id:str}/end",
    http_method=[HttpMethod.POST, HttpMethod.PUT],  # PUT is its older form
    status_code=200,
    responses={400: BAD_REQUEST, 401: UNAUTHORIZED, 404: NOT_FOUND, 503: AWAY},
)
async def end_session(
    session_id: SessionId, services: NamedDependency[Services], account_id: NamedDependency[AccountId]
) -> SessionEndedView:
    """End a session. Safe to repeat: a session that has ended already is answered with the end it had."""
    session = await own_session(services, account_id, session_id)
    if session.status != SessionStatus.ENDED:
        await services.gateway.end(session_id, EndSession())
        session = await own_session(services, account_id, session_id)
    if session.status != SessionStatus.ENDED:
        raise Unavailable(f"the workflow of {session_id} is gone, but its end is not recorded")
    return SessionEndedView(session=session_view(session))


sessions_router = Router(
    "/v1/sessions",
    route_handlers=[
        create_session,
        list_sessions,
        get_session,
        get_timeline,
        extend_session,
        end_session,
        start_session,
        delete_session,
    ],
    tags=["Sessions"],
    security=SECURED,
)
