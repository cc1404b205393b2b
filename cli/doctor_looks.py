"""What the doctor looks at, part by part: each look returns what is there, or raises what is wrong and what helps."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

from adapters.detector_file import detector_path
from adapters.livekit_rooms import LiveKitAccess, LiveKitRooms
from adapters.object_backend import BucketMissing, StoreUnreachable
from cli.deploying import stranded
from cli.doctor import FaultError, Look
from cli.doctor_temporal import INIT, look_at_temporal, reach
from cli.store_faults import STORE_HELP, is_made, opened_database, opened_store, store_fault
from contracts import queues
from database.avatar_servers import AvatarServers
from database.migrations import is_current
from domain.failures import Refused, Unavailable
from runtime.cache import cache_folder
from runtime.deployments import Deployment
from runtime.external.found import MissingPartError
from runtime.external.livekit_server import INSTALL, find_livekit_server
from runtime.external.temporal_cli import find_temporal
from runtime.settings import Settings, SettingsError, parse_keys

STORE_WITHIN_S = 4
"""Less than the doctor gives a look: it should be the one to say what helps."""
KEYS = {"server_keys": "signs session tokens", "sealing_keys": "seals room tokens"}


def looks(settings: Settings, environ: Mapping[str, str]) -> dict[str, Look]:
    """The looks by part, in the order in which one should be mended."""
    livekit = {"LiveKit": partial(look_at_livekit, settings)} if settings.livekit_url else {}
    return {
        "keys": partial(look_at_keys, settings),
        "parts on disk": partial(look_at_parts, settings, environ),
        "database": partial(look_at_database, settings),
        "object store": partial(look_at_store, settings),
        "Temporal": partial(look_at_temporal, environ),
        **livekit,
        "sessions worker": partial(look_at_sessions_worker, settings, environ),
        "faces worker": partial(look_at_worker, environ, queues.FACES, "faces"),
        "avatar servers": partial(look_at_avatar_servers, settings),
        "API": partial(look_at_api, settings),
    }


async def look_at_keys(settings: Settings) -> str:
    """Both keys are set and well formed."""
    await asyncio.sleep(0)
    for name, use in KEYS.items():
        try:
            parse_keys(getattr(settings, name), f"GREENROOM_{name.upper()}")
        except SettingsError as error:
            raise FaultError(f"{error} (it {use})") from None
    return "both are set"


async def look_at_parts(settings: Settings, environ: Mapping[str, str]) -> str:
    """The detector's file, and what `greenroom dev` needs besides."""
    cache = cache_folder(environ)
    model = Path(settings.face_model) if settings.face_model else detector_path(cache)
    if not await asyncio.to_thread(model.is_file):
        raise FaultError("the face detector's file is missing: run `greenroom setup`")
    if await asyncio.to_thread(find_livekit_server, cache, environ) is None:
        raise FaultError(INSTALL)
    try:
        await asyncio.to_thread(find_temporal, Path(sys.executable).parent)
    except MissingPartError as error:
        raise FaultError(str(error)) from None
    return f"detector {model.name}, LiveKit server and Temporal dev server are there"


async def look_at_database(settings: Settings) -> str:
    """It answers, and has this version's tables."""
    async with existing_database(settings) as engine:
        if not await is_current(engine):
            raise FaultError(f"its tables are not those of this version: {INIT}, or `greenroom migrate`")
        return f"{engine.dialect.name} is up to date"


@asynccontextmanager
async def existing_database(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """An engine for one look; a SQLite file that is not there is a fault, and is not made."""
    if not await is_made(settings):
        raise FaultError(f"there is no database yet: {INIT}, or `greenroom migrate`")
    async with opened_database(settings) as engine:
        yield engine


async def look_at_store(settings: Settings) -> str:
    """It can be written to."""
    try:
        async with opened_store(settings) as store, asyncio.timeout(STORE_WITHIN_S):
            await store.check()
    except TimeoutError:
        raise FaultError(
            f"the object store does not answer within {STORE_WITHIN_S} s: {STORE_HELP[StoreUnreachable]}"
        ) from None
    except BucketMissing as trouble:
        raise store_fault(trouble) from None
    return "can be written to"


async def look_at_livekit(settings: Settings) -> str:
    """Rooms can be made on it."""
    rooms = LiveKitRooms(LiveKitAccess(**settings.livekit_access))
    try:
        await rooms.check()
    except Unavailable as trouble:
        raise FaultError(f"{trouble}: check GREENROOM_LIVEKIT_URL and that it runs") from None
    except Refused as refusal:
        raise FaultError(f"{refusal}: check GREENROOM_LIVEKIT_API_KEY and GREENROOM_LIVEKIT_API_SECRET") from None
    finally:
        await rooms.aclose()
    return f"rooms can be made; clients are sent to {settings.public_livekit_url}"


async def look_at_worker(environ: Mapping[str, str], queue: str, role: str) -> str:
    """Somebody polls the role's queue."""
    client = await reach(environ)
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
    )
    if not described.pollers:
        raise FaultError(f"nobody works on queue {queue}: start `greenroom worker {role}`")
    return f"{len(described.pollers)} on queue {queue}"


async def look_at_sessions_worker(settings: Settings, environ: Mapping[str, str]) -> str:
    """Somebody polls, and nothing waits for a version that nobody works on."""
    there = await look_at_worker(environ, queues.SESSIONS, "sessions")
    versions = await Deployment(await reach(environ), settings.deployment).versions()
    if not versions:
        return f"{there}, of no version"
    if troubles := stranded(versions):
        raise FaultError(f"{'; '.join(troubles)}; docs/upgrades.md says what helps")
    return f"{there}, new sessions begin on version {' and '.join(one.build_id for one in versions if one.percent)}"


async def look_at_avatar_servers(settings: Settings) -> str:
    """At least one renews, and has slots."""
    async with existing_database(settings) as engine:
        servers = [server for server in await AvatarServers(engine).listed() if server.live]
    if not servers:
        raise FaultError("none is alive: start `greenroom worker avatar`")
    slots, taken = sum(one.slots for one in servers), sum(one.taken for one in servers)
    return f"{len(servers)} alive, {slots - taken} of {slots} slots free"


async def look_at_api(settings: Settings) -> str:
    """It answers, and is ready."""
    async with httpx.AsyncClient(timeout=4) as http:
        try:
            answer = await http.get(f"{settings.public_address}/readyz")
            parts: dict[str, str] = answer.json()["parts"]
        except (httpx.HTTPError, ValueError, KeyError):
            raise FaultError(f"nothing answers at {settings.public_address}: start `greenroom api`") from None
    wrong = [f"{name}: {state}" for name, state in parts.items() if state != "ok"]
    if wrong:
        raise FaultError(f"it is not ready ({'; '.join(wrong)})")
    return f"ready at {settings.public_address}"
