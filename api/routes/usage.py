"""Usage: what an account has used of its plan."""

from litestar import Router, get
from litestar.di import NamedDependency

from api.auth import SECURED, AccountId
from api.routes.shared import AWAY, UNAUTHORIZED
from api.services import Services
from api.usage_views import account_usage_view
from contracts.http import UsageFound


@get("/", responses={401: UNAUTHORIZED, 503: AWAY})
async def get_usage(services: NamedDependency[Services], account_id: NamedDependency[AccountId]) -> UsageFound:
    """The period, the minutes that are left, running sessions, places and pictures, and the plan."""
    return UsageFound(usage=account_usage_view(await services.usage.of(account_id)))


usage_router = Router("/v1/usage", route_handlers=[get_usage], tags=["Usage"], security=SECURED)
