"""What only S3 can do wrong: each trouble has its name, its sentence without a secret, and its time."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fsspec.asyn import get_loop

from adapters import object_bucket
from adapters.object_backend import BucketMissing, StoreRefused, StoreUnreachable
from adapters.object_store import ObjectMissing, ObjectStore
from domain.failures import Unavailable
from support.gate import Gate
from support.s3_server import ACCESS_KEY, READER, SECRET_KEY, S3Server

ROOT = Path(__file__).parents[2]
DISCARD = "http://127.0.0.1:9"
"""Nothing listens there."""
KEYS = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
BOUND_S = 10.0
"""A step must have its answer by then: its own time is twice that."""


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nobody has left credentials, and which has no role to ask for some."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("SHARED_CREDENTIALS_FILE", "CONFIG_FILE"):
        monkeypatch.setenv(f"AWS_{name}", str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@asynccontextmanager
async def opened(address: str, **access: str) -> AsyncIterator[ObjectStore]:
    """A store that is closed at the end."""
    store = ObjectStore(address, **access)
    try:
        yield store
    finally:
        await store.aclose()


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """The address of one who accepts connections and never says a word."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def troubles(store: ObjectStore) -> list[Unavailable]:
    """What each verb raises."""
    found = []
    for verb in (store.put("a/b", b"x"), store.get("a/b"), store.delete_below("a"), store.check()):
        with pytest.raises(Unavailable) as caught:
            await verb
        found.append(caught.value)
    return found


async def test_a_missing_bucket_is_no_empty_store(s3_server: S3Server) -> None:
    """Else the API would say of every picture that it was deleted."""
    async with opened("s3://no-such-bucket/prefix", **s3_server.access) as store:
        found = await troubles(store)
    assert {type(trouble) for trouble in found} == {BucketMissing}
    assert str(found[0]) == f"object store: {s3_server.endpoint} has no bucket no-such-bucket"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret_key": "a-wrong-one"}, "SignatureDoesNotMatch"),
        ({"access_key": "an-unknown-one"}, "InvalidAccessKeyId"),
    ],
)
async def test_refused_credentials_are_named_and_not_shown(
    s3_server: S3Server, s3_address: str, changes: dict[str, str], code: str
) -> None:
    """The code says whether key or secret is wrong; neither stands in the sentence or its causes."""
    access = {**s3_server.access, **changes}
    async with opened(s3_address, **access) as store:
        found = await troubles(store)
    assert {type(trouble) for trouble in found} == {StoreRefused}
    assert code in str(found[0])
    shown = " ".join(f"{trouble} {trouble!r} {trouble.__cause__!r}" for trouble in found)
    assert access["secret_key"] not in shown
    assert "Signature=" not in shown


async def test_no_credentials_at_all_are_refused(s3_server: S3Server, s3_address: str, empty_home: None) -> None:
    """With nothing set botocore looks around, and finds nothing."""
    async with opened(s3_address, endpoint=s3_server.endpoint) as store:
        assert {type(trouble) for trouble in await troubles(store)} == {StoreRefused}


async def test_a_key_that_may_only_read_is_found_out(s3_server: S3Server, s3_address: str) -> None:
    """Its reads work, its check does not, and what it could not delete is not taken for deleted."""
    async with (
        opened(s3_address, **s3_server.access) as own,
        opened(s3_address, **{**s3_server.access, **READER}) as reader,
    ):
        await own.put("a/b", b"x")
        assert await reader.get("a/b") == b"x"
        for verb in (reader.check(), reader.delete_below("a")):
            with pytest.raises(StoreRefused):
                await verb
        assert await own.get("a/b") == b"x"


