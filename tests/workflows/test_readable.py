"""Every refusal and end reads in Temporal's pages without opening a payload, and the documented filters find it."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecutionDescription
from ulid import ULID

from api.sessions_gateway import SessionsGateway
from api.temporal_calls import Canceller
from api.uploads_gateway import UploadsGateway
from contracts import queues, search_attributes
from contracts.session_workflow import CreateSessionInput, EndSession
from contracts.upload_workflow import UploadFaceInput, upload_workflow_id
from contracts.webhook_workflow import DeliverWebhook
from domain.failures import FailureCode, Refused
from domain.session import EndReason
from support.session_commands import command, new_session_id, staged_picture
from support.stand_in_steps import Script, StandInSteps
from workflows.deliver_webhook import DeliverWebhookWorkflow

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
REFUSALS = {
    "admit_session": FailureCode.CONCURRENCY_LIMIT_REACHED,
    "align_face": FailureCode.NO_FACE,
    "store_avatar": FailureCode.TEMPORARILY_UNAVAILABLE,
    "lease_server": FailureCode.AT_CAPACITY,
    "join_room": FailureCode.ROOM_TOKEN_REFUSED,
    "record_started": FailureCode.CREATE_TIMED_OUT,
}


class Stage:
    """Sessions and uploads as the API starts them, over stand-ins."""

    def __init__(self, client: Client, stand_ins: StandInSteps) -> None:
        self.client = client
        self.stand_ins = stand_ins
        canceller = Canceller(client)
        self.sessions = SessionsGateway(client, canceller, 20)
        self.uploads = UploadsGateway(client, canceller, 20)
        self.account = f"acct_{ULID()}"

    def prepared(self, **changes: object) -> tuple[CreateSessionInput, Script]:
        """A create of this account, and the script of its steps."""
        session_id = new_session_id()
        wanted = command(session_id, account_id=self.account, wait_up_to=timedelta(0), **changes)
        return wanted, self.stand_ins.script(session_id)

    async def runs(self) -> str:
        """A session that has started."""
        wanted, _ = self.prepared()
        await self.sessions.create(wanted)
        return wanted.session_id

    async def ends(self, reason: EndReason) -> str:
        """A session that ended for a reason."""
        session_id = await self.runs()
        await self.sessions.end(session_id, EndSession(reason=reason))
        return session_id

    async def refuses(self, step: str, code: FailureCode) -> str:
        """A create that was refused in a step."""
        wanted, script = self.prepared(with_picture=True)
        script.refusals[step] = code
        with pytest.raises(Refused) as caught:
            await self.sessions.create(wanted)
        assert (caught.value.code, caught.value.stage) == (code, step)
        return wanted.session_id

    async def refuses_upload(self) -> str:
        """An upload of a picture without a face."""
        avatar_id = f"avat_{ULID()}"
        workflow = upload_workflow_id(avatar_id)
        self.stand_ins.script(workflow).refusals["align_face"] = FailureCode.NO_FACE
        wanted = UploadFaceInput(
            account_id=self.account,
            avatar_id=avatar_id,
            picture=staged_picture(avatar_id),
            finish_within=timedelta(seconds=20),
        )
        with pytest.raises(Refused):
            await self.uploads.upload(wanted)
        return workflow

    async def gives_up_webhook(self) -> str:
        """A webhook that nobody took."""
        event = f"evt_session_ended_{ULID()}"
        self.stand_ins.script(event).refusals["deliver_webhook"] = FailureCode.WEBHOOK_NOT_DELIVERED
        wanted = DeliverWebhook(event_id=event, endpoint_id="whep_1", round=1, type="session.ended")
        run = DeliverWebhookWorkflow.run
        await self.client.execute_workflow(
            run, wanted, id=event, task_queue=queues.SESSIONS, static_summary="webhook session.ended"
        )
        return event

    async def described(self, workflow_id: str) -> tuple[WorkflowExecutionDescription, str]:
        """What the list of the pages shows of a workflow, and its line of details."""
        plain = Client(self.client.service_client, namespace=self.client.namespace)
        handle = plain.get_workflow_handle(workflow_id)
        metadata: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
        return await handle.describe(), metadata.current_details

    def attribute(self, found: WorkflowExecutionDescription, key: str) -> object:
        """A search attribute."""
        return found.typed_search_attributes.get(next(one for one in search_attributes.EVERY if one.name == key))


@pytest.fixture
def stage(temporal: Client, stand_ins: StandInSteps) -> Stage:
    """An account of its own."""
    return Stage(temporal, stand_ins)


async def test_every_end_is_readable(stage: Stage) -> None:
    """Reason, account and server are attributes; the details say it in a line; the summary says what it was."""
    ended = await asyncio.gather(*(stage.ends(reason) for reason in EndReason))
    for reason, session_id in zip(EndReason, ended, strict=True):
        found, details = await stage.described(session_id)
        shown = [stage.attribute(found, key) for key in ("AccountId", "SessionState", "AvatarServer", "EndReason")]
        assert shown == [stage.account, "ended", "stand-in-1", reason]
        assert details.startswith(f"**ended**: {reason}\n")
        assert await found.static_summary() == f"session of {stage.account} in a livekit room at 4:3"


async def test_every_refusal_is_readable(stage: Stage) -> None:
    """The code is an attribute, and the details name the step and what the client was told."""
    refused = await asyncio.gather(*(stage.refuses(step, code) for step, code in REFUSALS.items()))
    for (step, code), session_id in zip(REFUSALS.items(), refused, strict=True):
        found, details = await stage.described(session_id)
        assert [stage.attribute(found, key) for key in ("SessionState", "EndReason")] == ["refused", code]
        assert details.startswith(f"**refused**: {code}\n- in `{step}`: refused by the script\n")


async def test_uploads_and_webhooks_are_readable(stage: Stage) -> None:
    """They have no state of a session; their refusal is an EndReason all the same."""
    upload, webhook = await asyncio.gather(stage.refuses_upload(), stage.gives_up_webhook())
    for workflow, step, code, summary in (
        (upload, "align_face", "NO_FACE", f"face upload of {stage.account}"),
        (webhook, "deliver_webhook", "WEBHOOK_NOT_DELIVERED", "webhook session.ended"),
    ):
        found, details = await stage.described(workflow)
        assert stage.attribute(found, "EndReason") == code
        assert details == f"**refused**: {code}\n- in `{step}`: refused by the script"
        assert await found.static_summary() == summary


def documented_filters() -> list[str]:
    """The filters of docs/operations.md, in its order."""
    text = PAGE.read_text()
    table = text[text.index("### Filters") :].split("\n\n", 2)[2].split("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)


async def test_documented_filters_find_what_they_say(stage: Stage) -> None:
    """Each runs on a real server, finds the workflows that it is for, and none of the others."""
    names = ("running", "lost", "full", "late", "upload", "webhook", "terminated")
    made = await asyncio.gather(
        stage.runs(),
        stage.ends(EndReason.SERVER_LOST),
        stage.refuses("lease_server", FailureCode.AT_CAPACITY),
        stage.refuses("join_room", FailureCode.CREATE_TIMED_OUT),
        stage.refuses_upload(),
        stage.gives_up_webhook(),
        stage.runs(),
    )
    ours = dict(zip(names, made, strict=True))
    await stage.client.get_workflow_handle(ours["terminated"]).terminate("by hand")
    wanted = [
        {"running"},
        {"running", "terminated"},
        {"lost"},
        {"full"},
        {"late"},
        {"upload"},
        {"webhook"},
        {"terminated"},
        set(),
        set(),
    ]
    filters = documented_filters()
    assert len(filters) == len(wanted)
    for filter_, expected in zip(filters, wanted, strict=True):
        query = filter_.replace("acct_1", stage.account).replace("avatar-1", "stand-in-1")
        found: set[str] = set()
        for _ in range(50):  # the list of workflows follows a moment later
            found = {workflow.id async for workflow in stage.client.list_workflows(query)} & set(made)
            if found == {ours[name] for name in expected}:
                break
            await asyncio.sleep(0.2)
        assert found == {ours[name] for name in expected}, filter_
