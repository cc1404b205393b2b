"""Older ways of the contract to start and delete sessions (its section 11): answered, though nothing is left to do."""

from litestar import delete, route
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.openapi import ResponseSpec

from api.auth import AccountId
from api.routes.shared import AWAY, NOT_FOUND, UNAUTHORIZED, SessionId, own_session
from api.services import Services
from api.views import session_view
from contracts.http import ErrorView, SessionStartedView
from domain.failures import FailureCode, Refused
from domain.session import SessionStatus

RESPONSES = {
    400: ResponseSpec(ErrorView, description="Not possible: `code` says why"),
    401: UNAUTHORIZED,
    404: NOT_FOUND,
    503: AWAY,
}


@route(
    "/{session_id:str}/start",
    http_method=[HttpMethod.POST, HttpMethod.PUT],
    status_code=200,
    responses=RESPONSES,
    deprecated=True,
)
async def start_session(
    session_id: SessionId, services: NamedDependency[Services], account_id: NamedDependency[AccountId]
) -> SessionStartedView:
    """Does nothing: a session starts when it is created."""
    session = await own_session(services, account_id, session_id)
    if session.status == SessionStatus.ENDED:
        raise Refused(FailureCode.SESSION_ENDED, "Session has ended")
    address = services.settings.public_address.replace("http", "ws", 1)
    return SessionStartedView(ws_uri=f"{address}/ws", expiration=session_view(session).expiration)


@delete("/{session_id:str}", status_code=200, responses=RESPONSES, deprecated=True)
async def delete_session(
    session_id: SessionId, services: NamedDependency[Services], account_id: NamedDependency[AccountId]
) -> None:
    """Never succeeds: only a session that has not started could be deleted, and each starts when it is created."""
    session = await own_session(services, account_id, session_id)
    message = f"Only sessions that have not started can be deleted; this one has {session.status}"
    raise Refused(FailureCode.SESSION_NOT_DELETABLE, message)
