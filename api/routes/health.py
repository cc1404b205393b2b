"""Is the process up, and can it serve?"""

import asyncio

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec

from api.readiness import Readiness
from contracts.http import HealthView, ReadinessView


@get("/healthz", tags=["Health"])
async def healthz() -> HealthView:
    """The process answers. Says nothing about what it depends on."""
    await asyncio.sleep(0)
    return HealthView()


@get(
    "/readyz",
    tags=["Health"],
    responses={503: ResponseSpec(ReadinessView, description="A part that creates need is away; `parts` says which")},
)
async def readyz(readiness: NamedDependency[Readiness]) -> Response[ReadinessView]:
    """Whether sessions can be created now, part by part."""
    parts = await readiness.look()
    ready = all(state == "ok" for state in parts.values())
    view = ReadinessView(status="ready" if ready else "unready", parts=parts)
    return Response(view, status_code=200 if ready else 503)
