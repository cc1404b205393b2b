"""Presigned addresses: what the S3 server takes, for as long as it should, and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlsplit

import botocore.auth
import httpx
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from adapters.object_store import ObjectStore
from adapters.presigning import Presigner
from support.s3_server import ACCESS_KEY, SECRET_KEY, S3Server

BEGINS, EXPIRES = 1_700_000_000, 1_700_004_500
KEYS = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}


@pytest.fixture
async def store(s3_server: S3Server, s3_address: str) -> AsyncIterator[ObjectStore]:
    """The store that the addresses point into."""
    store = ObjectStore(s3_address, **s3_server.access)
    yield store
    await store.aclose()


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("https://s3.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com"),
        ("https://pictures.example:443/", "pictures.example"),
        ("http://pictures.example:80", "pictures.example"),
        ("http://Pictures.example:8333", "pictures.example:8333"),
        ("https://example.com/storage", "example.com"),
        ("http://[::1]:8333", "[::1]:8333"),
    ],
)
@pytest.mark.parametrize("key", ["avatars/avat_1/4x3.jpg", "a/ein bild & 4x3+ü=~%2F.jpg"])
def test_the_signature_is_what_botocore_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, host: str, key: str
) -> None:
    """Of the same request at the same moment, whatever stands in the key; the host is as browsers send it."""
    ours = Presigner("s3://bucket/pre/fix/", endpoint=endpoint, region="eu-central-1", **KEYS)
    address = ours.object_address(key, BEGINS, EXPIRES)
    parts = urlsplit(address)
    assert (parts.netloc, parts.path) == (
        host,
        urlsplit(endpoint).path.rstrip("/") + quote(f"/bucket/pre/fix/{key}", safe="/~"),
    )
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: datetime.fromtimestamp(BEGINS, UTC))
    asked = AWSRequest("GET", address.partition("?")[0])
    asked.url += f"?response-cache-control={parse_qs(parts.query)['response-cache-control'][0].replace(' ', '%20')}"
    theirs = botocore.auth.S3SigV4QueryAuth(
        Credentials(ACCESS_KEY, SECRET_KEY), "s3", "eu-central-1", expires=EXPIRES - BEGINS
    )
    theirs.add_auth(asked)
    assert parse_qs(parts.query)["X-Amz-Signature"] == parse_qs(urlsplit(asked.url).query)["X-Amz-Signature"]
    assert SECRET_KEY not in address


def presigner(server: S3Server, address: str, host: str = "127.0.0.1") -> Presigner:
    """Signs for the test's server, as clients reach it by another name."""
    return Presigner(address, **{**server.access, "endpoint": server.endpoint.replace("127.0.0.1", host)})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_address_shows_its_picture(
    s3_server: S3Server, s3_address: str, store: ObjectStore, host: str
) -> None:
    """As what it is, under whichever name of the server was signed, and browsers may keep it as long as it is good."""
    now = int(time.time())
    keys = {"avatars/1/4x3.jpg": "image/jpeg", "avatars/1/ä b+c.png": "image/png", "staging/1/source": "octet-stream"}
    async with httpx.AsyncClient() as http:
        for key, kind in keys.items():
            await store.put(key, key.encode())
            answer = await http.get(presigner(s3_server, s3_address, host).object_address(key, now - 900, now + 60))
            assert (answer.status_code, answer.content) == (200, key.encode())
            assert answer.headers["content-type"].endswith(kind)
            assert answer.headers["cache-control"] == "private, max-age=960, immutable"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1x1.jpg", "2x2.jpg"),
        ("Amz-Expires=60", "Amz-Expires=61"),
        ("Signature=", "Signature=0"),
        ("GET", "PUT"),
        (ACCESS_KEY, "another-key"),
    ],
)
async def test_a_changed_address_is_refused(
    s3_server: S3Server, s3_address: str, store: ObjectStore, old: str, new: str
) -> None:
    """It is good for one object, one period, and reading."""
    now = int(time.time())
    for key in ("1x1.jpg", "2x2.jpg"):
        await store.put(key, b"picture")
    good = presigner(s3_server, s3_address).object_address("1x1.jpg", now, now + 60)
    async with httpx.AsyncClient() as http:
        assert (await http.get(good)).status_code == 200
        method = new if old == "GET" else "GET"
        answer = await http.request(method, good.replace(old, new))
    assert answer.status_code == 403
    assert await store.get("1x1.jpg") == b"picture"


async def test_an_address_expires(s3_server: S3Server, s3_address: str, store: ObjectStore) -> None:
    """At its moment, not some time later."""
    await store.put("1x1.jpg", b"picture")
    now = time.time()
    address = presigner(s3_server, s3_address).object_address("1x1.jpg", int(now) - 900, int(now) + 2)
    async with httpx.AsyncClient() as http:
        assert (await http.get(address)).status_code == 200
        await asyncio.sleep(int(now) + 3.1 - time.time())
        assert (await http.get(address)).status_code == 403


async def test_an_address_costs_next_to_nothing(s3_address: str) -> None:
    """A page of a hundred avatars needs two hundred, on the event loop."""
    one = Presigner(s3_address, endpoint="https://s3.example", region="", **KEYS)
    began = time.perf_counter()
    for number in range(200):
        one.object_address(f"avatars/{number}/4x3.jpg", BEGINS, EXPIRES)
    assert time.perf_counter() - began < 0.1
