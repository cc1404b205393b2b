"""Links over HTTP: kept with a key; and the page that they open."""

import gzip
import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.api_system import ApiSystem

LIVEKIT_CLIENT = "fb646f2260d84f91238d0a2dc10726c456631d6a26c7cafc43cfee5959b4d31d"
"""SHA-256 of `dist/livekit-client.umd.js` of livekit-client 2.23.0, as it is published: it is not changed here."""
STATIC = Path(__file__).parents[2] / "api" / "static"


async def new_link(api: ApiSystem, **fields: Any) -> dict[str, Any]:
    """A link, as its create answered."""
    avatar = fields.pop("avatar", None) or await api.avatar()
    status, body = await api.request("POST", "/v1/links", json={"avatar": avatar, **fields})
    assert status == 201, body
    return dict(body["link"])


async def test_a_link_is_made_read_and_changed(api_system: ApiSystem) -> None:
    """Contract 12: its fields; a pause and an end of it; limits that can be taken away."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    link = await new_link(api_system, name="Fair", use_limit=5, expires_at=tomorrow, aspect_ratio="3:4")
    assert link["link_id"].startswith("lnk_")
    assert re.fullmatch("link-[0-9a-f]{16}", link["reference"])
    assert link["url"] == f"{api_system.settings.public_address}/watch/{link['link_id']}"
    shown = ("name", "status", "uses", "use_limit", "expires_at", "aspect_ratio", "agent")
    assert [link[name] for name in shown] == ["Fair", "active", 0, 5, tomorrow, "3:4", None]
    path = f"/v1/links/{link['link_id']}"
    assert (await api_system.request("GET", path))[1]["link"] == link
    _, paused = await api_system.request("PUT", path, json={"status": "paused", "name": "Later"})
    assert paused["link"] == {**link, "status": "paused", "name": "Later"}
    _, open_again = await api_system.request(
        "PUT", path, json={"status": "active", "use_limit": None, "expires_at": None}
    )
    assert open_again["link"] == {**link, "name": "Later", "use_limit": None, "expires_at": None}


async def test_the_list_can_be_filtered_and_is_the_accounts_own(api_system: ApiSystem) -> None:
    """Newest first; a status that is none filters nothing (as for sessions); nobody reads or changes another's."""
    avatar = await api_system.avatar()
    first, second = [await new_link(api_system, avatar=avatar) for _ in range(2)]
    await api_system.request("PUT", f"/v1/links/{first['link_id']}", json={"status": "paused"})

    async def ids(query: str = "", **how: Any) -> list[str]:
        _, body = await api_system.request("GET", f"/v1/links{query}", **how)
        return [link["link_id"] for link in body["links"]]

    assert (await ids())[:2] == [second["link_id"], first["link_id"]] == (await ids("?status=whatever"))[:2]
    assert second["link_id"] in await ids("?status=active")
    assert first["link_id"] in await ids("?status=paused")
    assert not {first["link_id"], second["link_id"]} & set(await ids("?status=expired"))
    other = await api_system.account()
    assert await ids(key=other) == []
    for method, body in (("GET", None), ("PUT", {"name": "mine"})):
        status, answer = await api_system.request(method, f"/v1/links/{first['link_id']}", key=other, json=body)
        assert (status, answer["error"]["code"]) == (404, "LINK_NOT_FOUND")
    assert (await api_system.request("GET", "/v1/links", key=None))[0] == 401


REFUSED = [
    ({}, 400, "AVATAR_REQUIRED"),
    ({"avatar": "avat_nobody"}, 404, "AVATAR_NOT_FOUND"),
    ({"avatar": "sara"}, 404, "AVATAR_NOT_FOUND"),
    ({"avatar": "AVATAR", "aspect_ratio": "16:9"}, 400, "INVALID_ASPECT_RATIO"),
    ({"avatar": "AVATAR", "use_limit": 0}, 400, "INVALID_REQUEST"),
    ({"avatar": "AVATAR", "use_limit": "three"}, 400, "INVALID_REQUEST"),
    ({"avatar": "AVATAR", "expires_at": "2020-01-01T00:00:00Z"}, 400, "INVALID_LINK"),
    ({"avatar": "AVATAR", "expires_at": "2090-01-01T00:00:00"}, 400, "INVALID_REQUEST"),
    ({"avatar": "AVATAR", "expires_at": "soon"}, 400, "INVALID_REQUEST"),
    ({"avatar": "AVATAR", "name": "x" * 201}, 400, "INVALID_REQUEST"),
]


