"""One create, one session (rules 1 to 5): a repeat finds the session of the first request, or begins a new one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from ulid import ULID

from api.create_counts import IN_TEMPORAL, CreateCount, counted, staged
from api.pictures import discarded_if_unavailable
from api.repeat_keys import repeat_key
from api.services import Services
from api.session_requests import Caller, CheckedCreate, check_create, session_command
from contracts.http import CreateSessionRequest
from contracts.session_workflow import SessionStarted
from database.creates import Found
from domain import ids
from domain.failures import FailureCode, Refused, Unavailable
from domain.plans import Concurrency
from domain.repeats import Course
from domain.session import Session, SessionStatus
from telemetry.about import note


@dataclass(frozen=True, kw_only=True)
class Created:
    """What a create is answered with."""

    session: Session
    concurrency: Concurrency
    """The account's, the session counted."""
    minutes_left: int
    in_made_room: bool
    """The room was made for the session."""


async def created(
    services: Services, caller: Caller, request: CreateSessionRequest, body: bytes, idempotency_key: str | None
) -> Created:
    """The session of a create, and the account's concurrency with it; `body` is the request's plaintext.

    A repeat is answered by the session that it finds. Refused as the workflow says, and as `Creates.claim`.
    """
    with counted() as count:
        return await _created(services, caller, request, body, idempotency_key, count)


async def _created(
    services: Services,
    caller: Caller,
    request: CreateSessionRequest,
    body: bytes,
    idempotency_key: str | None,
    count: CreateCount,
) -> Created:
    wanted, account_id = check_create(services, request), caller.account_id
    made = wanted.room is None
    found = await _found(services, account_id, body, idempotency_key, managed=made)
    note(session_id=found.session_id)
    count.repeated = found.course is not Course.BEGIN
    if found.course is Course.ANSWER:
        return await _as_it_stands(services, found.session_id, made=made)
    started = None
    if found.course is Course.JOIN:
        started = await _joined(services, found.session_id, wanted)
    if started is None:
        takes_over, count.repeated = not idempotency_key, False
        started = await _begun(services, caller, found.session_id, wanted, takes_over=takes_over)
    session = Session(
        session_id=started.session_id,
        account_id=account_id,
        avatar_id=started.avatar_id,
        status=SessionStatus.STARTED,
        aspect_ratio=wanted.aspect_ratio,
        metadata=wanted.metadata,
        created_at=started.started_at,
        started_at=started.started_at,
        expires_at=started.expires_at,
    )
    concurrency = Concurrency(current=started.concurrency, max=started.max_concurrency)
    left = started.minutes_left
    return Created(session=session, concurrency=concurrency, minutes_left=left, in_made_room=made)


async def _found(
    services: Services, account_id: str, body: bytes, idempotency_key: str | None, *, managed: bool
) -> Found:
    """Whose the create is: a new session's, or an earlier request's."""
    session_id = ids.session_id(str(ULID()))
    key = repeat_key(idempotency_key, body, managed=managed)
    if key is None:
        return Found(session_id=session_id, course=Course.BEGIN)
    return await services.creates.claim(
        account_id=account_id,
        repeat_key=key.text,
        keyed=key.keyed,
        body_mac=services.signer.body_mac(body),
        is_same_body=lambda mac: services.signer.is_body_mac(mac, body),
        session_id=session_id,
    )


async def _as_it_stands(services: Services, session_id: str, *, made: bool) -> Created:
    """The session as the database has it: Temporal may have forgotten it long ago."""
    session = await services.sessions.get(session_id)
    if session is None:
        raise Unavailable(f"database: {session_id} came and went")
    now = await services.sessions.admitted(session)
    return Created(session=session, concurrency=now.concurrency, minutes_left=now.minutes_left, in_made_room=made)


async def _joined(services: Services, session_id: str, wanted: CheckedCreate) -> SessionStarted | None:
    """The answer to the request that came first; None where it never came to start the session's workflow.

    Whoever joins gives nothing up when it runs out of time: the session is still the other's.
    """
    settings = services.settings
    within = settings.create_with_picture_within_s if wanted.sent else settings.create_within_s
    try:
        return await services.gateway.join(session_id, within + wanted.wait_up_to.total_seconds())
    except Unavailable:
        raise
    except Refused as refusal:
        await _note(services, session_id, refusal)
        raise


async def _begun(
    services: Services, caller: Caller, session_id: str, wanted: CheckedCreate, *, takes_over: bool
) -> SessionStarted:
    """Start the session's workflow, and wait for its answer."""
    async with _noted(services, session_id):
        command = await session_command(services, caller, session_id, wanted, takes_over=takes_over)
        async with discarded_if_unavailable(services.store, command.picture):
            with staged(IN_TEMPORAL):
                return await services.gateway.create(command)


@asynccontextmanager
async def _noted(services: Services, session_id: str) -> AsyncIterator[None]:
    """Note a refusal for repeats. After one that we gave up, the next request must find no trace of this session."""
    try:
        yield
    except Refused as refusal:
        await _note(services, session_id, refusal)
        raise
    except Exception:
        await _note(services, session_id, Refused(FailureCode.INTERNAL_ERROR, "something went wrong on our side"))
        raise


async def _note(services: Services, session_id: str, refusal: Refused) -> None:
    with suppress(Unavailable):  # the repeat then asks Temporal, or the session's row
        await services.creates.refuse(session_id, refusal)
