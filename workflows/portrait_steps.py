"""From a staged picture to a registered avatar: the rungs that creates and uploads share, and their undoing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.portraits import AvatarRef, StoredObject
    from contracts.session_workflow import NewPicture
    from domain.avatars import AspectRatio
    from domain.failures import FailureCode
    from domain.portraits import FRAMINGS
from workflows.step_options import perform

In = TypeVar("In")


@dataclass(frozen=True, kw_only=True)
class MadeAvatar:
    """An avatar that can be shown, and what its missing portraits are cut from."""

    avatar: AvatarRef
    picture: StoredObject
    """The decoded picture, staged."""
    keypoints: tuple[tuple[float, float], ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The profiles that nobody has waited for."""
        made = {portrait.profile for portrait in self.avatar.portraits}
        return tuple(profile for profile in FRAMINGS if profile not in made)


async def make_avatar(
    picture: NewPicture,
    *,
    avatar_id: str,
    account_id: str,
    remaining: Callable[[], timedelta],
    wanted: Sequence[AspectRatio] = (),
) -> MadeAvatar:
    """Decode, judge, align, store and register; an ApplicationError with the verdict's code if the picture fails.

    Makes the primary portrait, the preview and those that are `wanted`: the others follow with `finish_avatar`.
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
            wanted=tuple(wanted),
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
    return MadeAvatar(avatar=avatar, picture=decoded.picture, keypoints=aligned.keypoints)


async def finish_avatar(made: MadeAvatar, picture: NewPicture) -> None:
    """Make the portraits that nobody has waited for, then delete what was staged. Never fails."""
    try:
        await _complete(made, picture)
    except ApplicationError as error:
        workflow.logger.warning("%s stays without %s: %s", made.avatar.avatar_id, ", ".join(made.missing), error)
        if error.type == FailureCode.AVATAR_NOT_FOUND:  # it was deleted meanwhile
            await forget_avatar(made.avatar.avatar_id)
    await discard_staged(picture)


async def _complete(made: MadeAvatar, picture: NewPicture) -> None:
    missing, avatar_id = made.missing, made.avatar.avatar_id
    if not missing:
        return
    cut = await perform(
        steps.cut_portraits,
        steps.CutPortraitsInput(
            picture=made.picture, keypoints=made.keypoints, profiles=missing, staging_prefix=picture.staging_prefix
        ),
        summary=f"cut {', '.join(missing)}",
    )
    stored = await perform(
        steps.store_avatar,
        steps.StoreAvatarInput(avatar_id=avatar_id, portraits=cut.portraits),
        summary=f"store {len(cut.portraits)} further pictures",
    )
    await perform(
        steps.add_portraits,
        steps.AddPortraitsInput(avatar_id=avatar_id, portraits=stored.portraits),
        summary=f"add {', '.join(missing)} to {avatar_id}",
    )


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
