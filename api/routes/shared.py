"""What several routes say and ask."""

from typing import Annotated

from litestar.openapi import ResponseSpec
from litestar.params import PathParameter

from api.services import Services
from contracts.http import ErrorView, PlainErrorView
from domain.failures import FailureCode, Refused
from domain.ids import is_session_id
from domain.session import Session

SessionId = Annotated[str, PathParameter(description="The session's id, `sess_...`.")]

BAD_REQUEST = ResponseSpec(ErrorView, description="A parameter of the address is not valid")
"""Routes with parameters name it, or Litestar documents an answer of its own making, which nobody gets."""
UNAUTHORIZED = ResponseSpec(PlainErrorView, description="No API key, or one that is not known")
NOT_FOUND = ResponseSpec(ErrorView, description="No such session in this account")
AWAY = ResponseSpec(ErrorView, description="Temporarily unavailable; see Retry-After")


async def own_session(services: Services, account_id: str, session_id: str) -> Session:
    """The session, if it is this account's: whether another account has it is nobody's business."""
    session = await services.sessions.get(session_id) if is_session_id(session_id) else None
    if session is None or session.account_id != account_id:
        raise Refused(FailureCode.SESSION_NOT_FOUND, "Session not found")
    return session
