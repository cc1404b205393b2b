"""Every step that a workflow may ask for: its name on the wire, what goes in, what comes back."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import msgspec
from temporalio import activity

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
    SessionsDealtWith,
    TakeOutInput,
    TakeOutResult,
)
from contracts.portraits import AvatarRef, FaceMeasures, StoredObject, StoredPortrait
from contracts.session_workflow import RoomAddress
from domain.avatars import AspectRatio
from domain.plans import UNLIMITED

In = TypeVar("In")
Out = TypeVar("Out")
Owner = TypeVar("Owner")


@dataclass(frozen=True, slots=True)
class Step(Generic[In, Out]):
    """A typed activity name. Workflows perform it; exactly one method implements it."""

    name: str
    takes: type[In]
    gives: type[Out]

    def implementation(
        self, method: Callable[[Owner, In], Coroutine[Any, Any, Out]]
    ) -> Callable[[Owner, In], Coroutine[Any, Any, Out]]:
        """Mark a method as this step's activity; a type checker compares their types."""
        setattr(method, "step", self)  # noqa: B010 - an attribute that functions do not declare
        return activity.defn(name=self.name)(method)


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a step that has nothing to say."""


# --- pictures -------------------------------------------------------------------------------------------------


class FetchImageInput(msgspec.Struct, frozen=True, kw_only=True):
    """A staged address of a picture."""

    address: StoredObject
    staging_prefix: str


class FetchImageResult(msgspec.Struct, frozen=True, kw_only=True):
    """The picture as its host sent it, staged."""

    picture: StoredObject


class RecognisePictureInput(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that its account may have sent before."""

    account_id: str
    source_sha256: str
    instead_of: str = ""
    """The id under which an avatar was to be made of it: where it is known, that one does not count."""


