"""The picture of an upload, however it was sent: a file, base64 in JSON or in a form. Exactly one input is taken."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from api.json_request import UNREADABLE
from api.pictures import MAX_IMAGE_BYTES, SentPicture, check_size, decode_base64, picture_at
from contracts.http import UploadFaceRequest
from domain.failures import FailureCode, Refused


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What an upload asks for."""

    picture: SentPicture
    dry_run: bool
    """Only judge the picture."""


async def read_upload(request: Request[Any, Any, State], hosts: Collection[str]) -> Upload:
    """The upload; INVALID_IMAGE_INPUT unless there is exactly one picture, of at most 10 MB.

    `hosts` are those that pictures may be fetched from besides public ones.
    """
    if request.content_type[0] == RequestEncodingType.MULTI_PART:
        return await _from_form(request, hosts)
    if request.content_type[0] != RequestEncodingType.JSON:
        raise Refused(FailureCode.INVALID_IMAGE_INPUT, "send application/json or multipart/form-data")
    fields = await _json(request)
    return Upload(picture=_from_fields(fields, hosts), dry_run=fields.dry_run)


async def _json(request: Request[Any, Any, State]) -> UploadFaceRequest:
    try:
        return msgspec.json.decode(await request.body(), type=UploadFaceRequest)
    except msgspec.ValidationError as error:
        raise Refused(FailureCode.INVALID_IMAGE_INPUT, str(error)) from None
    except (msgspec.DecodeError, *UNREADABLE):
        raise Refused(FailureCode.INVALID_JSON, "the request body is not JSON") from None


async def _from_form(request: Request[Any, Any, State], hosts: Collection[str]) -> Upload:
    form = await request.form()
    files = [value for value in form.getall("file", []) if isinstance(value, UploadFile)]
    texts = {name: str(form[name]) for name in ("image_base64", "image_url") if form.get(name)}
    if len(files) + len(texts) != 1:
        raise _not_one()
    dry_run = str(form.get("dry_run", "")).lower() in ("true", "1")
    if texts:
        return Upload(picture=_from_fields(msgspec.convert(texts, UploadFaceRequest), hosts), dry_run=dry_run)
    data = check_size(await files[0].read(MAX_IMAGE_BYTES + 1))
    return Upload(picture=SentPicture(data=data), dry_run=dry_run)


def _from_fields(fields: UploadFaceRequest, hosts: Collection[str]) -> SentPicture:
    base64, url = (value or "" for value in (fields.image_base64, fields.image_url))
    if bool(base64) == bool(url):
        raise _not_one()
    return picture_at(url, hosts) if url else SentPicture(data=decode_base64(base64))


def _not_one() -> Refused:
    return Refused(FailureCode.INVALID_IMAGE_INPUT, "send exactly one picture")


@dataclass
class UploadOperation(Operation):
    """Documents the two content types, which Litestar cannot read off a handler that takes both."""

    def __post_init__(self) -> None:
        """Add the request body."""
        text = Schema(type=OpenAPIType.STRING)
        file = Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream")
        fields: dict[str, Reference | Schema] = {
            "image_base64": text,
            "image_url": text,
            "dry_run": Schema(type=OpenAPIType.BOOLEAN, description="Only judge the picture", default=False),
        }
        self.request_body = RequestBody(
            description="Exactly one of a file, base64 (with or without a data URI's prefix) and an address.",
            required=True,
            content={
                "application/json": OpenAPIMediaType(schema=Schema(type=OpenAPIType.OBJECT, properties=fields)),
                "multipart/form-data": OpenAPIMediaType(
                    schema=Schema(type=OpenAPIType.OBJECT, properties={"file": file, **fields})
                ),
            },
        )
