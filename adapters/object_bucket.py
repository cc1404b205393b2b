"""Objects in an S3 bucket, by s3fs on fsspec's own event loop; a call ends within seconds, well or not."""

import asyncio
import mimetypes
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from aiohttp import ClientError as CutOff
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError, PartialCredentialsError
from botocore.exceptions import ConnectionError as NotConnected
from botocore.parsers import ResponseParserError
from fsspec.asyn import get_loop
from s3fs import S3FileSystem

from adapters.object_address import parse_bucket
from adapters.object_backend import BucketMissing, StoreRefused, StoreUnreachable
from domain.failures import Unavailable

WITHIN_S = 8.0
"""The longest that a call may take, second attempt included."""

CONNECT_S, READ_S = 2, 5
ATTEMPTS = 2
"""The second is for a kept connection that the server has closed meanwhile. Steps do the real retrying."""

NO_CONSTRAINT = "us-east-1"
"""AWS's first region, which may not be named as a bucket's place."""

BATCH = 1000
"""As many keys S3 lists or deletes at once."""

MISSING = frozenset({"NoSuchKey", "404"})
REFUSALS = frozenset(
    {"403", "AccessDenied", "AccountProblem", "AllAccessDisabled", "AuthorizationHeaderMalformed", "ExpiredToken"}
    | {"InvalidAccessKeyId", "InvalidToken", "NotSignedUp", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)
CREDENTIALS = (NoCredentialsError, PartialCredentialsError)
SILENCE = (OSError, HTTPClientError, NotConnected, CutOff)
TROUBLE = (*SILENCE, BotoCoreError, ClientError, ResponseParserError)
"""What s3fs lets through: its OSErrors with a ClientError as their cause, and what lies below it as it is."""

T = TypeVar("T")


class BucketBackend:
    """Objects below a prefix of one bucket. Usable from any event loop and thread; nothing is cached."""

    def __init__(self, address: str, *, endpoint: str, access_key: str, secret_key: str, region: str) -> None:
        self._bucket, self._prefix = parse_bucket(address)
        self._where = endpoint or "AWS"
        self._region = region
        self._loop = get_loop()
        self._opened = False
        self._files = S3FileSystem(
            key=access_key or None,
            secret=secret_key or None,
            endpoint_url=endpoint or None,
            client_kwargs={"region_name": region} if region else {},
            config_kwargs=_config(endpoint),
            asynchronous=True,  # else it closes its connections when collected, on whichever loop runs then
            max_concurrency=1,  # else each read asks for the size first
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        self._files.retries = 1

    async def make(self) -> None:
        """Make the bucket, private as S3 makes them; that it is there is as good."""
        abroad = self._region not in ("", NO_CONSTRAINT)
        words = {"CreateBucketConfiguration": {"LocationConstraint": self._region}} if abroad else {}
        await self._call(lambda: self._make(words))

    async def put(self, key: str, data: bytes) -> None:
        """Store `data` at `key`; S3 shows an object when it is whole."""
        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"
        await self._call(lambda: self._files._pipe_file(self._path(key), data, ContentType=kind))  # noqa: SLF001

    async def get(self, key: str) -> bytes:
        """The object's bytes; FileNotFoundError where there is none."""
        try:
            return bytes(await self._call(lambda: self._files._cat_file(self._path(key))))  # noqa: SLF001
        except _Missing:
            raise FileNotFoundError(key) from None

    async def delete_below(self, prefix: str) -> None:
        """Delete every object below `prefix`; that there is none is as good."""
        await self._call(lambda: self._delete(f"{self._prefix}{prefix}/"))

    async def modified_below(self, prefix: str) -> Mapping[str, datetime]:
        """When each object below `prefix` was written, to the second, by its path below `prefix`."""
        below = f"{self._prefix}{prefix}/"
        found = await self._call(lambda: self._listed(below))
        return {one["Key"].removeprefix(below): one["LastModified"] for one in found}

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        if self._opened:
            with suppress(Unavailable):  # there are none if none could ever be opened
                await self._call(self._close)
            self._opened = False

    def _path(self, key: str) -> str:
        return f"{self._bucket}/{self._prefix}{key}"

    async def _make(self, words: dict[str, Any]) -> None:
        try:
            await self._s3("create_bucket", **words)
        except FileExistsError:  # s3fs's word for a bucket that is there, whosever it is: the next look tells
            return

    async def _close(self) -> None:
        await (await self._files.set_session()).close()

    async def _listed(self, below: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        more: dict[str, str] = {}
        while True:
            page = await self._s3("list_objects_v2", Prefix=below, MaxKeys=BATCH, **more)
            found += page.get("Contents", [])
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def _delete(self, below: str) -> None:
        keys = [{"Key": found["Key"]} for found in await self._listed(below)]
        for start in range(0, len(keys), BATCH):
            answer = await self._s3("delete_objects", Delete={"Objects": keys[start : start + BATCH], "Quiet": True})
            # s3fs's own removal says nothing of objects that could not be deleted.
            for error in answer.get("Errors", []):
                raise self._answered(str(error.get("Code")))

    async def _s3(self, method: str, **words: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._files._call_s3(method, Bucket=self._bucket, **words)  # noqa: SLF001
        return answer

    async def _call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run it on fsspec's loop, where its connections live, and be back in time; trouble is Unavailable."""
        self._opened = True
        running = asyncio.run_coroutine_threadsafe(_made(work), self._loop)
        try:
            async with asyncio.timeout(WITHIN_S):
                return await asyncio.wrap_future(running)
        except TROUBLE as error:
            raise self._trouble(error) from error

    def _trouble(self, error: BaseException) -> Unavailable:
        """One sentence without keys, signatures or the server's own words."""
        answer = error if isinstance(error, ClientError) else error.__cause__
        if isinstance(answer, ClientError):
            return self._answered(str(answer.response.get("Error", {}).get("Code")))
        if isinstance(error, CREDENTIALS):
            return StoreRefused("object store: no credentials were given or found")
        name = type(error).__name__
        if isinstance(error, SILENCE):
            return StoreUnreachable(f"object store: {self._where} does not answer ({name})")
        return Unavailable(f"object store: {self._where} cannot be used ({name})")

    def _answered(self, code: str) -> Unavailable:
        if code == "NoSuchBucket":
            return BucketMissing(f"object store: {self._where} has no bucket {self._bucket}")
        if code in REFUSALS:
            return StoreRefused(f"object store: {self._where} refuses our credentials ({code})")
        kind = _Missing if code in MISSING else Unavailable
        return kind(f"object store: {self._where} answered {code}")


class _Missing(Unavailable):
    """There is no such object, or whatever answers is no S3 server."""


async def _made(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Make the coroutine on the loop that runs it: one that is never run would be a warning."""
    return await work()


def _config(endpoint: str) -> dict[str, Any]:
    """The configuration of botocore: bounded, and no more asked of an S3-compatible server than all of them can do."""
    return {
        "connect_timeout": CONNECT_S,
        "read_timeout": READ_S,
        "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
        "max_pool_connections": 32,
        "signature_version": "s3v4",
        "s3": {"addressing_style": "path" if endpoint else "auto"},
        # Checksums of its own are refused by some servers; ours are the hashes in the references.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
