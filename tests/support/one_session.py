"""One session's workflow in a process of its own, with stand-in steps; with `--without-pydantic` none can be imported.

The sandbox treats datetimes differently where pydantic is installed, so both must be tried. Prints one line of JSON.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class NoPydantic:
    """Finds no pydantic, as on a machine that has none."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Refuse pydantic and what it brings; leave the rest to others."""
        if name.partition(".")[0] in ("pydantic", "pydantic_core"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


async def main(address: str, namespace: str) -> bytes:
    """Create a session, end it, and tell what the two updates answered."""
    import msgspec  # noqa: PLC0415 - after pydantic was taken away
    from temporalio.client import Client  # noqa: PLC0415
    from temporalio.worker import Worker  # noqa: PLC0415

    from contracts import steps  # noqa: PLC0415
    from contracts.converter import data_converter  # noqa: PLC0415
    from contracts.session_workflow import EndSession  # noqa: PLC0415
    from support.session_commands import command, new_session_id, start_operation  # noqa: PLC0415
    from support.stand_in_steps import StandInSteps  # noqa: PLC0415
    from worker.registry import ROLES  # noqa: PLC0415
    from worker.sandbox import SANDBOX  # noqa: PLC0415
    from workflows.create_session import CreateSessionWorkflow  # noqa: PLC0415

    client = await Client.connect(address, namespace=namespace, data_converter=data_converter)
    stand_ins, session_id = StandInSteps(), new_session_id()
    # Queues of its own: the test run's workers do not know this session's script.
    own = f"own-{session_id}"

    async def lease_server(_: steps.LeaseServerInput) -> steps.LeaseServerResult:
        return steps.LeaseServerResult(boot_id="own", server="own", queue=own)

    stand_ins.script(session_id, plan_seconds=600.0, handlers={"lease_server": lease_server})
    start = start_operation(command(session_id), task_queue=own)
    workflows = ROLES["sessions"].workflow_types()
    activities = stand_ins.activities()
    async with Worker(client, task_queue=own, workflows=workflows, activities=activities, workflow_runner=SANDBOX):
        started = await client.execute_update_with_start_workflow(
            CreateSessionWorkflow.await_started, start_workflow_operation=start, id="create"
        )
        running = await start.workflow_handle()
        ended = await running.execute_update(CreateSessionWorkflow.end, EndSession())
        outcome = await running.result()
    pydantic = sorted(name for name in sys.modules if name.partition(".")[0] == "pydantic")
    told = {"started": started, "ended": ended, "outcome": outcome, "pydantic": bool(pydantic)}
    return msgspec.json.encode(told)


if __name__ == "__main__":
    if "--without-pydantic" in sys.argv:
        sys.meta_path.insert(0, NoPydantic())
    print(asyncio.run(asyncio.wait_for(main(*sys.argv[1:3]), 40)).decode(), flush=True)  # noqa: T201 - read by the test
    # As the roles do: Temporal's native threads would abort an interpreter that is torn down.
    os._exit(0)
