"""The avatar role: one boot of an avatar server, its media processes, and the steps on its own queue."""

import socket
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

from temporalio.client import Client
from ulid import ULID

from activities.rooms import RoomActivities, VideoSettings
from adapters.object_cache import ObjectCache
from adapters.object_store import ObjectStore
from adapters.relay_tokens import RelayTokens
from adapters.sealing import Sealer
from contracts.queues import avatar_queue
from database.avatar_servers import AvatarServers
from database.engine import open_engine
from database.leases import Leases
from domain.labels import parse_labels
from presence.processes.limits import ProcessLimits, raise_open_files
from presence.processes.pool import MediaPool
from presence.processes.seats import Seats
from runtime.settings import Settings, parse_keys
from runtime.version import software_version
from telemetry.about import describe_process
from worker.assembly import Opened
from worker.renderer_host import renderer_ready
from worker.renewal import Boot, Relay, Renewal

STEPS_BESIDE = 10


def steps_at_once(slots: int) -> int:
    """A stay for each slot, beside each the join of whoever comes next or the last words of whoever moves away."""
    return STEPS_BESIDE + 2 * slots


async def open_role(settings: Settings, environ: Mapping[str, str], client: Client, stack: AsyncExitStack) -> Opened:
    """Register under a new boot id; the renewal runs beside the worker, and its failure ends the process."""
    engine = open_engine(settings.database_address)
    stack.push_async_callback(engine.dispose)
    store = ObjectStore(settings.storage_address, **settings.storage_access)
    stack.push_async_callback(store.aclose)
    raise_open_files()
    limits = ProcessLimits(memory_mb=settings.session_memory_mb, open_files=settings.session_open_files)
    told = await stack.enter_async_context(renderer_ready(settings, environ))
    pool = MediaPool(
        environ=environ, spares=settings.avatar_spares, python=sys.executable, limits=limits, settings=told
    )
    stack.push_async_callback(pool.aclose)
    await pool.start()
    seats = Seats(pool)
    boot_id = str(ULID()).lower()
    describe_process(boot_id=boot_id)
    # In containers each replica's host name is its own.
    name = settings.avatar_name or socket.gethostname()
    version = settings.avatar_version or software_version()
    queue = avatar_queue(boot_id)
    labels = parse_labels(settings.server_labels)
    boot = Boot(boot_id=boot_id, name=name, queue=queue, slots=settings.avatar_slots, version=version, labels=labels)
    sealing = parse_keys(settings.sealing_keys, "GREENROOM_SEALING_KEYS")
    relay = Relay(tokens=RelayTokens(sealing), lost_after_s=settings.control_lost_s)
    renewal = Renewal(boot, AvatarServers(engine), seats, relay, Leases(engine).farewell)
    rooms = RoomActivities(
        client=client,
        leases=Leases(engine),
        sealer=Sealer(sealing),
        pictures=ObjectCache(store, settings.data_path / "pictures"),
        seats=seats,
        video=VideoSettings(
            fps=settings.video_fps,
            idle_fps=settings.video_idle_fps,
            codec=settings.video_codec,
            bitrate=settings.video_bitrate,
            size=settings.video_size,
            simulcast=settings.video_simulcast,
            frame_marker=settings.frame_marker,
            renderer=settings.renderer,
            av_offset_ms=settings.av_offset_ms,
        ),
        silent_s=lambda: renewal.silent_s,
    )
    stack.push_async_callback(renewal.close)

    async def serve() -> None:
        try:
            await renewal.register()
            await renewal.run()
        finally:
            # Before the worker stops, which is what tells the workflows that their avatars go.
            await renewal.retire()

    return Opened(queue=boot.queue, activities=(rooms,), until_stopped=serve, steps_at_once=steps_at_once(boot.slots))
