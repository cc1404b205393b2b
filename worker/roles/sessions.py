"""The sessions role: workflows, and the steps next to the database and the object store."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

from temporalio.client import Client

from activities.avatars import AvatarActivities
from activities.erasing import EraseActivities
from activities.extensions import ExtensionActivities
from activities.leases import LeaseActivities
from activities.leftovers import LeftoverActivities
from activities.lifecycle import LifecycleActivities
from activities.managed_rooms import ManagedRoomActivities
from activities.minutes import MinuteActivities
from activities.operations import OperationActivities
from activities.plans import PlanActivities
from activities.server_watch import ServerWatch
from activities.webhooks import WebhookActivities
from adapters.livekit_rooms import LiveKitAccess, LiveKitRooms
from adapters.object_store import ObjectStore
from adapters.sealing import Sealer
from adapters.webhook_sender import WebhookSender
from contracts import queues
from contracts.webhook_workflow import DeliverWebhook
from database.account_admin import AccountAdmin
from database.accounts import Accounts
from database.avatar_servers import AvatarServers
from database.avatars import Avatars
from database.engine import open_engine
from database.erasing import Erasing
from database.extensions import Extensions
from database.fleet import Fleet
from database.leases import Leases
from database.leftovers import Leftovers
from database.operations import OperatorReading
from database.outbox import Delivery, Outbox
from database.reservations import Reservations
from database.sessions import Sessions
from runtime.settings import Settings, parse_keys
from worker.assembly import Opened
from worker.fleet_watch import watch_fleet
from worker.outbox import OutboxDispatcher, event_type
from worker.reconciling import keep_schedule
from worker.step_runs import StepRuns


async def open_role(settings: Settings, _: Mapping[str, str], client: Client, stack: AsyncExitStack) -> Opened:
    """One engine for all stores of rows, and one store of objects."""
    engine = open_engine(settings.database_address)
    stack.push_async_callback(engine.dispose)
    store = ObjectStore(settings.storage_address, **settings.storage_access)
    stack.push_async_callback(store.aclose)

    outbox = Outbox(engine)
    dispatcher = OutboxDispatcher(outbox, client, lambda delivery: _order(settings, delivery))
    watch = ServerWatch(AvatarServers(engine).renewals)

    async def beside() -> None:
        # Neither returns before the other: a return would stop the worker.
        shown = [watch_fleet(Fleet(engine))] if settings.metrics_port else []
        await asyncio.gather(keep_schedule(client), dispatcher.run(), watch.run(), *shown)

    rooms = _livekit_rooms(settings)
    if rooms is not None:
        stack.push_async_callback(rooms.aclose)
    sender = WebhookSender(settings.allowed_webhook_hosts)
    stack.callback(sender.close)
    return Opened(
        queue=queues.SESSIONS,
        until_stopped=beside,
        activities=(
            AvatarActivities(Avatars(engine), store, keep_originals=settings.keep_originals),
            ExtensionActivities(Extensions(engine)),
            LeaseActivities(Leases(engine, settings.longest_line), watch),
            LifecycleActivities(Sessions(engine)),
            ManagedRoomActivities(rooms),
            MinuteActivities(Reservations(engine)),
            PlanActivities(Accounts(engine)),
            LeftoverActivities(Leftovers(engine), Sessions(engine), store, client, rooms),
            OperationActivities(OperatorReading(engine), Sessions(engine), client),
            EraseActivities(Erasing(engine), AccountAdmin(engine), store, client),
            WebhookActivities(outbox, _webhook_sealer(settings), sender),
        ),
        interceptors=(StepRuns(),),
        cached_workflows=settings.cached_sessions,
    )


def _order(settings: Settings, delivery: Delivery) -> DeliverWebhook:
    return DeliverWebhook(
        event_id=delivery.event_id,
        endpoint_id=delivery.endpoint_id,
        round=delivery.round,
        type=event_type(delivery.event_id),
        first_pause=timedelta(seconds=settings.webhook_first_pause_s),
        give_up_after=timedelta(seconds=settings.webhook_give_up_s),
    )


def _webhook_sealer(settings: Settings) -> Sealer | None:
    """What opens webhooks' secrets, if there are any."""
    if not settings.webhook_keys:
        return None
    return Sealer(parse_keys(settings.webhook_keys, "GREENROOM_WEBHOOK_KEYS"))


def _livekit_rooms(settings: Settings) -> LiveKitRooms | None:
    """The operator's own LiveKit server, if one is set."""
    access = settings.livekit_access
    return LiveKitRooms(LiveKitAccess(**access)) if access else None