async def test_a_server_that_is_not_there_is_told_in_time() -> None:
    """A refused connection needs no patience."""
    began = time.monotonic()
    async with opened("s3://bucket", endpoint=DISCARD, **KEYS) as store:
        with pytest.raises(StoreUnreachable) as caught:
            await store.get("a/b")
    assert time.monotonic() - began < BOUND_S
    assert str(caught.value) == f"object store: {DISCARD} does not answer (EndpointConnectionError)"


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it does the call ends, and nothing of it goes on behind our back."""
    assert object_bucket.WITHIN_S < BOUND_S
    monkeypatch.setattr(object_bucket, "WITHIN_S", 0.3)
    async with silent_server() as endpoint, opened("s3://b", endpoint=endpoint, **KEYS) as store:
        began = time.monotonic()
        with pytest.raises(StoreUnreachable):
            await store.put("a/b", b"x" * 2**20)
        assert time.monotonic() - began < 2
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):  # as the readiness check gives up
                await store.check()
        await asyncio.sleep(0.1)
        assert [task for task in asyncio.all_tasks(get_loop()) if not task.done()] == []


async def test_what_is_no_s3_server_is_a_trouble(s3_server: S3Server, s3_address: str) -> None:
    """The address of another service, here the page of the server's own file store."""
    endpoint = f"http://127.0.0.1:{s3_server.ports['filer.port']}"
    async with opened(s3_address, **{**s3_server.access, "endpoint": endpoint}) as store:
        for verb in (store.put("a/b", b"x"), store.delete_below("a")):
            with pytest.raises(Unavailable) as caught:
                await verb
            assert not isinstance(caught.value, ObjectMissing)


async def test_a_store_heals_when_its_server_is_back(s3_server: S3Server, s3_address: str) -> None:
    """The connections that it kept are dead; neither the first call nor a later one fails for that."""
    async with Gate(s3_server.ports["s3.port"]) as gate, opened(s3_address, endpoint=gate.endpoint, **KEYS) as store:
        await asyncio.gather(*(store.put(f"a/{number}", b"x") for number in range(5)))
        await gate.shut()
        with pytest.raises(StoreUnreachable):
            await store.get("a/1")
        await gate.open()
        await asyncio.gather(*(store.get(f"a/{number}") for number in range(5)))
        await gate.shut()
        await gate.open()  # nobody noticed: the connections of the pool are all dead
        await asyncio.gather(*(store.get(f"a/{number}") for number in range(5)))


async def test_more_objects_than_one_page_are_deleted(
    s3_server: S3Server, s3_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 lists and deletes a thousand at once; here it is asked for two."""
    monkeypatch.setattr(object_bucket, "BATCH", 2)
    many = 5
    async with opened(s3_address, **s3_server.access) as store:
        await asyncio.gather(*(store.put(f"many/{number}", b"") for number in range(many)))
        await store.put("manyfold", b"x")
        await store.delete_below("many")
        for gone in range(many):
            with pytest.raises(ObjectMissing):
                await store.get(f"many/{gone}")
        assert await store.get("manyfold") == b"x"


async def test_a_closed_store_opens_again(s3_server: S3Server, s3_address: str) -> None:
    """Closing twice, or before any use, does no harm."""
    store = ObjectStore(s3_address, **s3_server.access)
    await store.aclose()
    for turn in (b"1", b"2"):
        await store.put("a/b", turn)
        assert await store.get("a/b") == turn
        await store.aclose()
        await store.aclose()


async def test_one_store_serves_several_event_loops(s3_server: S3Server, s3_address: str) -> None:
    """Its connections belong to none of ours."""
    async with opened(s3_address, **s3_server.access) as store:
        await store.put("a/b", b"x")

        def elsewhere() -> bytes:
            return asyncio.run(store.get("a/b"))

        found = await asyncio.gather(*(asyncio.to_thread(elsewhere) for _ in range(3)))
        assert found == [b"x"] * 3


PROCESS = """
import asyncio, sys
from adapters.object_store import ObjectStore

async def use(address, endpoint, access_key, secret_key):
    store = ObjectStore(address, endpoint=endpoint, access_key=access_key, secret_key=secret_key)
    await store.put("a/b", b"from another process")
    assert await store.get("a/b") == b"from another process"
    await store.aclose()

asyncio.run(use(*sys.argv[1:]))
print(*sorted({"aiobotocore", "aiohttp", "botocore", "s3fs"} & set(sys.modules)))
"""


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that uses a store, with every warning an error, also those at its end."""
    command = [sys.executable, "-W", "error", "-c", PROCESS, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


async def test_a_process_that_used_s3_ends_without_a_word(s3_server: S3Server, s3_address: str) -> None:
    """No connection is left open, and what it wrote is seen by others at once."""
    done = await asyncio.to_thread(process, s3_address, s3_server.endpoint, ACCESS_KEY, SECRET_KEY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "s3fs" in done.stdout
    async with opened(s3_address, **s3_server.access) as store:
        assert await store.get("a/b") == b"from another process"


def test_a_process_with_a_folder_does_not_load_s3(tmp_path: Path) -> None:
    """Its libraries take half a second and 40 MB."""
    done = process(f"file://{tmp_path / 'objects'}", "", "", "")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "\n")
