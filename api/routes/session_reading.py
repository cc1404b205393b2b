"""What is read of sessions beside a single one: the account's list, and the timeline of one."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter

from api.auth import AccountId
from api.routes.shared import AWAY, BAD_REQUEST, NOT_FOUND, UNAUTHORIZED, SessionId, own_session
from api.services import Services
from api.views import session_view, timeline_views
from contracts.http import ErrorView, SessionList, SessionTimeline
from contracts.session_workflow import workflow_id
from database.session_reading import Listed
from domain.paging import cursor_of, limit_of, position_of

INVALID = ResponseSpec(ErrorView, description="`limit` or `cursor` cannot be used")


@get("/", responses={400: INVALID, 401: UNAUTHORIZED, 503: AWAY})
async def list_sessions(
    services: NamedDependency[Services],
    account_id: NamedDependency[AccountId],
    status: Annotated[
        str | None, QueryParameter(description="`all` (the default: all that ever started), `started` or `ended`")
    ] = None,
    limit: Annotated[int | None, QueryParameter(description="Sessions of a page, 1 to 500; 100 if left out")] = None,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before")] = None,
) -> SessionList:
    """The account's sessions, the newest start first. Any other `status` is as `all`."""
    listed = Listed(status) if status in set(Listed) else Listed.ALL
    after = position_of(cursor) if cursor else None
    page = await services.reading.page(account_id, listed, limit_of(limit), after)
    return SessionList(
        sessions=[session_view(session) for session in page.sessions],
        next_cursor=cursor_of(page.next) if page.next else None,
    )


@get("/{session_id:str}/timeline", responses={400: BAD_REQUEST, 401: UNAUTHORIZED, 404: NOT_FOUND, 503: AWAY})
async def get_timeline(
    session_id: SessionId, services: NamedDependency[Services], account_id: NamedDependency[AccountId]
) -> SessionTimeline:
    """Every change of a session, with its cause, how long the step took, and Temporal's ids of who asked for it."""
    await own_session(services, account_id, session_id)
    entries = await services.reading.timeline(session_id)
    return SessionTimeline(session_id=session_id, workflow_id=workflow_id(session_id), timeline=timeline_views(entries))
