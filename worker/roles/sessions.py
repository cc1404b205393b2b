"""The sessions role: workflows, and the steps next to the database and the object store."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from temporalio.client import Client

from activities.avatars import AvatarActivities
from activities.extensions import ExtensionActivities
from activities.leases import LeaseActivities
from activities.leftovers import LeftoverActivities
from activities.lifecycle import LifecycleActivities
from activities.managed_rooms import ManagedRoomActivities
from activities.plans import PlanActivities
from adapters.livekit_rooms import LiveKitAccess, LiveKitRooms
from adapters.object_store import ObjectStore
from contracts import queues
from database.accounts import Accounts
from database.avatars import Avatars
from database.engine import open_engine
from database.extensions import Extensions
from database.leases import Leases
from database.leftovers import Leftovers
from database.sessions import Sessions
from runtime.settings import Settings
from worker.assembly import Opened
from worker.reconciling import keep_schedule
from worker.step_runs import StepRuns


async def open_role(settings: Settings, _: Mapping[str, str], client: Client, stack: AsyncExitStack) -> Opened:
    """One engine for all stores of rows, and one store of objects."""
    engine = open_engine(settings.database_address)
    stack.push_async_callback(engine.dispose)
    store = ObjectStore(settings.storage_address, **settings.storage_access)
    stack.push_async_callback(store.aclose)

    async def reconcile() -> None:
        await keep_schedule(client)
        await asyncio.Event().wait()  # a return would stop the worker

    rooms = _livekit_rooms(settings)
    if rooms is not None:
        stack.push_async_callback(rooms.aclose)
    return Opened(
        queue=queues.SESSIONS,
        until_stopped=reconcile,
        activities=(
            AvatarActivities(Avatars(engine), store, keep_originals=settings.keep_originals),
            ExtensionActivities(Extensions(engine)),
            LeaseActivities(Leases(engine)),
            LifecycleActivities(Sessions(engine)),
            ManagedRoomActivities(rooms),
            PlanActivities(Accounts(engine)),
            LeftoverActivities(Leftovers(engine), Sessions(engine), store, client),
        ),
        interceptors=(StepRuns(),),
    )


def _livekit_rooms(settings: Settings) -> LiveKitRooms | None:
    """The operator's own LiveKit server, if one is set."""
    if not settings.livekit_url:
        return None
    key, secret = settings.livekit_api_key, settings.livekit_api_secret
    return LiveKitRooms(LiveKitAccess(url=settings.livekit_url, api_key=key, api_secret=secret))
