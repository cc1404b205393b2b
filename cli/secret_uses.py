"""Which of the server's keys are in use, by whom, and when an old one may go; no key leaves this module."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from adapters.sealing import CannotOpen, Sealer
from cli.doctor import FaultError
from cli.doctor_temporal import namespace_of, reach, refusal
from cli.store_faults import opened_database
from contracts.session_workflow import CreateSessionInput
from database.key_uses import KeyUses
from database.migrations import is_current
from domain.plans import HARD_CAP
from domain.webhooks import SECRET_FIELD
from runtime.payload_codec import CannotDecrypt, key_ids
from runtime.settings import Settings, load_settings, parse_keys, payload_keys

RUNNING = 'ExecutionStatus = "Running"'
AT_ONCE = 16
"""Histories that are read at the same time."""
ADDRESSES_HOLD = timedelta(minutes=75)
"""How long an address of a picture can be used."""


@dataclass(frozen=True, kw_only=True)
class KeyUse:
    """One key, and what depends on it."""

    kind: str
    """`server`, `sealing`, `webhook` or `payload`."""
    key_id: str
    place: int | None
    """0 for the one that signs, seals or encrypts; None for one that the settings do not have."""
    uses: tuple[str, ...] = ()
    until: datetime | None = None
    """When the last of these is over at the latest, where that is known."""
    after: timedelta = timedelta()
    """For how long besides what was made with it counts, from when the last process stopped to put it first."""

    @property
    def is_missing(self) -> bool:
        """Does something need a key that is not there?"""
        return self.place is None and bool(self.uses)

    @property
    def may_go(self) -> bool:
        """Is it an old key on which nothing depends that can be counted?"""
        return bool(self.place) and not self.uses


@dataclass(frozen=True, kw_only=True)
class Histories:
    """What running workflows were begun with."""

    sealed: Counter[str]
    """Sessions by the key of their room's token."""
    encrypted: Counter[str]
    """Workflows by the key of their input's payload."""
    unreadable: int
    """Sessions whose input is encrypted with a key that is not known here."""
    retention: timedelta


async def key_uses(environ: Mapping[str, str]) -> list[KeyUse]:
    """Every key of the settings, and every other that something depends on. FaultError where somebody is away."""
    settings = load_settings(environ)
    async with _opened(settings) as uses:
        histories = await _histories(await reach(environ))
        server = list(_ids(settings.server_keys, "SERVER"))
        webhooks = await uses.webhooks()
        return [
            *[await _server(uses, key_id, place, frozenset(server)) for place, key_id in enumerate(server)],
            *await _foreign(uses, frozenset(server)),
            *_sealing(list(_ids(settings.sealing_keys, "SEALING")), histories),
            *_counted("webhook", list(_ids(settings.webhook_keys, "WEBHOOK")), webhooks, "webhook secrets"),
            *_payload(list(payload_keys(environ)), histories),
        ]


async def reseal(environ: Mapping[str, str]) -> int:
    """Seal every webhook's secret with the newest key; how many were not. FaultError where one cannot be opened."""
    settings = load_settings(environ)
    keys = parse_keys(settings.webhook_keys, "GREENROOM_WEBHOOK_KEYS")
    sealer = Sealer(keys)

    def anew(endpoint_id: str, sealed: str) -> str:
        try:
            secret = sealer.open(sealed, session_id=endpoint_id, field=SECRET_FIELD)
        except CannotOpen as error:
            raise FaultError(f"the secret of {endpoint_id} cannot be opened: {error}") from None
        return sealer.seal(secret, session_id=endpoint_id, field=SECRET_FIELD)

    async with _opened(settings) as uses:
        return await uses.reseal_webhooks(anew, next(iter(keys)))


def _ids(text: str, name: str) -> Mapping[str, bytes]:
    return parse_keys(text, f"GREENROOM_{name}_KEYS") if text else {}


async def _server(uses: KeyUses, key_id: str, place: int, every: frozenset[str]) -> KeyUse:
    living = await uses.sessions(every - {key_id})
    kept = await uses.bodies(key_id)
    found = {"tokens of sessions that have not ended": living.number, "creates that are remembered": kept.number}
    ends = [living.last + HARD_CAP] if living.last else []
    ends += [kept.last] if kept.last else []
    return KeyUse(
        kind="server",
        key_id=key_id,
        place=place,
        uses=_said(found),
        until=max(ends, default=None),
        after=ADDRESSES_HOLD,
    )


