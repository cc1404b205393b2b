"""The HTTP service, put together from settings."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from temporalio.client import Client

from adapters.object_store import ObjectStore
from adapters.rate_limit_store import open_rate_limits
from adapters.relay_tokens import RelayTokens
from adapters.sealing import Sealer
from adapters.signing import Signer
from adapters.speech_synthesis import SpeechSynthesis
from api.auth import SECURITY_COMPONENTS, admit, provide_account
from api.control.hub import ControlHub
from api.errors import HANDLERS
from api.json_request import JSONRequest
from api.key_use import KeyUse
from api.managed_rooms import managed_rooms
from api.picture_addresses import picture_addresses
from api.rate_limit import RateLimits, document_rate_limit, tell_rate_limit
from api.readiness import NotReady, Readiness
from api.request_ids import identified
from api.request_watch import watched_requests
from api.routes.avatars import avatars_router
from api.routes.files import get_file
from api.routes.health import healthz, readyz
from api.routes.links import links_router, start_session_by_link
from api.routes.sessions import sessions_router
from api.routes.usage import usage_router
from api.routes.watch import end_watched, read_watched, speak_text, watch_file, watch_page
from api.services import Services
from api.sessions_gateway import SessionsGateway
from api.sweeper import sweep_for_ever
from api.temporal_calls import Canceller
from api.uploads_gateway import UploadsGateway
from api.views import AvatarViews
from database.account_admin import AccountAdmin
from database.accounts import Accounts
from database.avatar_servers import AvatarServers
from database.avatars import Avatars
from database.control import ControlLines
from database.creates import Creates
from database.engine import open_engine
from database.links import Links
from database.migrations import is_current
from database.session_reading import SessionReading
from database.sessions import Sessions
from database.usage import UsageReading
from runtime.settings import Settings, parse_keys
from runtime.temporal_client import connect

MAX_BODY_BYTES = 15 * 2**20
"""Room for 10 MB as base64."""

OPENAPI = OpenAPIConfig(
    title="Greenroom",
    version="1",
    description="A self-hosted, durable backend for real-time talking avatars.",
    components=SECURITY_COMPONENTS,
    render_plugins=[JsonRenderPlugin(), YamlRenderPlugin()],
)


LINKS = (links_router, start_session_by_link, watch_page, watch_file, speak_text, read_watched, end_watched)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The secrets that the API holds, by key id, newest first."""

    server: Mapping[str, bytes]
    sealing: Mapping[str, bytes]


def create_app(settings: Settings, environ: Mapping[str, str]) -> Litestar:
    """The application; SettingsError without its keys. It starts while Temporal is down, and answers 503 meanwhile."""
    keys = Keys(
        server=parse_keys(settings.server_keys, "GREENROOM_SERVER_KEYS"),
        sealing=parse_keys(settings.sealing_keys, "GREENROOM_SEALING_KEYS"),
    )

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await _open(app.state, settings, keys, environ, stack)
            yield

    app = Litestar(
        [sessions_router, avatars_router, usage_router, *LINKS, get_file, healthz, readyz],
        dependencies={
            "services": Provide(_services),
            "readiness": Provide(_readiness),
            "account_id": Provide(provide_account),
        },
        guards=[admit],
        before_send=[tell_rate_limit],
        exception_handlers=HANDLERS,
        request_class=JSONRequest,
        lifespan=[lifespan],
        openapi_config=OPENAPI,
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )
    document_rate_limit(app)
    app.asgi_handler = identified(watched_requests(app.asgi_handler))
    return app


async def _services(state: State) -> Services:
    services: Services = state.services
    return services


async def _readiness(state: State) -> Readiness:
    readiness: Readiness = state.readiness
    return readiness


async def _open(
    state: State, settings: Settings, keys: Keys, environ: Mapping[str, str], stack: AsyncExitStack
) -> None:
    """Open what the handlers need, and see to it that it is closed."""
    engine = open_engine(settings.database_address)
    stack.push_async_callback(engine.dispose)
    client = await connect(environ, lazy=True)
    canceller = Canceller(client)
    stack.push_async_callback(canceller.aclose)
    store = ObjectStore(settings.storage_address, **settings.storage_access)
    stack.push_async_callback(store.aclose)
    signer = Signer(keys.server)
    counts = open_rate_limits(settings.rate_limit_url)
    stack.push_async_callback(counts.aclose)
    state.rate_limits = RateLimits(store=counts, per_minute=settings.requests_per_minute)
    state.accounts = Accounts(engine)
    avatars, creates = Avatars(engine), Creates(engine)
    state.services = Services(
        settings=settings,
        accounts=state.accounts,
        avatars=avatars,
        sessions=Sessions(engine),
        reading=SessionReading(engine),
        usage=UsageReading(engine),
        creates=creates,
        store=store,
        signer=signer,
        sealer=Sealer(keys.sealing),
        gateway=SessionsGateway(client, canceller, settings.temporal_wait_s),
        uploads=UploadsGateway(client, canceller, settings.temporal_wait_s),
        views=AvatarViews(picture_addresses(settings, signer)),
        managed_rooms=managed_rooms(settings),
        links=Links(engine),
        speech=SpeechSynthesis(),
    )
    state.control = ControlHub(
        signer=signer,
        tokens=RelayTokens(keys.sealing),
        sessions=Sessions(engine),
        control=ControlLines(engine),
        address=settings.relay_address,
    )

    async def database() -> None:
        if not await is_current(engine):
            raise NotReady("its tables are not those of this version; run `greenroom migrate`")

    async def avatar_servers() -> None:
        # That all slots are in use is no fault of this process: sessions can be read and ended, and slots come free.
        _, total = await AvatarServers(engine).capacity()
        if total == 0:
            raise NotReady("no avatar server is alive")

    state.readiness = Readiness(
        {
            "database": database,
            "temporal": lambda: _temporal(client),
            "storage": store.check,
            "avatar_servers": avatar_servers,
        }
    )
    state.key_use = KeyUse(AccountAdmin(engine))
    noting = asyncio.create_task(state.key_use.run())
    stack.push_async_callback(_stopped, noting)
    sweeping = asyncio.create_task(sweep_for_ever(store, avatars, creates))
    stack.push_async_callback(_stopped, sweeping)


async def _temporal(client: Client) -> None:
    if not await client.service_client.check_health():
        raise NotReady("does not serve")


async def _stopped(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
