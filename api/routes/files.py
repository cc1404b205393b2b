"""Pictures by signed, expiring addresses. The signature is the credential; no API key is needed."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import HttpMethod, Request, Response, route
from litestar.datastructures import CacheControlHeader, State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import PathParameter, QueryParameter
from litestar.types import ExceptionHandlersMap

from adapters.object_store import ObjectMissing, sha256_of
from api.errors import HANDLERS
from api.ranges import has_it, requested_bytes
from api.routes.shared import BAD_REQUEST
from api.services import Services
from contracts.http import ErrorBody, ErrorView
from domain.failures import FailureCode, Refused

FOR_EVERY_PAGE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Range, ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""Who has an address may read the picture, so the pages of any origin may draw it on a canvas. Nothing here depends
on a cookie."""

Get = Request[Any, Any, State]
Answer = Response[bytes | ErrorView]


def _for_every_page(handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The same handler of errors, its answers readable for the scripts of any page."""

    def answered(request: Any, error: Any) -> Any:
        response = handler(request, error)
        response.headers.update(FOR_EVERY_PAGE)
        return response

    return answered


ERRORS: ExceptionHandlersMap = {kind: _for_every_page(handler) for kind, handler in HANDLERS.items()}


@route(
    "/files/{key:path}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    tags=["Avatars"],
    media_type="image/jpeg",
    exception_handlers=ERRORS,
    responses={
        400: BAD_REQUEST,
        206: ResponseSpec(bytes, description="The bytes that the Range header asks for", media_type="image/jpeg"),
        304: ResponseSpec(None, description="The picture is the one that If-None-Match names"),
        403: ResponseSpec(ErrorView, description="The address has expired or was not made here"),
        404: ResponseSpec(ErrorView, description="The picture was deleted"),
        416: ResponseSpec(ErrorView, description="The picture has none of the bytes that Range asks for"),
    },
)
async def get_file(
    request: Get,
    key: Annotated[str, PathParameter(description="The picture's key.")],
    services: NamedDependency[Services],
    expires: Annotated[int, QueryParameter(description="Unix seconds.")],
    signature: Annotated[str, QueryParameter(description="As in the address that the API gave.")],
) -> Answer:
    """A picture of an avatar, or one range of its bytes."""
    key = key.lstrip("/")
    left = expires - int(datetime.now(UTC).timestamp())
    if not services.signer.is_object_signature(signature, key, expires) or left <= 0:
        raise Refused(FailureCode.LINK_EXPIRED, "this address has expired or is not complete")
    try:
        data = await services.store.get(key)
    except ObjectMissing:
        raise Refused(FailureCode.NOT_FOUND, "this picture was deleted") from None
    return _answer(request, data, CacheControlHeader(private=True, max_age=left, immutable=True))


def _answer(request: Get, data: bytes, caching: CacheControlHeader) -> Answer:
    """All of the picture, a part of it, or that the client has it already."""
    # Of the bytes themselves: an operator may have put another picture at the same key.
    etag = f'"{sha256_of(data)}"'
    headers = {
        **FOR_EVERY_PAGE,
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
        caching.HEADER_NAME: caching.to_header(),
    }
    if has_it(request.headers.get("If-None-Match", ""), etag):
        return Response(b"", status_code=304, headers=headers)
    wanted = _wanted(request, etag, len(data))
    if wanted is None:
        return _body(request, data, 200, headers)
    if not wanted:
        error = ErrorBody(message="the picture has none of these bytes", code=FailureCode.INVALID_REQUEST)
        headers = {**FOR_EVERY_PAGE, "Content-Range": f"bytes */{len(data)}"}
        return Response(ErrorView(error=error), status_code=416, headers=headers, media_type="application/json")
    headers["Content-Range"] = f"bytes {wanted.start}-{wanted[-1]}/{len(data)}"
    return _body(request, data[wanted.start : wanted.stop], 206, headers)


def _wanted(request: Get, etag: str, size: int) -> range | None:
    """The range that is asked for; None for all, also where the range is meant for another picture."""
    if request.method != HttpMethod.GET or request.headers.get("If-Range", etag) != etag:
        return None
    return requested_bytes(request.headers.get("Range", ""), size)


def _body(request: Get, data: bytes, status: int, headers: dict[str, str]) -> Answer:
    """The bytes; a HEAD learns only how many they are."""
    headers["Content-Length"] = str(len(data))
    return Response(data if request.method == HttpMethod.GET else b"", status_code=status, headers=headers)
