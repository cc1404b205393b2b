"""Stand-ins for every step, registered by name: what a workflow asks for is recorded, and a script may say no.

Each workflow has its own script, found by workflow id, so that one set of workers serves all tests.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from contracts import queues, steps
from contracts.erasing import (
    CloseAccountInput,
    CloseAccountResult,
    EraseInput,
    EraseResult,
    LookForWorkInput,
    LookForWorkResult,
)
from contracts.operations import (
    EndSelectedInput,
    FindSessionsInput,
    FindSessionsResult,
    MoveSessionsInput,
    ServedSession,
    SessionsDealtWith,
    TakeOutInput,
    TakeOutResult,
)
from contracts.portraits import AvatarRef, FaceMeasures, StoredBank, StoredObject, StoredPortrait
from contracts.steps import Step
from domain.avatars import AspectRatio
from domain.failures import FailureCode
from worker.registry import ROLES
from worker.sandbox import SANDBOX

BOOT = "standin"
EVERY_STEP: list[Step[Any, Any]] = [value for value in vars(steps).values() if isinstance(value, Step)]
MEASURES = FaceMeasures(faces=1, score=0.9, share=0.4, unit=120, roll=0, yaw=0, pitch=0.5, blur=0.3)

Handler = Callable[[Any], Awaitable[Any]]


def stored(key: str) -> StoredObject:
    """A reference to an object that nobody reads."""
    return StoredObject(key=key, sha256="0" * 64, size=1000)


EVERY_PROFILE = (*AspectRatio, "preview")


def portraits(prefix: str, profiles: Sequence[str] = EVERY_PROFILE) -> tuple[StoredPortrait, ...]:
    """A portrait for each profile."""
    return tuple(
        StoredPortrait(profile=profile, object=stored(f"{prefix}/{profile}"), width=4, height=3, keypoints=())
        for profile in profiles
    )


@dataclass(kw_only=True)
class Script:
    """How the steps of one workflow behave, and what they were asked."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    refusals: dict[str, FailureCode] = field(default_factory=dict)
    handlers: dict[str, Handler] = field(default_factory=dict)
    renewals: int = 0
    """What the lease shows; it grows with each look while the server is alive."""
    server_alive: bool = True
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    leave_reason: str = "removed"
    left: bool = False
    """Was the avatar told to leave?"""
    known_as: str | None = None
    """The avatar that the picture was recognised as."""
    boot_id: str = BOOT
    """What the next lease says of its server; the steps run on the same queue whatever it is."""
    twin: str | None = None
    """The avatar that was registered of the same picture meanwhile."""
    plan_seconds: float | None = None
    enforced_seconds: float = 3600
    chosen: list[str] = field(default_factory=list)
    """Sessions that an operator's verb finds, by id."""
    dealt_with: list[str] = field(default_factory=list)
    """Those that it has ended or moved, in order."""
    stubborn: set[str] = field(default_factory=set)
    """Those that it cannot deal with the first time."""
    slices: list[float] = field(default_factory=list)
    """Seconds that each reservation of minutes pays for, the first with the admission; none: without a limit."""

    def deal_with(self, session_ids: Sequence[str]) -> SessionsDealtWith:
        """End or move sessions; the stubborn ones the next time."""
        done = [one for one in session_ids if one not in self.stubborn]
        self.stubborn -= set(session_ids)
        self.dealt_with += done
        lines = tuple(f"{one} {'is done' if one in done else 'is stubborn'}" for one in session_ids)
        return SessionsDealtWith(done=len(done), troubles=len(session_ids) - len(done), lines=lines)

    @property
    def names(self) -> list[str]:
        """The steps that were asked for, in order."""
        return [name for name, _ in self.calls]

    def asked(self, step: Step[Any, Any]) -> list[Any]:
        """What a step was asked, each time."""
        return [value for name, value in self.calls if name == step.name]