@pytest.mark.parametrize(("body", "status", "code"), REFUSED, ids=[f"{n}-{c}" for n, (_, _, c) in enumerate(REFUSED)])
async def test_what_is_no_link_is_refused(api_system: ApiSystem, body: dict[str, Any], status: int, code: str) -> None:
    """By its code, and no link more."""
    if body.get("avatar") == "AVATAR":
        body = {**body, "avatar": await api_system.avatar()}
    found, answer = await api_system.request("POST", "/v1/links", json=body)
    assert (found, answer["error"]["code"]) == (status, code)


async def test_only_who_may_use_an_avatar_can_show_it(api_system: ApiSystem) -> None:
    """A foreign avatar is denied to links and previews alike; one's own preview has an address of its own."""
    avatar, other = await api_system.avatar(), await api_system.account()
    for path, body in (("/v1/links", {"avatar": avatar}), ("/v1/avatars/preview", {"avatar_id": avatar})):
        status, answer = await api_system.request("POST", path, key=other, json=body)
        assert (status, answer["error"]["code"]) == (403, "AVATAR_ACCESS_DENIED")
    status, answer = await api_system.request("POST", "/v1/avatars/preview", json={"avatar_id": avatar})
    assert (status, answer["success"]) == (201, True)
    preview = answer["url"].rpartition("/")[2]
    assert preview.startswith("lnk_")
    assert (await api_system.request("GET", f"/v1/links/{preview}"))[0] == 404


async def test_without_rooms_of_its_own_a_server_starts_nothing_by_links(api_system: ApiSystem) -> None:
    """No use is taken; a key is not asked for."""
    link = await new_link(api_system, use_limit=1)
    body = {"link_id": link["link_id"]}
    status, answer = await api_system.request("POST", "/v1/links/start-session", key=None, json=body)
    assert (status, answer["error"]["code"]) == (400, "ROOM_PLATFORM_UNAVAILABLE")
    _, found = await api_system.request("GET", f"/v1/links/{link['link_id']}")
    assert found["link"]["uses"] == 0


async def test_the_page_is_closed_to_everything_foreign(api_system: ApiSystem) -> None:
    """Its policy lets it run and load what lies here, and its name cannot become markup."""
    link = await new_link(api_system, name='"><script>alert(1)</script>')
    page = await api_system.http.get(f"/watch/{link['link_id']}")
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert page.status_code == 200
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"
    assert "<script>alert" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    nothing = await api_system.http.get("/watch/lnk_nobody")
    assert nothing.status_code == 404
    assert 'data-link=""' in nothing.text


async def test_the_pages_files_are_those_of_the_folder(api_system: ApiSystem) -> None:
    """Compressed for those who take it, known by their hash, and no path leads elsewhere."""
    name = "vendor/livekit-client-2.23.0.umd.js"
    whole = await api_system.http.get(f"/watch/static/{name}", headers={"Accept-Encoding": "identity"})
    assert hashlib.sha256(whole.content).hexdigest() == LIVEKIT_CLIENT
    assert whole.content == (STATIC / name).read_bytes()
    assert whole.headers["content-type"].startswith("text/javascript")
    packed = await api_system.http.get(f"/watch/static/{name}", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == whole.content
    assert len(gzip.compress(whole.content)) < 200_000
    again = await api_system.http.get(f"/watch/static/{name}", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    for path in ("../app.py", "..%2fapp.py", "vendor", "vendor/LICENSE.livekit-client", "watch.html/../../app.py"):
        answer = await api_system.http.get(f"/watch/static/{path}")
        assert answer.status_code == 404
