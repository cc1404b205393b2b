"""From a staged picture to a registered avatar: the rungs that creates and uploads share, and their undoing."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.portraits import AvatarRef
    from contracts.session_workflow import NewPicture
from workflows.step_options import perform

In = TypeVar("In")


async def make_avatar(
    picture: NewPicture, *, avatar_id: str, account_id: str, remaining: Callable[[], timedelta]
) -> AvatarRef:
    """Decode, judge, align, store and register; an ApplicationError with the verdict's code if the picture fails.

    `remaining` is asked before each step for the time that is left, and raises when there is none.
    """
    decoded = await perform(
        steps.decode_image,
        steps.DecodeImageInput(source=picture.source, staging_prefix=picture.staging_prefix),
        summary=f"decode the picture ({picture.source.size} bytes)",
        within=remaining(),
    )
    aligned = await perform(
        steps.align_face,
        steps.AlignFaceInput(
            picture=decoded.picture,
            staging_prefix=picture.staging_prefix,
            source_width=decoded.source_width,
            source_height=decoded.source_height,
        ),
        summary=f"find and align one face in {decoded.source_width}x{decoded.source_height} {decoded.source_format}",
        within=remaining(),
    )
    stored = await perform(
        steps.store_avatar,
        steps.StoreAvatarInput(avatar_id=avatar_id, portraits=aligned.portraits),
        summary=f"store {len(aligned.portraits)} aligned pictures",
        within=remaining(),
    )
    avatar = AvatarRef(avatar_id=avatar_id, primary=aligned.primary, portraits=stored.portraits)
    await perform(
        steps.register_avatar,
        steps.RegisterAvatarInput(avatar=avatar, account_id=account_id, source_sha256=picture.source.sha256),
        summary=f"register {avatar_id}",
        within=remaining(),
    )
    return avatar


async def discard_staged(picture: NewPicture) -> None:
    """Delete what was staged. What cannot be deleted now is left to the sweeper, so this never fails."""
    await _tidy(steps.discard_staged, steps.DiscardStagedInput(staging_prefix=picture.staging_prefix), "delete staged")


async def forget_avatar(avatar_id: str) -> None:
    """Undo `make_avatar`, however far it came."""
    await _tidy(steps.forget_avatar, steps.ForgetAvatarInput(avatar_id=avatar_id), f"undo {avatar_id}")


async def _tidy(step: steps.Step[In, steps.Done], value: In, summary: str) -> None:
    try:
        await perform(step, value, summary=summary)
    except ApplicationError as error:
        workflow.logger.warning("%s was given up: %s", summary, error)
