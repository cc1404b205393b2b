"""Sessions: create, read, extend, end."""

from typing import Annotated

from litestar import Router, get, post, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter, JSONBody

from api.auth import SECURED, AccountId, key_of
from api.creation import created
from api.json_request import JSONRequest
from api.managed_rooms import entrance
from api.routes.session_aliases import delete_session, start_session
from api.routes.session_extension import extend_session
from api.routes.session_reading import get_timeline, list_sessions
from api.routes.shared import AWAY, BAD_REQUEST, NOT_FOUND, UNAUTHORIZED, SessionId, own_session
from api.services import Services
from api.session_requests import Caller
from api.views import session_view, usage_view
from contracts.http import (
    CreateSessionRequest,
    ErrorView,
    SessionCreated,
    SessionEndedView,
    SessionFound,
)
from contracts.session_workflow import EndSession
from domain.failures import Unavailable
from domain.session import SessionStatus

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=255,
        description="Names this create: for 24 hours the same key with the same body is answered by the same session.",
    ),
]

CREATE_ERRORS = {
    400: ResponseSpec(ErrorView, description="The request, the picture or the room is refused; `code` says why"),
    401: UNAUTHORIZED,
    403: ResponseSpec(ErrorView, description="Not allowed to use this avatar or feature, or no minutes are left"),
    404: ResponseSpec(ErrorView, description="No such avatar"),
    409: ResponseSpec(ErrorView, description="The Idempotency-Key was sent before, with another body"),
    429: ResponseSpec(ErrorView, description="The plan's concurrent sessions are all in use"),
    503: AWAY,
}


@post("/", responses=CREATE_ERRORS, status_code=201)
async def create_session(
    data: JSONBody[CreateSessionRequest],
    request: JSONRequest,
    services: NamedDependency[Services],
    account_id: NamedDependency[AccountId],
    idempotency_key: IdempotencyKey = None,
) -> SessionCreated:
    """Create a session and put its avatar into the room; answers when the avatar's video is published.

    A repeat finds the session of the first request instead of making another.
    """
    caller = Caller(account_id=account_id, key_id=key_of(request))
    made = await created(services, caller, data, await request.body(), idempotency_key)
    session = made.session
    return SessionCreated(
        session=session_view(
            session,
            token=services.signer.session_token(session.session_id),
            room=entrance(services.managed_rooms, session, made=made.in_made_room),
        ),
        usage=usage_view(made.concurrency, made.minutes_left),
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
