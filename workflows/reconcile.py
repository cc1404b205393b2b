"""Looks for what timers cannot see: sessions without a workflow, leases without a session, pictures of nobody."""

from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.reconciling import Reconciled
from workflows.step_options import perform

Out = TypeVar("Out")


@workflow.defn
class ReconcileWorkflow:
    """One run of the reconciler; a Temporal Schedule starts the next. It keeps nothing from run to run."""

    @workflow.init
    def __init__(self) -> None:
        self._undone: list[str] = []

    @workflow.run
    async def run(self) -> Reconciled:
        """Sessions first: what they leave is cleared away by the steps after. A step that fails stops no other."""
        orphans = await self._try(steps.end_orphans, "end sessions whose workflow is gone")
        released = await self._try(steps.release_leftovers, "release leases of ended sessions and silent servers")
        discarded = await self._try(steps.discard_leftovers, "delete staged pictures that nobody works on")
        done = Reconciled(
            looked=orphans.looked if orphans else 0,
            ended=orphans.number if orphans else 0,
            released=released.number if released else 0,
            discarded=discarded.number if discarded else 0,
            undone=tuple(self._undone),
        )
        found = f"{done.ended} sessions ended, {done.released} leases released, {done.discarded} pictures discarded"
        workflow.set_current_details(f"{found}{'; put off: ' if done.undone else ''}{', '.join(done.undone)}")
        return done

    async def _try(self, step: steps.Step[steps.LookForLeftovers, Out], summary: str) -> Out | None:
        try:
            return await perform(step, steps.LookForLeftovers(), summary=summary)
        except ApplicationError as error:
            workflow.logger.warning("%s was put off: %s", step.name, error)
            self._undone.append(step.name)
            return None
