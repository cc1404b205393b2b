"""The only writer of a session's status. Each change and its audit row are one transaction."""

from activities.failures import translated
from contracts import steps
from database.sessions import Sessions


class LifecycleActivities:
    """Admission, start and end of sessions."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    @steps.admit_session.implementation
    async def admit_session(self, value: steps.AdmitSessionInput) -> steps.AdmitSessionResult:
        """Reserve what the session needs of its account, before any work is done for it."""
        with translated():
            admitted = await self._sessions.admit(
                session_id=value.session_id,
                account_id=value.account_id,
                avatar_id=value.avatar_id,
                aspect_ratio=value.aspect_ratio,
                metadata=value.metadata,
                remaining_seconds=value.remaining_seconds,
                picture=value.picture,
                duplicate_key=value.duplicate_key,
                key_id=value.key_id,
            )
        return steps.AdmitSessionResult(
            concurrency=admitted.concurrency.current,
            max_concurrency=admitted.concurrency.max,
            minutes_left=admitted.minutes_left,
            covered_s=None if admitted.reserved_minutes is None else admitted.reserved_minutes * 60.0,
        )

    @steps.record_avatar.implementation
    async def record_avatar(self, value: steps.RecordAvatarInput) -> steps.Done:
        """Write which avatar the session shows, and keep it from being deleted."""
        with translated():
            await self._sessions.show(value.session_id, value.avatar_id)
        return steps.Done()

    @steps.record_started.implementation
    async def record_started(self, value: steps.RecordStartedInput) -> steps.RecordStartedResult:
        """Commit the start, unless the create's deadline has passed or its lease is gone."""
        with translated():
            started = await self._sessions.start(
                session_id=value.session_id,
                generation=value.generation,
                plan_seconds=value.plan_seconds,
                enforced_seconds=value.enforced_seconds,
            )
        return steps.RecordStartedResult(
            started_at=started.started_at, expires_at=started.expires_at, enforced_end=started.enforced_end
        )

    @steps.record_moved.implementation
    async def record_moved(self, value: steps.RecordMovedInput) -> steps.Done:
        """Write into the audit trail that another generation shows the avatar, and why."""
        with translated():
            await self._sessions.move(session_id=value.session_id, generation=value.generation, cause=value.cause)
        return steps.Done()

    @steps.record_ended.implementation
    async def record_ended(self, value: steps.RecordEndedInput) -> steps.RecordEndedResult:
        """Commit the end, which releases the place and revokes the lease; the first reason stays."""
        with translated():
            ended = await self._sessions.end(value.session_id, value.reason, attended=value.attended)
        if ended is None:
            return steps.RecordEndedResult(reason=value.reason, ended_at=None)
        return steps.RecordEndedResult(reason=ended.reason, ended_at=ended.ended_at)
