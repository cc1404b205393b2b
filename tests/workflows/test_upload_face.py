"""The upload's workflow on a real dev server, with stand-ins for its steps."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from ulid import ULID

from contracts import queues, steps
from contracts.upload_workflow import UploadFaceInput, UploadFaceOutcome, upload_workflow_id
from domain.failures import FailureCode
from support.eventually import eventually
from support.session_commands import staged_picture
from support.stand_in_steps import StandInSteps, portraits, stored
from workflows.upload_face import UploadFaceWorkflow

Upload = WorkflowHandle[UploadFaceWorkflow, UploadFaceOutcome]

LADDER = ["decode_image", "align_face", "store_avatar", "register_avatar"]
FURTHER = ["cut_portraits", "store_avatar", "add_portraits", "prepare_banks", "keep_banks"]


async def start(client: Client, avatar_id: str, *, host: str = "", dry_run: bool = False) -> Upload:
    """Start one upload."""
    picture = staged_picture("u", host)
    wanted = UploadFaceInput(
        account_id="acct_1",
        avatar_id=avatar_id,
        picture=picture,
        finish_within=timedelta(seconds=20),
        dry_run=dry_run,
    )
    return await client.start_workflow(
        UploadFaceWorkflow.run, wanted, id=upload_workflow_id(avatar_id), task_queue=queues.SESSIONS
    )


async def upload(client: Client, avatar_id: str, *, host: str = "", dry_run: bool = False) -> UploadFaceOutcome:
    """Run one upload to its end."""
    return await (await start(client, avatar_id, host=host, dry_run=dry_run)).result()


async def test_a_picture_becomes_an_avatar(temporal: Client, stand_ins: StandInSteps) -> None:
    """The portraits are stored before the avatar is registered, and nothing staged stays."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id))
    outcome = await upload(temporal, avatar_id)
    assert outcome.refusal is None
    assert outcome.avatar is not None
    assert outcome.avatar.avatar_id == avatar_id
    assert script.names == ["reserve_picture", *LADDER, *FURTHER, "discard_staged"]
    (added,) = script.asked(steps.add_portraits)
    assert [portrait.profile for portrait in added.portraits] == ["4:3", "3:4"]


async def test_the_answer_does_not_wait_for_further_portraits(temporal: Client, stand_ins: StandInSteps) -> None:
    """Primary portrait and preview are enough to answer; what was staged stays until the others are cut."""
    avatar_id = f"avat_{ULID()}"
    answered = asyncio.Event()

    async def cut(value: steps.CutPortraitsInput) -> steps.CutPortraitsResult:
        await answered.wait()
        return steps.CutPortraitsResult(portraits=portraits(value.staging_prefix, value.profiles))

    script = stand_ins.script(upload_workflow_id(avatar_id), handlers={"cut_portraits": cut})
    handle = await start(temporal, avatar_id)
    outcome = await handle.execute_update(UploadFaceWorkflow.await_avatar)
    assert outcome.avatar is not None
    assert [portrait.profile for portrait in outcome.avatar.portraits] == ["1:1", "preview"]
    assert "discard_staged" not in script.names
    answered.set()
    await handle.result()
    assert script.names == ["reserve_picture", *LADDER, *FURTHER, "discard_staged"]


async def test_an_avatar_deleted_meanwhile_stays_deleted(temporal: Client, stand_ins: StandInSteps) -> None:
    """The further portraits of an avatar that is gone are not kept either."""
    avatar_id = f"avat_{ULID()}"
    refusals = {"add_portraits": FailureCode.AVATAR_NOT_FOUND}
    script = stand_ins.script(upload_workflow_id(avatar_id), refusals=refusals)
    outcome = await upload(temporal, avatar_id)
    assert outcome.avatar is not None
    assert script.names[-3:] == ["add_portraits", "forget_avatar", "discard_staged"]


