"""How many requests a minute a key may make: counted when its account is known, told in headers on every answer."""

import math
import time
from dataclasses import dataclass
from typing import Any

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.openapi import ResponseSpec
from litestar.routes import HTTPRoute
from litestar.types import Message, Scope

from adapters.rate_limit_store import RateLimitStore
from contracts.http import RateLimitedView
from domain.failures import FailureCode, Refused

WINDOW_S = 60.0
LIMITED_PATHS = "/v1/"
LIMITED = ResponseSpec(RateLimitedView, description="Too many requests in a minute; see Retry-After")
TOLD = "greenroom_rate_limit"
"""Where in the scope's state stands what the answer's headers tell."""

Connection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, kw_only=True)
class RateLimits:
    """Counts requests by name; 0 a minute means that nothing is counted, whatever a plan says."""

    store: RateLimitStore
    per_minute: int

    async def count(self, connection: Connection, name: str, per_minute: int | None = None) -> None:
        """Count a request of `name`; TOO_MANY_REQUESTS beyond the limit: the setting, or what a plan gives.

        Where the store of counts is away the request goes through: nobody is refused for a fault of ours.
        """
        limit = per_minute if per_minute is not None and self.per_minute else self.per_minute
        counted = await self.store.count(name, WINDOW_S) if limit else None
        if counted is None:
            return
        left = max(math.ceil(counted.ends_in_s), 1)
        connection.scope["state"][TOLD] = {
            "X-RateLimit-Limit": limit,
            "X-RateLimit-Remaining": max(limit - counted.count, 0),
            "X-RateLimit-Reset": math.ceil(time.time() + counted.ends_in_s),
        }
        if counted.count > limit:
            message = "Too many requests. Please retry after 1 minute."
            raise Refused(FailureCode.TOO_MANY_REQUESTS, message, details={"retry_after_seconds": left})


async def tell_rate_limit(message: Message, scope: Scope) -> None:
    """Add the headers to an answer whose request was counted."""
    told = scope.get("state", {}).get(TOLD)
    if told and message["type"] == "http.response.start":
        ours = [(name.lower().encode(), str(value).encode()) for name, value in told.items()]
        message["headers"] = [*message.get("headers", ()), *ours]


def document_rate_limit(app: Litestar) -> None:
    """Let the API's description say 429 of each route below /v1 that says nothing of it."""
    for route in app.routes:
        if isinstance(route, HTTPRoute) and route.path.startswith(LIMITED_PATHS):
            for handler in route.route_handlers:
                handler.responses = {429: LIMITED, **(handler.responses or {})}