class ReservePictureInput(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar that an upload is about to make of a picture, against its account's allowance."""

    avatar_id: str
    account_id: str


class RecognisePictureResult(msgspec.Struct, frozen=True, kw_only=True):
    """The avatar that was made of the same picture, if there is one."""

    avatar_id: str | None = None


class DecodeImageInput(msgspec.Struct, frozen=True, kw_only=True):
    """A staged picture, as the client sent it."""

    source: StoredObject
    staging_prefix: str


class DecodeImageResult(msgspec.Struct, frozen=True, kw_only=True):
    """The picture upright, in RGB, at most 2560 pixels on its longer side, staged again."""

    picture: StoredObject
    width: int
    height: int
    source_format: str
    source_width: int
    source_height: int
    stage_ms: dict[str, float] = {}
    """Milliseconds of each stage, without the store: decode."""


class AlignFaceInput(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded picture."""

    picture: StoredObject
    staging_prefix: str
    source_width: int
    """The source's longer side tells how much smaller the decoded picture is; thresholds count source pixels."""
    source_height: int
    wanted: tuple[AspectRatio, ...] = ()
    """Profiles that are needed at once, besides the primary one and the preview."""


class AlignFaceResult(msgspec.Struct, frozen=True, kw_only=True):
    """The portraits that are needed at once, staged, and what was measured."""

    primary: AspectRatio
    portraits: tuple[StoredPortrait, ...]
    measures: FaceMeasures
    told: dict[str, Any] = {}
    """The measures as a refusal would tell them."""
    keypoints: tuple[tuple[float, float], ...] = ()
    """In pixels of the decoded picture: further portraits are cut by them."""
    stage_ms: dict[str, float] = {}
    """Milliseconds of each stage, without the store: load, find, align."""


class CutPortraitsInput(msgspec.Struct, frozen=True, kw_only=True):
    """A decoded picture whose face was found, and the profiles that are still missing."""

    picture: StoredObject
    keypoints: tuple[tuple[float, float], ...]
    profiles: tuple[str, ...]
    staging_prefix: str


class CutPortraitsResult(msgspec.Struct, frozen=True, kw_only=True):
    """The further portraits, staged."""

    portraits: tuple[StoredPortrait, ...]


class StoreAvatarInput(msgspec.Struct, frozen=True, kw_only=True):
    """Staged portraits that are to become an avatar's own."""

    avatar_id: str
    portraits: tuple[StoredPortrait, ...]
    original: StoredObject | None = None
    """The picture as it was sent, staged; kept where the settings say so."""


class StoreAvatarResult(msgspec.Struct, frozen=True, kw_only=True):
    """The portraits in their final place."""

    portraits: tuple[StoredPortrait, ...]


class RegisterAvatarInput(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar whose pictures are stored."""

    avatar: AvatarRef
    account_id: str
    source_sha256: str


class RegisterAvatarResult(msgspec.Struct, frozen=True, kw_only=True):
    """Under which id the picture is known."""

    avatar_id: str | None = None
    """Another avatar's, if its twin was quicker; None means the one that was to be registered."""


class AddPortraitsInput(msgspec.Struct, frozen=True, kw_only=True):
    """Further portraits of a registered avatar, stored."""

    avatar_id: str
    portraits: tuple[StoredPortrait, ...]


class PrepareBanksInput(msgspec.Struct, frozen=True, kw_only=True):
    """The stored portraits of an avatar, which the renderer is to prepare."""

    avatar_id: str
    portraits: tuple[StoredPortrait, ...]


class PrepareBanksResult(msgspec.Struct, frozen=True, kw_only=True):
    """The same portraits, with what was prepared of them, stored."""

    portraits: tuple[StoredPortrait, ...]


class KeepBanksInput(msgspec.Struct, frozen=True, kw_only=True):
    """Portraits of a registered avatar whose banks are stored."""

    avatar_id: str
    portraits: tuple[StoredPortrait, ...]


class ForgetAvatarInput(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar that a failed create or upload may have made: its row and its objects go, unless a session uses it."""

    avatar_id: str


class DiscardStagedInput(msgspec.Struct, frozen=True, kw_only=True):
    """A staging prefix whose create is over."""

    staging_prefix: str


class ResolveAvatarInput(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar that a session wants to show."""

    account_id: str
    avatar_id: str
    aspect_ratio: AspectRatio | None = None
    """The profile that it shows; what runs since before this field asks for none."""


# --- a session's record ----------------------------------------------------------------------------------------


class CalculateExpiryInput(msgspec.Struct, frozen=True, kw_only=True):
    """Whose plan counts."""

    account_id: str


class CalculateExpiryResult(msgspec.Struct, frozen=True, kw_only=True):
    """The session's limits, counted from its start."""

    plan: str
    plan_seconds: float | None
    enforced_seconds: float
    nobody_joined_s: float | None = None
    """This and the two that follow are timers of the account or its plan; None: as the settings say."""
    participants_left_s: float | None = None
    agent_left_s: float | None = None


class AdmitSessionInput(msgspec.Struct, frozen=True, kw_only=True):
    """A session that asks for a place, for minutes, and with a picture for the making of an avatar."""

    session_id: str
    account_id: str
    avatar_id: str
    """With a picture, the id that the new avatar gets."""
    aspect_ratio: AspectRatio
    metadata: dict[str, Any]
    remaining_seconds: float
    """What is left of the create's time; its deadline is the database's time plus this."""
    picture: bool = False
    """The avatar is yet to be made."""
    duplicate_key: str = ""
    """A session that is to be replaced has the same one, and shares its place."""
    key_id: str = ""
    """Of the key that asked for it; empty: a link did."""


class AdmitSessionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was reserved; the account's concurrency counts this session."""

    concurrency: int
    max_concurrency: int
    minutes_left: int = UNLIMITED
    """What the account is shown as left."""
    covered_s: float | None = None
    """For how long from its start the session is paid, in seconds; None: its plan has no limit."""


class RecordAvatarInput(msgspec.Struct, frozen=True, kw_only=True):
    """A session that shows another avatar than it was admitted with: its picture was known."""

    session_id: str
    avatar_id: str


class RecordStartedInput(msgspec.Struct, frozen=True, kw_only=True):
    """A session whose avatar is visible."""

    session_id: str
    generation: int
    plan_seconds: float | None
    enforced_seconds: float


class RecordStartedResult(msgspec.Struct, frozen=True, kw_only=True):
    """The start as it was committed."""

    started_at: datetime
    expires_at: datetime | None
    enforced_end: datetime


class RecordMovedInput(msgspec.Struct, frozen=True, kw_only=True):
    """A running session whose avatar is visible again, by another generation."""

    session_id: str
    generation: int
    cause: str
    """What happened to the generation before: an end reason."""


class RecordExtendedInput(msgspec.Struct, frozen=True, kw_only=True):
    """A running session that is to end later."""

    session_id: str
    number: int
    """The session's how-manieth extension: a repeat of the step finds its own."""
    seconds: float


class RecordAttendedInput(msgspec.Struct, frozen=True, kw_only=True):
    """A running session in whose room somebody has been."""

    session_id: str


class ReserveMinutesInput(msgspec.Struct, frozen=True, kw_only=True):
    """A running session whose minutes end soon."""

    session_id: str
    covered_s: float
    """For how long from its start it is paid."""


class ReserveMinutesResult(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is paid now."""

    covered_s: float | None
    """No more than before where no minutes are left; None: its plan has no limit now."""


class RecordEndedInput(msgspec.Struct, frozen=True, kw_only=True):
    """An end: it releases the place and revokes the lease in the same transaction."""

    session_id: str
    reason: str
    """An end reason, or the failure code of a create that failed."""
    attended: bool = False
    """Somebody has been in the room: only then the session costs something."""


class RecordEndedResult(msgspec.Struct, frozen=True, kw_only=True):
    """The end as it stands; `reason` is the first one that was committed."""

    reason: str
    ended_at: datetime | None
    """None where the session was never admitted: there was nothing to end."""


# --- webhooks ---------------------------------------------------------------------------------------------------


class DeliverWebhookInput(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint. What it says, where to and with which secrets is looked up by the step."""

    event_id: str
    endpoint_id: str
    round: int = 1
    """One more for each time that it was asked for again."""


class DeliverWebhookResult(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver took it."""

    status: int
    """Its HTTP status; 0 where it had taken it before, or is not told any more."""


class GiveUpWebhookInput(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that nobody tries any more."""

    event_id: str
    endpoint_id: str
    round: int
    why: str


# --- leases and the room ----------------------------------------------------------------------------------------


class LeaseServerInput(msgspec.Struct, frozen=True, kw_only=True):
    """Who needs a slot, and under which fencing number."""

    session_id: str
    generation: int
    in_turn: bool = False
    """A create stands behind everybody who waits in line; a session that runs goes before them."""
    wait_seconds: float = 0.0
    """How long a create stays in line if there is no slot for it; 0 for not at all."""
    duplicate_key: str = ""
    """Older sessions with the same one end when a create has its slot."""


class LeaseServerResult(msgspec.Struct, frozen=True, kw_only=True):
    """The slot's server."""

    boot_id: str
    server: str
    queue: str


class LookAtLeaseInput(msgspec.Struct, frozen=True, kw_only=True):
    """A lease whose server may be lost."""

    session_id: str
    generation: int


class LookAtLeaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one look shows."""

    held: bool
    renewals: int
    still: timedelta = timedelta(0)
    """For how long the server has certainly not renewed, though the database took others' renewals; 0: not known."""


class MakeRoomInput(msgspec.Struct, frozen=True, kw_only=True):
    """A room that is to be made on the operator's own LiveKit server."""

    name: str
    empty_seconds: int
    """How long it may stand without anybody but agents, from its making."""
    departure_seconds: int
    """How long it may stand after the last of those who are no agents has left."""


class DeleteRoomInput(msgspec.Struct, frozen=True, kw_only=True):
    """A room that was made, or may have been, and is not needed any more."""

    name: str


class JoinRoomInput(msgspec.Struct, frozen=True, kw_only=True):
    """Which avatar goes into which room."""

    session_id: str
    generation: int
    room: RoomAddress
    portrait: StoredPortrait


class JoinRoomResult(msgspec.Struct, frozen=True, kw_only=True):
    """The avatar's video is published: the SFU has acknowledged it."""

    participant_identity: str
    participant_sid: str
    room_name: str
    video_track_sid: str
    width: int
    height: int
    publish_ms: int
    """From the start of the connect to the acknowledged publication."""


class StayInRoomInput(msgspec.Struct, frozen=True, kw_only=True):
    """A joined session to stay with until it ends."""

    session_id: str
    generation: int
    settle: timedelta = timedelta(seconds=5)
    """Somebody who was gone for less than this is not reported as gone."""


class StayInRoomResult(msgspec.Struct, frozen=True, kw_only=True):
    """Why the avatar left the room by itself, or that it left because it was told to."""

    reason: str
    """An end reason, or `left` after a cancellation."""
    served_ms: int


class AwaitQuietInput(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar that is to move between two utterances."""

    session_id: str
    generation: int
    within: timedelta
    """How long it may go on speaking."""


class AwaitQuietResult(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it has nothing more to say."""

    quiet: bool


# --- what timers cannot see ---------------------------------------------------------------------------------------


class LookForLeftovers(msgspec.Struct, frozen=True, kw_only=True):
    """A look for what nobody looks after any more. It needs nothing to be told."""


class EndOrphansResult(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions that had not ended and whose workflow is gone."""

    looked: int
    ended: tuple[str, ...] = ()
    """Their ids, fifty at most."""
    number: int = 0


class MendedResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many leftovers were cleared away."""

    number: int


fetch_image = Step("fetch_image", FetchImageInput, FetchImageResult)
recognise_picture = Step("recognise_picture", RecognisePictureInput, RecognisePictureResult)
reserve_picture = Step("reserve_picture", ReservePictureInput, Done)
decode_image = Step("decode_image", DecodeImageInput, DecodeImageResult)
align_face = Step("align_face", AlignFaceInput, AlignFaceResult)
cut_portraits = Step("cut_portraits", CutPortraitsInput, CutPortraitsResult)
store_avatar = Step("store_avatar", StoreAvatarInput, StoreAvatarResult)
register_avatar = Step("register_avatar", RegisterAvatarInput, RegisterAvatarResult)
add_portraits = Step("add_portraits", AddPortraitsInput, Done)
prepare_banks = Step("prepare_banks", PrepareBanksInput, PrepareBanksResult)
keep_banks = Step("keep_banks", KeepBanksInput, Done)
forget_avatar = Step("forget_avatar", ForgetAvatarInput, Done)
discard_staged = Step("discard_staged", DiscardStagedInput, Done)
resolve_avatar = Step("resolve_avatar", ResolveAvatarInput, AvatarRef)
calculate_expiry = Step("calculate_expiry", CalculateExpiryInput, CalculateExpiryResult)
admit_session = Step("admit_session", AdmitSessionInput, AdmitSessionResult)
record_avatar = Step("record_avatar", RecordAvatarInput, Done)
record_started = Step("record_started", RecordStartedInput, RecordStartedResult)
record_attended = Step("record_attended", RecordAttendedInput, Done)
reserve_minutes = Step("reserve_minutes", ReserveMinutesInput, ReserveMinutesResult)
record_moved = Step("record_moved", RecordMovedInput, Done)
record_extended = Step("record_extended", RecordExtendedInput, RecordStartedResult)
record_ended = Step("record_ended", RecordEndedInput, RecordEndedResult)
lease_server = Step("lease_server", LeaseServerInput, LeaseServerResult)
look_at_lease = Step("look_at_lease", LookAtLeaseInput, LookAtLeaseResult)
make_room = Step("make_room", MakeRoomInput, Done)
delete_room = Step("delete_room", DeleteRoomInput, Done)
join_room = Step("join_room", JoinRoomInput, JoinRoomResult)
await_quiet = Step("await_quiet", AwaitQuietInput, AwaitQuietResult)
stay_in_room = Step("stay_in_room", StayInRoomInput, StayInRoomResult)
end_orphans = Step("end_orphans", LookForLeftovers, EndOrphansResult)
release_leftovers = Step("release_leftovers", LookForLeftovers, MendedResult)
discard_leftovers = Step("discard_leftovers", LookForLeftovers, MendedResult)
deliver_webhook = Step("deliver_webhook", DeliverWebhookInput, DeliverWebhookResult)
give_up_webhook = Step("give_up_webhook", GiveUpWebhookInput, Done)
take_out = Step("take_out", TakeOutInput, TakeOutResult)
move_sessions = Step("move_sessions", MoveSessionsInput, SessionsDealtWith)
find_sessions = Step("find_sessions", FindSessionsInput, FindSessionsResult)
end_selected = Step("end_selected", EndSelectedInput, SessionsDealtWith)
close_account = Step("close_account", CloseAccountInput, CloseAccountResult)
look_for_work = Step("look_for_work", LookForWorkInput, LookForWorkResult)
erase_objects = Step("erase_objects", EraseInput, EraseResult)
erase_rows = Step("erase_rows", EraseInput, EraseResult)
