"""Creates that the API gave up on: whoever comes to work later finds them cancelled, and starts none of them."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from temporalio.client import Client, WorkflowExecutionStatus
from ulid import ULID

from api.app import create_app
from api.auth import key_hash
from database.accounts import Accounts
from database.avatar_servers import AvatarServers
from database.avatars import Avatars
from database.engine import open_engine
from database.migrations import migrate
from support.api_system import KEY, PICTURE, ROOM, environment, serving, settings_in
from support.databases import an_avatar
from support.fake_avatar_server import FakeAvatarServer
from worker.assembly import build_worker
from worker.registry import ROLES
from worker.roles import sessions


async def test_a_create_that_was_given_up_never_starts(temporal_deserted: Client, tmp_path: Path) -> None:
    """No worker takes the create in time: 503. When one comes, the workflow is cancelled, and no slot was taken."""
    settings = settings_in(tmp_path, temporal_wait_s=1)
    began = datetime.now(UTC)
    await migrate(settings.database_address)
    async with AsyncExitStack() as stack:
        engine = open_engine(settings.database_address)
        stack.push_async_callback(engine.dispose)
        await Accounts(engine).create("acct_1", "tester")
        await Accounts(engine).add_key("acct_1", key_hash(KEY), "first")
        avatar_id = f"avat_{ULID()}"
        await Avatars(engine).register(an_avatar(avatar_id, "acct_1"), "0" * 64)
        server = FakeAvatarServer(AvatarServers(engine), slots=2)
        await stack.enter_async_context(server.run(temporal_deserted))
        http = await stack.enter_async_context(serving(create_app(settings, environment(temporal_deserted))))
        for avatar in (avatar_id, PICTURE):
            request = {"json": {"avatar": avatar, "room": ROOM}, "headers": {"x-api-key": KEY}}
            assert (await http.post("/v1/sessions", **request)).status_code == 503
        opened = await sessions.open_role(settings, {}, temporal_deserted, stack)
        await stack.enter_async_context(build_worker(temporal_deserted, ROLES["sessions"], opened))
        query = f"WorkflowType = 'CreateSessionWorkflow' AND StartTime >= '{began.isoformat()}'"
        late = [found async for found in temporal_deserted.list_workflows(query)]
        for found in late:
            handle = temporal_deserted.get_workflow_handle(found.id)
            while (status := (await handle.describe()).status) == WorkflowExecutionStatus.RUNNING:
                pass
            assert status == WorkflowExecutionStatus.CANCELED
        assert late
        assert server.serving == {}
        assert await AvatarServers(engine).capacity() == (2, 2)
