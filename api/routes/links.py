"""Links and previews: kept with an API key, used without one."""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Router, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter
from ulid import ULID

from api.auth import OPEN, SECURED, AccountId
from api.link_sessions import start_by_link
from api.link_views import avatar_of, changes_of, check_expiry, link_view, ratio_of
from api.rate_limit import RateLimits
from api.routes.shared import AWAY, UNAUTHORIZED
from api.services import Services
from contracts.http import ErrorView
from contracts.http_links import (
    CreateLinkRequest,
    LinkAnswer,
    LinkList,
    StartByLinkRequest,
    StartedByLink,
    UpdateLinkRequest,
)
from domain import ids
from domain.avatars import check_access
from domain.failures import FailureCode, Refused
from domain.links import LinkKind, LinkStatus

LinkId = Annotated[str, PathParameter(description="The link's id, `lnk_...`.")]

INVALID = ResponseSpec(ErrorView, description="The request is refused; `code` says why")
NO_LINK = ResponseSpec(ErrorView, description="No such link of this account")
DENIED = ResponseSpec(ErrorView, description="Not allowed to use this avatar")
NO_AVATAR = ResponseSpec(ErrorView, description="No such avatar")


@post("/", status_code=201, responses={400: INVALID, 401: UNAUTHORIZED, 403: DENIED, 404: NO_AVATAR, 503: AWAY})
async def create_link(
    data: JSONBody[CreateLinkRequest], services: NamedDependency[Services], account_id: NamedDependency[AccountId]
) -> LinkAnswer:
    """A link by which people without a key start sessions with one avatar, on this account's bill."""
    avatar_id = avatar_of(data)
    ratio = ratio_of(data.aspect_ratio)
    check_expiry(data.expires_at)
    avatar = await services.avatars.get(avatar_id) if ids.is_avatar_id(avatar_id) else None
    check_access(avatar, account_id)
    link = await services.links.add(
        ids.link_id(str(ULID())),
        account_id,
        avatar_id,
        name=data.name,
        aspect_ratio=ratio,
        use_limit=data.use_limit,
        expires_at=data.expires_at,
    )
    return LinkAnswer(link=link_view(link, services.settings.public_address))


@get("/", responses={400: INVALID, 401: UNAUTHORIZED, 503: AWAY})
async def list_links(
    services: NamedDependency[Services],
    account_id: NamedDependency[AccountId],
    status: Annotated[str | None, QueryParameter(description="`active`, `paused` or `expired`; else all.")] = None,
) -> LinkList:
    """This account's links, newest first."""
    now = datetime.now(UTC)
    found = await services.links.listed_for(account_id)
    if status in set(LinkStatus):
        found = [link for link in found if link.status(now) == status]
    return LinkList(links=[link_view(link, services.settings.public_address) for link in found])


@get("/{link_id:str}", responses={400: INVALID, 401: UNAUTHORIZED, 404: NO_LINK, 503: AWAY})
async def get_link(
    link_id: LinkId, services: NamedDependency[Services], account_id: NamedDependency[AccountId]
) -> LinkAnswer:
    """A link of this account."""
    link = await services.links.get(link_id) if ids.is_link_id(link_id) else None
    if link is None or link.account_id != account_id or link.kind != LinkKind.LINK:
        raise Refused(FailureCode.LINK_NOT_FOUND, "Link not found")
    return LinkAnswer(link=link_view(link, services.settings.public_address))


@put("/{link_id:str}", responses={400: INVALID, 401: UNAUTHORIZED, 404: NO_LINK, 503: AWAY})
async def update_link(
    link_id: LinkId,
    data: JSONBody[UpdateLinkRequest],
    services: NamedDependency[Services],
    account_id: NamedDependency[AccountId],
) -> LinkAnswer:
    """Rename, pause or resume a link, or change its limits; sessions that it has started go on."""
    if not ids.is_link_id(link_id):
        raise Refused(FailureCode.LINK_NOT_FOUND, "Link not found")
    link = await services.links.change(link_id, account_id, changes_of(data))
    return LinkAnswer(link=link_view(link, services.settings.public_address))


@post(
    "/v1/links/start-session",
    status_code=201,
    tags=["Links"],
    opt={OPEN: True},
    responses={
        400: INVALID,
        403: ResponseSpec(ErrorView, description="The link is paused, expired or used up"),
        404: ResponseSpec(ErrorView, description="No such link, or its avatar was deleted"),
        429: ResponseSpec(ErrorView, description="The concurrent sessions of the link's account are all in use"),
        503: AWAY,
    },
)
async def start_session_by_link(
    data: JSONBody[StartByLinkRequest], request: Request[Any, Any, State], services: NamedDependency[Services]
) -> StartedByLink:
    """Start a session by a link, which is the credential: no key is asked for. Tries are counted by address."""
    limits: RateLimits = request.app.state.rate_limits
    await limits.count(request, f"link:{request.client.host if request.client else ''}")
    return await start_by_link(services, data)


links_router = Router(
    "/v1/links", route_handlers=[create_link, list_links, get_link, update_link], tags=["Links"], security=SECURED
)
