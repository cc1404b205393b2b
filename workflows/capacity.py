"""A create's slot: taken at once, or waited for in line (rule 12). Tries again and again; never a step that sleeps."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.session_workflow import CreateSessionInput
    from domain.failures import FailureCode

BETWEEN_TRIES = timedelta(seconds=2)
FIRST_GENERATION = 1

Try = Callable[[steps.LeaseServerInput, str], Awaitable[steps.LeaseServerResult]]
"""One try, with its summary."""


async def lease_in_turn(command: CreateSessionInput, attempt: Try, stop: Callable[[], bool]) -> steps.LeaseServerResult:
    """The slot that the create gets when it is its turn; AT_CAPACITY after it has waited as long as it asked for.

    Between tries nothing is under way, so that requests are answered at once; once `stop` is true a further try is
    made at once, which its own check of the create's time then refuses.
    """
    until = workflow.now() + command.wait_up_to
    while True:
        left = max(until - workflow.now(), timedelta(0))
        asked = steps.LeaseServerInput(
            session_id=command.session_id,
            generation=FIRST_GENERATION,
            in_turn=True,
            wait_seconds=left.total_seconds(),
            duplicate_key=command.duplicate_key,
        )
        try:
            return await attempt(asked, f"lease an avatar server, generation {FIRST_GENERATION}")
        except ApplicationError as error:
            if error.type != FailureCode.AT_CAPACITY or left <= timedelta(0):
                raise
            with suppress(TimeoutError):
                pause = min(BETWEEN_TRIES, left)
                await workflow.wait_condition(stop, timeout=pause, timeout_summary=f"in line: {_where(error)}")


def _where(error: ApplicationError) -> str:
    """Where the create stands in line, as the last try found it."""
    details = error.details[0] if error.details and isinstance(error.details[0], dict) else {}
    return f"{details.get('ahead', '?')} ahead of it"
