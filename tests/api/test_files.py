"""Signed addresses as browsers and players use them: ranges, entity tags, HEAD, other origins."""

import pytest
from httpx import URL, AsyncClient, Response

from adapters.object_store import ObjectStore, sha256_of
from support.api_system import PICTURE, ApiSystem
from support.fake_faces import FACE


@pytest.fixture(scope="module")
async def address(api_system: ApiSystem) -> str:
    """The path and query of an avatar's picture."""
    _, body = await api_system.request("POST", "/v1/avatars/upload-face", json={"image_base64": PICTURE})
    return URL(body["image_url"]).raw_path.decode()


@pytest.fixture(scope="module")
async def whole(api_system: ApiSystem, address: str) -> Response:
    """The answer to a plain GET."""
    return await api_system.http.get(address)


@pytest.fixture(scope="module")
def http(api_system: ApiSystem) -> AsyncClient:
    """A client without a key."""
    return api_system.http


def test_a_picture_comes_with_what_a_cache_needs(whole: Response) -> None:
    """Length, a strong tag of the content, how long it may be kept and by whom, and that parts can be had."""
    assert (whole.status_code, whole.content) == (200, FACE * 100)
    headers = whole.headers
    assert headers["ETag"] == f'"{sha256_of(whole.content)}"'
    assert (headers["Content-Length"], headers["Accept-Ranges"]) == (str(len(whole.content)), "bytes")
    assert (headers["Content-Type"], headers["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")
    caching = set(headers["Cache-Control"].split(", "))
    (age,) = caching - {"private", "immutable"}
    assert len(caching) == 3
    assert 3600 - 10 < int(age.removeprefix("max-age=")) <= 4500


async def test_head_is_get_without_the_picture(http: AsyncClient, address: str, whole: Response) -> None:
    """The same headers, and no byte; a range does not matter."""
    head = await http.head(address, headers={"Range": "bytes=0-3"})
    assert (head.status_code, head.content) == (200, b"")
    same = ("Content-Length", "Content-Type", "ETag", "Accept-Ranges", "Access-Control-Allow-Origin")
    assert [head.headers[name] for name in same] == [whole.headers[name] for name in same]


@pytest.mark.parametrize(
    ("asked", "first", "last"), [("bytes=0-3", 0, 3), ("bytes=5-", 5, None), ("bytes=-4", -4, None)]
)
async def test_a_range_is_a_part(
    http: AsyncClient, address: str, whole: Response, asked: str, first: int, last: int | None
) -> None:
    """206 with exactly the bytes that were asked for, and where they lie."""
    size = len(whole.content)
    part = await http.get(address, headers={"Range": asked})
    assert (part.status_code, part.content) == (206, whole.content[first : None if last is None else last + 1])
    start = first % size
    assert part.headers["Content-Range"] == f"bytes {start}-{start + len(part.content) - 1}/{size}"
    assert part.headers["Content-Length"] == str(len(part.content))
    assert part.headers["ETag"] == whole.headers["ETag"]


async def test_a_range_behind_the_end_is_416(http: AsyncClient, address: str, whole: Response) -> None:
    """The answer says how long the picture is; nobody may keep it."""
    beyond = await http.get(address, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole.content)}")
    assert beyond.json()["success"] is False
    assert "Cache-Control" not in beyond.headers


async def test_several_ranges_are_the_whole(http: AsyncClient, address: str, whole: Response) -> None:
    """Which a server may answer with."""
    answer = await http.get(address, headers={"Range": "bytes=0-1,4-5"})
    assert (answer.status_code, answer.content) == (200, whole.content)


async def test_who_has_the_picture_gets_no_second_copy(http: AsyncClient, address: str, whole: Response) -> None:
    """304 without a body, tag and age renewed; with another tag, the picture."""
    tag = whole.headers["ETag"]
    same = await http.get(address, headers={"If-None-Match": f'"other", {tag}', "Range": "bytes=0-1"})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    assert "max-age" in same.headers["Cache-Control"]
    assert (await http.get(address, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_part_of_another_picture_is_not_completed(http: AsyncClient, address: str, whole: Response) -> None:
    """If-Range with this picture's tag gives the part, with another tag or a date the whole."""
    for condition, status in ((whole.headers["ETag"], 206), ('"other"', 200), ("Sun, 22 Nov 2026 10:00:00 GMT", 200)):
        answer = await http.get(address, headers={"Range": "bytes=1-2", "If-Range": condition})
        assert answer.status_code == status


async def test_pages_of_other_origins_may_read_pictures_and_refusals(http: AsyncClient, address: str) -> None:
    """A canvas stays readable; a page learns that its address has expired. All else of the API is not for pages."""
    page = {"Origin": "https://page.example"}
    for path, status in ((address, 200), (f"{address}x", 403)):
        answer = await http.get(path, headers=page)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, "*")
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Origin" not in (await http.get("/v1/avatars", headers=page)).headers


async def test_a_tag_follows_the_content(api_system: ApiSystem) -> None:
    """Another picture at the same key is another tag, though the address says that it is immutable."""
    _, body = await api_system.request("POST", "/v1/avatars/upload-face", json={"image_base64": PICTURE})
    address = URL(body["preview_url"])
    before = (await api_system.http.get(address.raw_path.decode())).headers["ETag"]
    await ObjectStore(api_system.settings.storage_address).put(address.path.removeprefix("/files/"), b"another")
    after = await api_system.http.get(address.raw_path.decode(), headers={"If-None-Match": before})
    assert (after.status_code, after.content) == (200, b"another")
