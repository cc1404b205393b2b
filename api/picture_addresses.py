"""Where clients find pictures: at the API, or at the S3 server itself where it is reachable for them."""

from collections.abc import Callable

from adapters.presigning import Presigner
from adapters.signing import Signer
from runtime.settings import Settings

PictureAddresses = Callable[[str, int, int], str]
"""The address of an object by its key, good from one moment to another (Unix seconds), made without asking anybody."""


def picture_addresses(settings: Settings, signer: Signer) -> PictureAddresses:
    """Presigned S3 addresses if the settings say how clients reach the S3 server, else signed ones of the API."""
    if not settings.storage_public_endpoint:
        return lambda key, _, expires: signer.object_address(settings.public_address, key, expires)
    access = {**settings.storage_access, "endpoint": settings.storage_public_endpoint}
    return Presigner(settings.storage_address, **access).object_address
