"""The upload's workflow on a real dev server, with stand-ins for its steps."""

from datetime import timedelta

import pytest
from temporalio.client import Client
from ulid import ULID

from contracts import queues
from contracts.session_workflow import NewPicture
from contracts.upload_workflow import UploadFaceInput, UploadFaceOutcome, upload_workflow_id
from domain.failures import FailureCode
from support.stand_in_steps import StandInSteps, stored
from workflows.upload_face import UploadFaceWorkflow

LADDER = ["decode_image", "align_face", "store_avatar", "register_avatar"]


async def upload(client: Client, avatar_id: str) -> UploadFaceOutcome:
    """Run one upload."""
    picture = NewPicture(source=stored("staging/u/source"), staging_prefix="staging/u")
    wanted = UploadFaceInput(
        account_id="acct_1", avatar_id=avatar_id, picture=picture, finish_within=timedelta(seconds=20)
    )
    return await client.execute_workflow(
        UploadFaceWorkflow.run, wanted, id=upload_workflow_id(avatar_id), task_queue=queues.SESSIONS
    )


async def test_a_picture_becomes_an_avatar(temporal: Client, stand_ins: StandInSteps) -> None:
    """The portraits are stored before the avatar is registered, and nothing staged stays."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id))
    outcome = await upload(temporal, avatar_id)
    assert outcome.refusal is None
    assert outcome.avatar is not None
    assert outcome.avatar.avatar_id == avatar_id
    assert script.names == [*LADDER, "discard_staged"]


@pytest.mark.parametrize("failing", LADDER)
async def test_a_refused_picture_is_an_answer(temporal: Client, stand_ins: StandInSteps, failing: str) -> None:
    """The workflow completes with the verdict, and undoes whatever was done."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id), refusals={failing: FailureCode.TOO_BLURRY})
    outcome = await upload(temporal, avatar_id)
    assert outcome.avatar is None
    assert outcome.refusal is not None
    assert outcome.refusal.code == FailureCode.TOO_BLURRY
    assert outcome.refusal.details == {"measured": 1}
    assert script.names[-2:] == ["forget_avatar", "discard_staged"]