def joined(value: steps.JoinRoomInput) -> steps.JoinRoomResult:
    """An avatar that is in the room."""
    return steps.JoinRoomResult(
        participant_identity="avatar",
        participant_sid="PA_1",
        room_name="room",
        video_track_sid="TR_1",
        width=value.portrait.width,
        height=value.portrait.height,
        publish_ms=100,
    )


class StandInSteps:
    """Every step, done by the script of the workflow that asks."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}

    def script(self, workflow_id: str, **how: Any) -> Script:
        """A new script for a workflow."""
        self.scripts[workflow_id] = Script(**how)
        return self.scripts[workflow_id]

    def activities(self) -> list[Callable[..., Any]]:
        """One activity a step."""
        return [self._activity(step) for step in EVERY_STEP]

    def _activity(self, step: Step[Any, Any]) -> Callable[..., Any]:
        async def run(value: Any) -> Any:
            script = self.scripts[activity.info().workflow_id]
            script.calls.append((step.name, value))
            if code := script.refusals.get(step.name):
                raise ApplicationError("refused by the script", {"measured": 1}, type=code, non_retryable=True)
            handler = script.handlers.get(step.name)
            return await (handler(value) if handler else getattr(self, f"_{step.name}")(script, value))

        run.__annotations__ = {"value": step.takes, "return": step.gives}
        return activity.defn(name=step.name)(run)

    async def _fetch_image(self, _: Script, value: steps.FetchImageInput) -> steps.FetchImageResult:
        return steps.FetchImageResult(picture=stored(f"{value.staging_prefix}/fetched"))

    async def _recognise_picture(self, script: Script, _: steps.RecognisePictureInput) -> steps.RecognisePictureResult:
        return steps.RecognisePictureResult(avatar_id=script.known_as)

    async def _decode_image(self, _: Script, value: steps.DecodeImageInput) -> steps.DecodeImageResult:
        return steps.DecodeImageResult(
            picture=stored(f"{value.staging_prefix}/decoded"),
            width=512,
            height=512,
            source_format="PNG",
            source_width=512,
            source_height=512,
        )

    async def _align_face(self, _: Script, value: steps.AlignFaceInput) -> steps.AlignFaceResult:
        found = portraits(value.staging_prefix, sorted({AspectRatio.SQUARE, *value.wanted, "preview"}))
        return steps.AlignFaceResult(primary=AspectRatio.SQUARE, portraits=found, measures=MEASURES, told={"faces": 1})

    async def _cut_portraits(self, _: Script, value: steps.CutPortraitsInput) -> steps.CutPortraitsResult:
        return steps.CutPortraitsResult(portraits=portraits(value.staging_prefix, value.profiles))

    async def _add_portraits(self, _: Script, __: steps.AddPortraitsInput) -> steps.Done:
        return steps.Done()

    async def _prepare_banks(self, _: Script, value: steps.PrepareBanksInput) -> steps.PrepareBanksResult:
        bank = StoredBank(
            renderer="warp", version="1", width=4, height=3, object=stored(f"avatars/{value.avatar_id}/bank")
        )
        return steps.PrepareBanksResult(portraits=tuple(one.with_bank(bank) for one in value.portraits))

    async def _keep_banks(self, _: Script, __: steps.KeepBanksInput) -> steps.Done:
        return steps.Done()

    async def _store_avatar(self, _: Script, value: steps.StoreAvatarInput) -> steps.StoreAvatarResult:
        profiles = [portrait.profile for portrait in value.portraits]
        return steps.StoreAvatarResult(portraits=portraits(f"avatars/{value.avatar_id}", profiles))

    async def _register_avatar(self, script: Script, _: steps.RegisterAvatarInput) -> steps.RegisterAvatarResult:
        return steps.RegisterAvatarResult(avatar_id=script.twin)

    async def _forget_avatar(self, _: Script, __: steps.ForgetAvatarInput) -> steps.Done:
        return steps.Done()

    async def _discard_staged(self, _: Script, __: steps.DiscardStagedInput) -> steps.Done:
        return steps.Done()

    async def _resolve_avatar(self, _: Script, value: steps.ResolveAvatarInput) -> AvatarRef:
        return AvatarRef(
            avatar_id=value.avatar_id, primary=AspectRatio.SQUARE, portraits=portraits(f"avatars/{value.avatar_id}")
        )

    async def _calculate_expiry(self, script: Script, _: Any) -> steps.CalculateExpiryResult:
        return steps.CalculateExpiryResult(
            plan="self_hosted", plan_seconds=script.plan_seconds, enforced_seconds=script.enforced_seconds
        )

    async def _admit_session(self, script: Script, __: steps.AdmitSessionInput) -> steps.AdmitSessionResult:
        covered_s = script.slices.pop(0) if script.slices else None
        return steps.AdmitSessionResult(concurrency=1, max_concurrency=5, covered_s=covered_s)

    async def _record_attended(self, _: Script, __: steps.RecordAttendedInput) -> steps.Done:
        return steps.Done()

    async def _reserve_minutes(self, script: Script, value: steps.ReserveMinutesInput) -> steps.ReserveMinutesResult:
        slice_s = script.slices.pop(0) if script.slices else 0
        return steps.ReserveMinutesResult(covered_s=value.covered_s + slice_s)

    async def _reserve_picture(self, _: Script, __: steps.ReservePictureInput) -> steps.Done:
        return steps.Done()

    async def _record_avatar(self, _: Script, __: steps.RecordAvatarInput) -> steps.Done:
        return steps.Done()

    async def _lease_server(self, script: Script, __: steps.LeaseServerInput) -> steps.LeaseServerResult:
        return steps.LeaseServerResult(boot_id=script.boot_id, server="stand-in-1", queue=queues.avatar_queue(BOOT))

    async def _look_at_lease(self, script: Script, _: steps.LookAtLeaseInput) -> steps.LookAtLeaseResult:
        script.renewals += script.server_alive
        return steps.LookAtLeaseResult(held=True, renewals=script.renewals)

    async def _make_room(self, _: Script, __: steps.MakeRoomInput) -> steps.Done:
        return steps.Done()

    async def _delete_room(self, _: Script, __: steps.DeleteRoomInput) -> steps.Done:
        return steps.Done()

    async def _join_room(self, _: Script, value: steps.JoinRoomInput) -> steps.JoinRoomResult:
        return joined(value)

    async def _await_quiet(self, _: Script, __: steps.AwaitQuietInput) -> steps.AwaitQuietResult:
        return steps.AwaitQuietResult(quiet=True)

    async def _stay_in_room(self, script: Script, _: steps.StayInRoomInput) -> steps.StayInRoomResult:
        try:
            while not script.leave.is_set():
                activity.heartbeat(0)
                await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            script.left = True
            return steps.StayInRoomResult(reason="left", served_ms=0)
        return steps.StayInRoomResult(reason=script.leave_reason, served_ms=0)

    async def _record_started(self, _: Script, value: steps.RecordStartedInput) -> steps.RecordStartedResult:
        now = datetime.now(UTC)
        plan = None if value.plan_seconds is None else now + timedelta(seconds=value.plan_seconds)
        return steps.RecordStartedResult(
            started_at=now, expires_at=plan, enforced_end=now + timedelta(seconds=value.enforced_seconds)
        )

    async def _record_extended(self, script: Script, value: steps.RecordExtendedInput) -> steps.RecordStartedResult:
        script.enforced_seconds += value.seconds
        if script.plan_seconds is not None:
            script.plan_seconds += value.seconds
        return await self._record_started(
            script,
            steps.RecordStartedInput(
                session_id=value.session_id,
                generation=1,
                plan_seconds=script.plan_seconds,
                enforced_seconds=script.enforced_seconds,
            ),
        )

    async def _record_moved(self, _: Script, __: steps.RecordMovedInput) -> steps.Done:
        return steps.Done()

    async def _record_ended(self, script: Script, value: steps.RecordEndedInput) -> steps.RecordEndedResult:
        first = script.asked(steps.record_ended)[0]
        return steps.RecordEndedResult(reason=first.reason, ended_at=datetime.now(UTC))

    async def _deliver_webhook(self, _: Script, __: steps.DeliverWebhookInput) -> steps.DeliverWebhookResult:
        return steps.DeliverWebhookResult(status=200)

    async def _give_up_webhook(self, _: Script, __: steps.GiveUpWebhookInput) -> steps.Done:
        return steps.Done()

    async def _end_orphans(self, _: Script, __: steps.LookForLeftovers) -> steps.EndOrphansResult:
        return steps.EndOrphansResult(looked=3, ended=("sess_1",), number=1)

    async def _release_leftovers(self, _: Script, __: steps.LookForLeftovers) -> steps.MendedResult:
        return steps.MendedResult(number=2)

    async def _discard_leftovers(self, _: Script, __: steps.LookForLeftovers) -> steps.MendedResult:
        return steps.MendedResult(number=4)

    async def _take_out(self, script: Script, value: TakeOutInput) -> TakeOutResult:
        left = [one for one in script.chosen if one not in script.dealt_with]
        page = tuple(ServedSession(session_id=one, boot_id=BOOT) for one in left if one > value.after)
        return TakeOutResult(servers=1, sessions=page[: value.at_most], number=len(left))

    async def _move_sessions(self, script: Script, value: MoveSessionsInput) -> SessionsDealtWith:
        return script.deal_with([one.session_id for one in value.sessions])

    async def _find_sessions(self, script: Script, value: FindSessionsInput) -> FindSessionsResult:
        left = [one for one in script.chosen if one not in script.dealt_with and one > value.after]
        page = left[: value.at_most]
        return FindSessionsResult(session_ids=tuple(page), last=page[-1] if len(left) > len(page) else "")

    async def _close_account(self, _: Script, value: CloseAccountInput) -> CloseAccountResult:
        return CloseAccountResult(receipt_id=value.receipt_id)

    async def _look_for_work(self, script: Script, _: LookForWorkInput) -> LookForWorkResult:
        return LookForWorkResult(number=1 if script.names.count("look_for_work") == 1 else 0)

    async def _erase_objects(self, script: Script, _: EraseInput) -> EraseResult:
        return EraseResult(number=20 if script.names.count("erase_objects") == 1 else 0)

    async def _erase_rows(self, script: Script, _: EraseInput) -> EraseResult:
        return EraseResult(number=200 if script.names.count("erase_rows") == 1 else 0)

    async def _end_selected(self, script: Script, value: EndSelectedInput) -> SessionsDealtWith:
        return script.deal_with(value.session_ids)


@pytest.fixture(scope="session")
async def stand_ins(temporal: Client) -> AsyncIterator[StandInSteps]:
    """Workers on the three queues, whose steps follow scripts."""
    async with standing_in(temporal) as stand_ins:
        yield stand_ins


@asynccontextmanager
async def standing_in(client: Client) -> AsyncIterator[StandInSteps]:
    """Workers on the three queues of a server, whose steps follow scripts."""
    stand_ins = StandInSteps()
    activities = stand_ins.activities()
    async with AsyncExitStack() as stack:
        for queue in (queues.SESSIONS, queues.FACES, queues.avatar_queue(BOOT)):
            worker = Worker(
                client,
                task_queue=queue,
                workflows=ROLES["sessions"].workflow_types() if queue == queues.SESSIONS else [],
                activities=activities,
                workflow_runner=SANDBOX,
                max_heartbeat_throttle_interval=timedelta(milliseconds=200),
            )
            await stack.enter_async_context(worker)
        yield stand_ins
