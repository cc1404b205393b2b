"""Avatars: upload a face, list what can be used, delete one's own."""

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, PathParameter
from ulid import ULID

from api.auth import SECURED, AccountId
from api.deletion import delete_avatar
from api.link_views import watch_address
from api.pictures import discarded_if_unavailable, stage
from api.routes.shared import AWAY, BAD_REQUEST, UNAUTHORIZED
from api.services import Services
from api.upload_requests import UploadOperation, read_upload
from contracts.http import AvatarDeleted, AvatarList, ErrorView, FaceJudged, FaceUploaded
from contracts.http_links import PreviewAnswer, PreviewRequest
from contracts.portraits import AvatarRef
from contracts.upload_workflow import UploadFaceInput
from domain import ids
from domain.avatars import DEFAULT_ASPECT_RATIO, PREVIEW, check_access


@post(
    "/upload-face",
    status_code=201,
    operation_class=UploadOperation,
    responses={
        200: ResponseSpec(FaceJudged, description="A dry run, of a picture that would become an avatar"),
        400: ResponseSpec(ErrorView, description="The picture is refused; `code` and `details` say why"),
        401: UNAUTHORIZED,
        403: ResponseSpec(ErrorView, description="The plan takes no pictures, or its period's are used up"),
        503: AWAY,
    },
)
async def upload_face(
    request: Request[Any, Any, State],
    services: NamedDependency[Services],
    account_id: NamedDependency[AccountId],
) -> Response[FaceUploaded | FaceJudged]:
    """Make an avatar of a picture that shows exactly one prominent face; the same picture is the same avatar."""
    settings = services.settings
    asked = await read_upload(request, settings.allowed_picture_hosts)
    known = None if asked.dry_run else await services.avatar_of(asked.picture, account_id)
    await services.avatars.check_picture(account_id, new=not asked.dry_run and known is None)
    if known:
        avatar = check_access(await services.avatars.get(known), account_id)
        return Response(services.views.uploaded(known, avatar.portraits[PREVIEW].key, avatar.image.key))
    avatar_id = ids.avatar_id(str(ULID()))
    picture = await stage(services.store, avatar_id, asked.picture)
    command = UploadFaceInput(
        account_id=account_id,
        avatar_id=avatar_id,
        picture=picture,
        finish_within=timedelta(seconds=settings.create_with_picture_within_s),
        dry_run=asked.dry_run,
    )
    async with discarded_if_unavailable(services.store, picture):
        made = await services.uploads.upload(command)
    if isinstance(made, AvatarRef):
        return Response(
            services.views.uploaded(made.avatar_id, made.portrait(PREVIEW).object.key, made.image.object.key)
        )
    return Response(FaceJudged(details=made), status_code=200)


@get("/", responses={401: UNAUTHORIZED, 503: AWAY})
async def list_avatars(services: NamedDependency[Services], account_id: NamedDependency[AccountId]) -> AvatarList:
    """The public avatars and this account's own, newest first."""
    public, mine = await services.avatars.listed_for(account_id)
    view = services.views.view
    return AvatarList(public_avatars=[view(a) for a in public], my_avatars=[view(a) for a in mine])


@post(
    "/preview",
    status_code=201,
    responses={
        400: ResponseSpec(ErrorView, description="The request is not valid"),
        401: UNAUTHORIZED,
        403: ResponseSpec(ErrorView, description="Not allowed to use this avatar"),
        404: ResponseSpec(ErrorView, description="No such avatar"),
        503: AWAY,
    },
)
async def preview_avatar(
    data: JSONBody[PreviewRequest], services: NamedDependency[Services], account_id: NamedDependency[AccountId]
) -> PreviewAnswer:
    """The address of a page on which the avatar can be seen live: once, within five minutes."""
    avatar = await services.avatars.get(data.avatar_id) if ids.is_avatar_id(data.avatar_id) else None
    check_access(avatar, account_id)
    link_id = ids.link_id(str(ULID()))
    await services.links.add_preview(link_id, account_id, data.avatar_id, DEFAULT_ASPECT_RATIO)
    return PreviewAnswer(url=watch_address(services.settings.public_address, link_id))


@delete(
    # Ids of public avatars have slashes in them.
    "/{avatar_id:path}",
    status_code=200,
    responses={
        400: BAD_REQUEST,
        401: UNAUTHORIZED,
        404: ResponseSpec(ErrorView, description="No such avatar of this account's own"),
        503: AWAY,
    },
)
async def delete_own_avatar(
    avatar_id: Annotated[str, PathParameter(description="The avatar's id, `avat_...`.")],
    services: NamedDependency[Services],
    account_id: NamedDependency[AccountId],
) -> AvatarDeleted:
    """Delete one of this account's own avatars, and its pictures. A session that shows it goes on unchanged."""
    await delete_avatar(services.avatars, services.store, avatar_id.removeprefix("/"), account_id)
    return AvatarDeleted()


avatars_router = Router(
    "/v1/avatars",
    route_handlers=[upload_face, list_avatars, preview_avatar, delete_own_avatar],
    tags=["Avatars"],
    security=SECURED,
)
