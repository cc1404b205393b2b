"""Moving a running session's end."""

from activities.failures import translated
from contracts import steps
from database.extensions import Extensions


class ExtensionActivities:
    """One transaction: both limits, the lease's stop and the audit row."""

    def __init__(self, extensions: Extensions) -> None:
        self._extensions = extensions

    @steps.record_extended.implementation
    async def record_extended(self, value: steps.RecordExtendedInput) -> steps.RecordStartedResult:
        """Commit the later end, unless the session has ended or its plan does not allow it."""
        with translated():
            extended = await self._extensions.extend(value.session_id, value.number, value.seconds)
        return steps.RecordStartedResult(
            started_at=extended.started_at, expires_at=extended.expires_at, enforced_end=extended.enforced_end
        )
