"""Avatars: upload a face, list what can be used, delete one's own."""

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Router, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import PathParameter
from ulid import ULID

from api.auth import SECURED, AccountId
from api.deletion import delete_avatar
from api.pictures import discarded_if_unavailable, stage
from api.routes.sessions import AWAY, UNAUTHORIZED
from api.services import Services
from api.upload_requests import UploadOperation, uploaded_picture
from contracts.http import AvatarDeleted, AvatarList, ErrorView, FaceUploaded
from contracts.upload_workflow import UploadFaceInput
from domain import ids
from domain.avatars import PREVIEW


@post(
    "/upload-face",
    status_code=201,
    operation_class=UploadOperation,
    responses={
        400: ResponseSpec(ErrorView, description="The picture is refused; `code` and `details` say why"),
        401: UNAUTHORIZED,
        503: AWAY,
    },
)
async def upload_face(
    request: Request[Any, Any, State],
    services: NamedDependency[Services],
    account_id: NamedDependency[AccountId],
) -> FaceUploaded:
    """Make an avatar of a picture that shows exactly one prominent face."""
    data = await uploaded_picture(request)
    avatar_id = ids.avatar_id(str(ULID()))
    picture = await stage(services.store, avatar_id, data)
    within = timedelta(seconds=services.settings.create_with_picture_within_s)
    command = UploadFaceInput(account_id=account_id, avatar_id=avatar_id, picture=picture, finish_within=within)
    async with discarded_if_unavailable(services.store, picture):
        avatar = await services.uploads.upload(command)
    address = services.views.address
    return FaceUploaded(
        avatar_id=avatar.avatar_id,
        preview_url=address(avatar.portrait(PREVIEW).object.key),
        image_url=address(avatar.portrait(avatar.primary).object.key),
    )


@get("/", responses={401: UNAUTHORIZED, 503: AWAY})
async def list_avatars(services: NamedDependency[Services], account_id: NamedDependency[AccountId]) -> AvatarList:
    """The public avatars and this account's own, newest first."""
    public, mine = await services.avatars.listed_for(account_id)
    view = services.views.view
    return AvatarList(public_avatars=[view(a) for a in public], my_avatars=[view(a) for a in mine])


@delete(
    # Ids of public avatars have slashes in them.
    "/{avatar_id:path}",
    status_code=200,
    responses={
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
    "/v1/avatars", route_handlers=[upload_face, list_avatars, delete_own_avatar], tags=["Avatars"], security=SECURED
)
