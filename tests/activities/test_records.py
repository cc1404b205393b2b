"""Plans, leases and the session's record on a real database: thin steps, and refusals that Temporal understands."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.leases import LeaseActivities
from activities.lifecycle import LifecycleActivities
from activities.plans import PlanActivities
from activities.server_watch import ServerWatch
from contracts import steps
from database.engine import open_engine
from database.sessions import Sessions
from domain.avatars import AspectRatio
from domain.session import SessionStatus
from support.databases import Database


@pytest.fixture
def lifecycle(database: Database) -> LifecycleActivities:
    """The only writer of statuses."""
    return LifecycleActivities(database.sessions)


@pytest.fixture
def leases(database: Database) -> LeaseActivities:
    """The slots."""
    return LeaseActivities(database.leases, ServerWatch(database.servers.renewals))


async def admission(database: Database, session_id: str, **changes: object) -> steps.AdmitSessionInput:
    """A session that asks for a place."""
    usual = {
        "account_id": changes.pop("account_id", None) or await database.account(places=2),
        "avatar_id": await database.avatar(),
        "aspect_ratio": AspectRatio.PORTRAIT,
        "metadata": {"call": 7},
        "remaining_seconds": 30.0,
    }
    return steps.AdmitSessionInput(session_id=session_id, **(usual | changes))  # type: ignore[arg-type]


async def refusal(call: object) -> ApplicationError:
    """How a step is refused."""
    with pytest.raises(ApplicationError) as caught:
        await call  # type: ignore[misc]
    return caught.value


@pytest.mark.parametrize(("seconds", "told", "enforced"), [(None, None, 86_400), (600, 600, 600)])
async def test_the_plans_expiry_is_the_accounts(
    database: Database, seconds: int | None, told: float | None, enforced: float
) -> None:
    """What the client is told and what is enforced."""
    account_id = await database.account(places=3, seconds=seconds)
    found = await PlanActivities(database.accounts).calculate_expiry(steps.CalculateExpiryInput(account_id=account_id))
    assert (found.plan, found.plan_seconds, found.enforced_seconds) == (f"plan-3-{seconds}", told, enforced)


async def test_a_session_is_admitted_started_and_ended(
    database: Database, lifecycle: LifecycleActivities, leases: LeaseActivities
) -> None:
    """Each answer is what was committed, and a repeat answers the same."""
    await database.server()
    asked = await admission(database, "sess_1")
    for _ in range(2):
        admitted = await lifecycle.admit_session(asked)
        assert (admitted.concurrency, admitted.max_concurrency) == (1, 2)
    lease = [await leases.lease_server(steps.LeaseServerInput(session_id="sess_1", generation=1)) for _ in range(2)]
    assert lease[0] == lease[1]
    assert lease[0].queue == f"avatar-{lease[0].boot_id}"
    start = steps.RecordStartedInput(session_id="sess_1", generation=1, plan_seconds=60, enforced_seconds=90)
    started = [await lifecycle.record_started(start) for _ in range(2)]
    assert started[0] == started[1]
    assert started[0].expires_at == started[0].started_at + timedelta(seconds=60)
    assert started[0].enforced_end == started[0].started_at + timedelta(seconds=90)
    session = await database.sessions.get("sess_1")
    assert session is not None
    assert (session.status, session.metadata, session.aspect_ratio) == (SessionStatus.STARTED, {"call": 7}, "3:4")
    first = await lifecycle.record_ended(steps.RecordEndedInput(session_id="sess_1", reason="expired"))
    again = await lifecycle.record_ended(steps.RecordEndedInput(session_id="sess_1", reason="terminated"))
    assert first == again
    assert (first.reason, first.ended_at is not None) == ("expired", True)
    assert not (await leases.look_at_lease(steps.LookAtLeaseInput(session_id="sess_1", generation=1))).held


async def test_the_end_of_a_session_that_was_never_admitted_is_nothing(lifecycle: LifecycleActivities) -> None:
    """A create that was refused before admission leaves no row: there is no end to record."""
    ended = await lifecycle.record_ended(steps.RecordEndedInput(session_id="sess_nobody", reason="NO_FACE"))
    assert (ended.reason, ended.ended_at) == ("NO_FACE", None)


async def test_a_look_shows_whether_the_lease_is_still_renewed(database: Database, leases: LeaseActivities) -> None:
    """Two looks differ after a renewal; a lease that never was is not held."""
    boot = await database.server()
    (session_id,) = await database.admitted()
    await database.leases.claim(session_id, 1)
    look = steps.LookAtLeaseInput(session_id=session_id, generation=1)
    before = await leases.look_at_lease(look)
    await database.servers.renew(boot, [])
    after = await leases.look_at_lease(look)
    assert (before.held, after.held) == (True, True)
    assert after.renewals == before.renewals + 1
    assert not (await leases.look_at_lease(steps.LookAtLeaseInput(session_id=session_id, generation=2))).held


async def test_a_full_plan_and_full_servers_are_final_answers(
    database: Database, lifecycle: LifecycleActivities, leases: LeaseActivities
) -> None:
    """With the numbers that the client is shown; asking again within the step would not help."""
    account_id = await database.account(places=1)
    await lifecycle.admit_session(await admission(database, "sess_1", account_id=account_id))
    second = await admission(database, "sess_2", account_id=account_id)
    error = await refusal(lifecycle.admit_session(second))
    assert (error.type, error.non_retryable) == ("CONCURRENCY_LIMIT_REACHED", True)
    assert error.details[0]["current"] == error.details[0]["max"] == 1
    error = await refusal(leases.lease_server(steps.LeaseServerInput(session_id="sess_1", generation=1)))
    assert (error.type, error.non_retryable) == ("AT_CAPACITY", True)


async def test_a_start_without_a_lease_or_after_the_deadline_is_refused(
    database: Database, lifecycle: LifecycleActivities
) -> None:
    """The statement that commits the start asks for both itself."""
    await database.server()
    held, late = await database.admitted(2)
    await database.leases.claim(late, 1)
    await database.pass_deadline(late)
    for session_id, code in ((held, "LEASE_REVOKED"), (late, "CREATE_TIMED_OUT")):
        start = steps.RecordStartedInput(session_id=session_id, generation=1, plan_seconds=None, enforced_seconds=9)
        error = await refusal(lifecycle.record_started(start))
        assert (error.type, error.non_retryable) == (code, True)


async def test_a_database_that_is_away_is_worth_another_attempt() -> None:
    """The failure carries a code for the client and nothing of where the database is."""
    engine = open_engine("sqlite+aiosqlite:////proc/nowhere-secret.db")
    error = await refusal(
        LifecycleActivities(Sessions(engine)).record_ended(steps.RecordEndedInput(session_id="s", reason="expired"))
    )
    await engine.dispose()
    assert (error.type, error.non_retryable) == ("TEMPORARILY_UNAVAILABLE", False)
    assert "secret" not in f"{error} {error.details}"
    assert error.__cause__ is None