async def _foreign(uses: KeyUses, every: frozenset[str]) -> list[KeyUse]:
    """What is remembered by a key that was removed too early."""
    number = await uses.foreign_bodies(every) if every else 0
    found = _said({"creates that are remembered": number})
    return [KeyUse(kind="server", key_id="(removed)", place=None, uses=found)] if found else []


def _sealing(ids: list[str], histories: Histories) -> list[KeyUse]:
    found = _counted("sealing", ids, histories.sealed, "running sessions' room tokens")
    if not histories.unreadable:
        return found
    text = f"running sessions that cannot be read here: {histories.unreadable}"
    return [KeyUse(kind=one.kind, key_id=one.key_id, place=one.place, uses=(*one.uses, text)) for one in found]


def _payload(ids: list[str], histories: Histories) -> list[KeyUse]:
    found = _counted("payload", ids, histories.encrypted, "running workflows")
    return [
        KeyUse(kind=one.kind, key_id=one.key_id, place=one.place, uses=one.uses, after=histories.retention)
        for one in found
    ]


def _counted(kind: str, ids: list[str], counts: Counter[str], what: str) -> list[KeyUse]:
    """The keys of one set, and those that only the counts know."""
    places = {key_id: place for place, key_id in enumerate(ids)}
    others = sorted(counts.keys() - places.keys())
    return [
        KeyUse(kind=kind, key_id=key_id, place=places.get(key_id), uses=_said({what: counts[key_id]}))
        for key_id in [*ids, *others]
    ]


def _said(found: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(f"{what}: {number}" for what, number in found.items() if number)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[KeyUses]:
    async with opened_database(settings) as engine:
        if not await is_current(engine):
            raise FaultError("the database's tables are not those of this version: run `greenroom init`")
        yield KeyUses(engine)


async def _histories(client: Client) -> Histories:
    """The first event of every running workflow: one call each."""
    try:
        described = await namespace_of(client)
        if described is None:
            raise FaultError(f"Temporal has no namespace {client.namespace}")
        gate = asyncio.Semaphore(AT_ONCE)
        looks = [_look(client, one.id, one.run_id, gate) async for one in client.list_workflows(RUNNING)]
        seen = await asyncio.gather(*looks)
    except RPCError as error:
        raise FaultError(f"Temporal: {refusal(error)}") from None
    return Histories(
        sealed=Counter(key_id for sealed, _ in seen for key_id in sealed if key_id),
        encrypted=Counter(key_id for _, encrypted in seen for key_id in encrypted),
        unreadable=sum("" in sealed for sealed, _ in seen),
        retention=described.config.workflow_execution_retention_ttl.ToTimedelta(),
    )


async def _look(client: Client, workflow_id: str, run_id: str, gate: asyncio.Semaphore) -> tuple[set[str], set[str]]:
    """The key of a session's room token ("" where it cannot be read), and those of a workflow's input."""
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    async with gate:
        try:
            first = await anext(aiter(handle.fetch_history_events(page_size=1)))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:  # deleted meanwhile
                return set(), set()
            raise
    started = first.workflow_execution_started_event_attributes
    payloads = list(started.input.payloads)
    if started.workflow_type.name != "CreateSessionWorkflow":
        return set(), key_ids(payloads)
    return {await _sealed_with(client, payloads)}, key_ids(payloads)


async def _sealed_with(client: Client, payloads: list[Payload]) -> str:
    try:
        (value,) = await client.data_converter.decode(payloads, [CreateSessionInput])
    except (CannotDecrypt, KeyError):  # with other keys, and with none at all
        return ""
    return str(value.room.sealed_token.partition(".")[0])


def sentence(one: KeyUse) -> str:
    """What may be done about a key."""
    if one.place is None:
        return f"is missing here, and needed: {'; '.join(one.uses)}"
    uses = "; ".join(one.uses) or "nothing that can be counted"
    if one.place == 0:
        return f"is the newest; {uses}"
    if one.uses:
        until = f", until {one.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC at the latest" if one.until else ""
        return f"is needed: {uses}{until}"
    if one.after:
        length = f"{one.after.total_seconds() / 3600:g} h"
        return f"may go {length} after the last process was restarted with another one in front"
    return "may go"
