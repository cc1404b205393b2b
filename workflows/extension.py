"""Moving a running session's end: asked for by an update, recorded by one step."""

from dataclasses import replace

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.session_workflow import ExtendSession, SessionExtended
    from domain.session import Life
from workflows.step_options import perform


async def extend(session_id: str, number: int, life: Life, wanted: ExtendSession) -> tuple[Life, SessionExtended]:
    """The life with its later end, and the answer to who asked; the step's refusal where it may not be."""
    recorded = await perform(
        steps.record_extended,
        steps.RecordExtendedInput(session_id=session_id, number=number, seconds=wanted.seconds),
        summary=f"record that the session lasts {wanted.seconds:g} s longer",
    )
    answer = SessionExtended(session_id=session_id, expires_at=recorded.expires_at)
    return replace(life, enforced_end=recorded.enforced_end), answer