async def test_a_portrait_that_cannot_be_cut_costs_nothing_else(temporal: Client, stand_ins: StandInSteps) -> None:
    """The avatar can be used in the shapes that it has."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id), refusals={"cut_portraits": FailureCode.IMAGE_DAMAGED})
    outcome = await upload(temporal, avatar_id)
    assert outcome.avatar is not None
    assert script.names[-2:] == ["cut_portraits", "discard_staged"]


@pytest.mark.parametrize("failing", ["prepare_banks", "keep_banks"])
async def test_a_bank_that_cannot_be_had_costs_nothing_else(
    temporal: Client, stand_ins: StandInSteps, failing: str
) -> None:
    """The avatar keeps every portrait, and what was staged goes."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id), refusals={failing: FailureCode.TEMPORARILY_UNAVAILABLE})
    outcome = await upload(temporal, avatar_id)
    assert outcome.avatar is not None
    assert script.names[-2:] == [failing, "discard_staged"]
    assert "forget_avatar" not in script.names


async def test_banks_of_an_avatar_deleted_meanwhile_go(temporal: Client, stand_ins: StandInSteps) -> None:
    """They were stored beside its pictures."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id), refusals={"keep_banks": FailureCode.AVATAR_NOT_FOUND})
    await upload(temporal, avatar_id)
    assert script.names[-3:] == ["keep_banks", "forget_avatar", "discard_staged"]


async def test_a_cancelled_upload_is_answered(temporal: Client, stand_ins: StandInSteps) -> None:
    """Whoever still waits is told, and nothing is left."""
    avatar_id = f"avat_{ULID()}"

    async def align(_: steps.AlignFaceInput) -> steps.AlignFaceResult:
        await asyncio.sleep(30)
        raise AssertionError

    script = stand_ins.script(upload_workflow_id(avatar_id), handlers={"align_face": align})
    handle = await start(temporal, avatar_id)
    waiting = asyncio.create_task(handle.execute_update(UploadFaceWorkflow.await_avatar))
    await eventually(lambda: "align_face" in script.names)
    await handle.cancel()
    outcome = await asyncio.wait_for(waiting, 15)
    assert outcome.refusal is not None
    assert outcome.refusal.code == FailureCode.CREATE_CANCELLED
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert script.names[-2:] == ["forget_avatar", "discard_staged"]


@pytest.mark.parametrize("failing", ["reserve_picture", *LADDER])
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


async def test_an_address_is_fetched_first(temporal: Client, stand_ins: StandInSteps) -> None:
    """What was fetched is the avatar's picture: by its hash it is known later."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id))
    outcome = await upload(temporal, avatar_id, host="pictures.example")
    assert outcome.avatar is not None
    assert script.names == ["reserve_picture", "fetch_image", "recognise_picture", *LADDER, *FURTHER, "discard_staged"]
    (decoded,), (first, _) = script.asked(steps.decode_image), script.asked(steps.store_avatar)
    assert decoded.source == first.original == stored("staging/u/fetched")


async def test_a_picture_that_is_known_is_not_made_again(temporal: Client, stand_ins: StandInSteps) -> None:
    """The same picture behind an address is the avatar that it was before."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id), known_as="avat_before")
    outcome = await upload(temporal, avatar_id, host="pictures.example")
    assert outcome.avatar is not None
    assert outcome.avatar.avatar_id == "avat_before"
    assert script.names == ["reserve_picture", "fetch_image", "recognise_picture", "resolve_avatar", "discard_staged"]


async def test_of_twins_the_quicker_one_stays(temporal: Client, stand_ins: StandInSteps) -> None:
    """The same picture uploaded twice at once is one avatar, and what the slower one stored goes."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id), twin="avat_twin")
    outcome = await upload(temporal, avatar_id)
    assert outcome.avatar is not None
    assert outcome.avatar.avatar_id == "avat_twin"
    assert script.names == ["reserve_picture", *LADDER, "resolve_avatar", "forget_avatar", "discard_staged"]
    assert script.asked(steps.forget_avatar) == [steps.ForgetAvatarInput(avatar_id=avatar_id)]


async def test_a_dry_run_stores_nothing(temporal: Client, stand_ins: StandInSteps) -> None:
    """The picture is judged, and what was staged goes."""
    avatar_id = f"avat_{ULID()}"
    script = stand_ins.script(upload_workflow_id(avatar_id))
    outcome = await upload(temporal, avatar_id, dry_run=True)
    assert (outcome.avatar, outcome.refusal) == (None, None)
    assert outcome.measures == {"faces": 1}
    assert script.names == ["decode_image", "align_face", "discard_staged"]
