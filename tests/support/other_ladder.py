"""A session's workflow as another version may have had it: the same name and update, another order of commands."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from contracts.session_workflow import CreateSessionInput


@workflow.defn(name="CreateSessionWorkflow")
class OtherLadder:
    """Begins with a timer, where ours begins with a step."""

    @workflow.init
    def __init__(self, command: CreateSessionInput) -> None:
        self._session_id = command.session_id
        self._ended = False

    @workflow.run
    async def run(self, command: CreateSessionInput) -> str:
        """Wait for the end."""
        await workflow.wait_condition(lambda: self._ended, timeout=timedelta(hours=1))
        return command.session_id

    @workflow.update
    async def end_other(self) -> str:
        """End it."""
        self._ended = True
        return self._session_id
