"""Pictures by signed, expiring addresses. The signature is the credential; no API key is needed."""

from datetime import UTC, datetime
from typing import Annotated

from litestar import Response, get
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from adapters.object_store import ObjectMissing
from api.services import Services
from contracts.http import ErrorView
from domain.failures import FailureCode, Refused


@get(
    "/files/{key:path}",
    tags=["Avatars"],
    media_type="image/jpeg",
    responses={
        403: ResponseSpec(ErrorView, description="The address has expired or was not made here"),
        404: ResponseSpec(ErrorView, description="The picture was deleted"),
    },
)
async def get_file(
    key: Annotated[str, PathParameter(description="The picture's key.")],
    services: NamedDependency[Services],
    expires: Annotated[int, QueryParameter(description="Unix seconds.")],
    signature: Annotated[str, QueryParameter(description="As in the address that the API gave.")],
) -> Response[bytes]:
    """A picture of an avatar."""
    key = key.lstrip("/")
    left = expires - int(datetime.now(UTC).timestamp())
    if not services.signer.is_object_signature(signature, key, expires) or left <= 0:
        raise Refused(FailureCode.LINK_EXPIRED, "this address has expired or is not complete")
    try:
        data = await services.store.get(key)
    except ObjectMissing:
        raise Refused(FailureCode.NOT_FOUND, "this picture was deleted") from None
    caching = CacheControlHeader(private=True, max_age=left, immutable=True)
    return Response(data, media_type="image/jpeg", headers={caching.HEADER_NAME: caching.to_header()})
