"""Empty object stores of every kind, one a test; another kind is one more maker."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from adapters.object_store import ObjectStore
from support.s3_server import BUCKET, S3Server

Open = Callable[[], ObjectStore]
"""Opens the test's store anew, as another process would."""


@contextmanager
def in_a_folder(request: pytest.FixtureRequest) -> Iterator[Open]:
    """A local folder."""
    folder: Path = request.getfixturevalue("tmp_path")
    yield lambda: ObjectStore(f"file://{folder / 'objects'}")


@contextmanager
def in_memory(request: pytest.FixtureRequest) -> Iterator[Open]:
    """One more of fsspec's own: what is neither a folder nor S3."""
    root = f"/{uuid4().hex}"
    yield lambda: ObjectStore(f"memory:/{root}")
    memory = fsspec.filesystem("memory")
    for path in [path for path in memory.store if path.startswith(f"{root}/")]:
        del memory.store[path]


@contextmanager
def in_a_bucket(request: pytest.FixtureRequest) -> Iterator[Open]:
    """A prefix of a bucket on a real S3 server."""
    server: S3Server = request.getfixturevalue("s3_server")
    address = f"s3://{BUCKET}/{uuid4().hex}"
    yield lambda: ObjectStore(address, **server.access)


MAKERS = [in_a_folder, in_memory, in_a_bucket]
"""The kinds that every test of the object store runs on."""


@pytest.fixture(params=MAKERS, ids=lambda maker: maker.__name__)
async def reopen(request: pytest.FixtureRequest) -> AsyncIterator[Open]:
    """Opens the test's store, empty at first; all that were opened are closed."""
    opened: list[ObjectStore] = []
    with request.param(request) as make:

        def reopen() -> ObjectStore:
            opened.append(make())
            return opened[-1]

        yield reopen
    for store in opened:
        await store.aclose()


@pytest.fixture
def store(reopen: Open) -> ObjectStore:
    """An empty store."""
    return reopen()
