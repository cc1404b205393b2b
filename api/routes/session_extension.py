"""Sessions: moving the end of one that runs."""

from typing import Annotated

from litestar import post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import HeaderParameter, JSONBody
from ulid import ULID

from api.auth import AccountId
from api.routes.shared import AWAY, NOT_FOUND, UNAUTHORIZED, SessionId, own_session
from api.services import Services
from api.session_requests import extension_wanted
from api.views import session_view
from contracts.http import ErrorView, ExtendSessionRequest, SessionExtendedView
from domain.failures import FailureCode, Refused
from domain.session import SessionStatus

RepeatKey = Annotated[
    str | None,
    HeaderParameter(name="Idempotency-Key", max_length=255, description="A repeat with the same key extends once"),
]

BAD = ResponseSpec(ErrorView, description="Not exactly one of `seconds` and `minutes`, or the session has ended")
BEYOND = ResponseSpec(ErrorView, description="More than the plan allows")


@post(
    "/{session_id:str}/extend",
    status_code=200,
    responses={400: BAD, 401: UNAUTHORIZED, 403: BEYOND, 404: NOT_FOUND, 503: AWAY},
)
async def extend_session(
    session_id: SessionId,
    data: JSONBody[ExtendSessionRequest],
    services: NamedDependency[Services],
    account_id: NamedDependency[AccountId],
    request_id: RepeatKey = None,
) -> SessionExtendedView:
    """Let a running session end later, within its plan; one without a limit is answered as it is."""
    wanted = extension_wanted(data)
    session = await own_session(services, account_id, session_id)
    if session.status == SessionStatus.ENDED:
        raise Refused(FailureCode.SESSION_ENDED, "The session has ended", details={"end_reason": session.end_reason})
    if session.status != SessionStatus.STARTED or session.expires_at is not None:
        await services.gateway.extend(session_id, wanted, request_id or str(ULID()))
        session = await own_session(services, account_id, session_id)
    return SessionExtendedView(session=session_view(session))
