"""Requests a minute: counted for each key, told on every answer, refused in the contract's words."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import insert
from ulid import ULID

from adapters.rate_limit_store import MemoryRateLimits
from api.app import create_app
from api.auth import key_hash
from api.rate_limit import RateLimits
from database.accounts import Accounts
from database.engine import open_engine, writing
from database.migrations import migrate
from database.tables import plans
from support.api_system import serving, settings_in

LIMIT = 3
NOBODY = "127.0.0.1:9"


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Its time."""
        return self.now


@pytest.fixture(scope="module")
async def limited(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[AsyncClient, Accounts, Any]]:
    """An API with a limit of three, its accounts, and the application."""
    settings = settings_in(tmp_path_factory.mktemp("limited"), requests_per_minute=LIMIT)
    await migrate(settings.database_address)
    engine = open_engine(settings.database_address)
    accounts = Accounts(engine)
    await accounts.create("acct_1", "tester")
    app = create_app(settings, {"TEMPORAL_ADDRESS": NOBODY})
    async with serving(app) as http:
        yield http, accounts, app
    await engine.dispose()


async def key_of(accounts: Accounts) -> str:
    """A new key."""
    key = f"ah_test_{ULID()}"
    await accounts.add_key("acct_1", key_hash(key), key)
    return key


async def test_the_fourth_request_of_a_minute_is_refused(limited: tuple[AsyncClient, Accounts, Any]) -> None:
    """The headers count down and say when it is over; the refusal is the documented one; other keys are untouched."""
    http, accounts, app = limited
    clock = Clock()
    app.state.rate_limits = RateLimits(store=MemoryRateLimits(clock), per_minute=LIMIT)
    key, other = await key_of(accounts), await key_of(accounts)
    answers = [await http.get("/v1/sessions", headers={"x-api-key": key}) for _ in range(LIMIT)]
    assert [answer.status_code for answer in answers] == [200] * LIMIT
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
    clock.now += 20
    refused = await http.get("/v1/sessions", headers={"x-api-key": key})
    assert refused.status_code == 429
    assert refused.json() == {"success": False, "error": "Too many requests. Please retry after 1 minute."}
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert refused.headers["Retry-After"] == "40"
    assert -2 <= int(refused.headers["X-RateLimit-Reset"]) - (time.time() + 40) <= 2
    assert refused.headers["X-Request-Id"]
    assert (await http.get("/v1/sessions", headers={"x-api-key": other})).status_code == 200
    clock.now += 40
    assert (await http.get("/v1/sessions", headers={"x-api-key": key})).status_code == 200


async def test_whatever_is_asked_counts(limited: tuple[AsyncClient, Accounts, Any]) -> None:
    """Also requests that are refused, before anything of them is read; what asks for no key is not counted."""
    http, accounts, app = limited
    app.state.rate_limits = RateLimits(store=MemoryRateLimits(), per_minute=LIMIT)
    headers = {"x-api-key": await key_of(accounts)}
    answers = [
        await http.post("/v1/sessions", headers=headers, content=b"{"),
        await http.get("/v1/sessions/sess_nobody", headers=headers),
        await http.post("/v1/avatars/upload-face", headers=headers, json={}),
        await http.get("/v1/avatars", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [400, 404, 400, 429]
    assert all("X-RateLimit-Limit" in answer.headers for answer in answers)
    for _ in range(2 * LIMIT):
        free = await http.get("/healthz", headers=headers)
        assert free.status_code == 200
        assert "X-RateLimit-Limit" not in free.headers


async def test_keys_cannot_be_tried_without_an_end(limited: tuple[AsyncClient, Accounts, Any]) -> None:
    """Requests without a key that opens something are counted by their address; those with one go on from there."""
    http, accounts, app = limited
    app.state.rate_limits = RateLimits(store=MemoryRateLimits(), per_minute=LIMIT)
    revoked = await key_of(accounts)
    await accounts.revoke_key(key_hash(revoked))
    keys = ["", "ah_test_guess", revoked, "ah_test_other"]
    answers = [await http.get("/v1/avatars", headers={"x-api-key": key} if key else {}) for key in keys]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert [answer.json().get("error") for answer in answers[:3]] == [
        "API key required",
        "Invalid API key",
        "API key is deactivated",
    ]
    good = await http.get("/v1/avatars", headers={"x-api-key": await key_of(accounts)})
    assert (good.status_code, good.headers["X-RateLimit-Remaining"]) == (200, "2")


async def test_without_a_limit_nothing_is_told(limited: tuple[AsyncClient, Accounts, Any]) -> None:
    """As in `greenroom dev`."""
    http, accounts, app = limited
    app.state.rate_limits = RateLimits(store=MemoryRateLimits(), per_minute=0)
    headers = {"x-api-key": await key_of(accounts)}
    answers = [await http.get("/v1/avatars", headers=headers) for _ in range(LIMIT + 2)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any("X-RateLimit-Limit" in answer.headers for answer in answers)


async def test_a_store_that_is_away_lets_requests_through(limited: tuple[AsyncClient, Accounts, Any]) -> None:
    """Nobody is refused because we cannot count."""

    class Away:
        """A store that does not answer."""

        async def count(self, name: str, window_s: float) -> None:
            """Tell nothing."""

        async def aclose(self) -> None:
            """Leave."""

    http, accounts, app = limited
    app.state.rate_limits = RateLimits(store=Away(), per_minute=1)
    headers = {"x-api-key": await key_of(accounts)}
    assert [(await http.get("/v1/avatars", headers=headers)).status_code for _ in range(3)] == [200, 200, 200]


async def test_a_plan_may_have_a_limit_of_its_own(limited: tuple[AsyncClient, Accounts, Any]) -> None:
    """It stands instead of the setting, unless that says that there are no limits at all."""
    http, accounts, app = limited
    plan = {"key": "slow", "name": "slow", "max_concurrent_sessions": 1, "requests_per_minute": 2}
    async with writing(accounts._engine) as connection:
        await connection.execute(insert(plans).values(**plan))
    await accounts.create("acct_slow", "slow", "slow")
    key = f"ah_test_{ULID()}"
    await accounts.add_key("acct_slow", key_hash(key), key)
    for setting, expected in ((LIMIT, [200, 200, 429]), (0, [200, 200, 200])):
        app.state.rate_limits = RateLimits(store=MemoryRateLimits(), per_minute=setting)
        answers = [await http.get("/v1/avatars", headers={"x-api-key": key}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == expected
        assert answers[0].headers.get("X-RateLimit-Limit") == ("2" if setting else None)
