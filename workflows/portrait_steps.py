"""From a staged picture to a registered avatar: the rungs that creates and uploads share, and their undoing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.made_avatar import FoundFace, MadeAvatar
    from contracts.portraits import AvatarRef, StoredObject, StoredPortrait
    from contracts.session_workflow import NewPicture
    from domain.avatars import AspectRatio
    from domain.failures import FailureCode
from workflows.step_options import perform

In = TypeVar("In")


Remaining = Callable[[], timedelta]
"""The time that is left; asked before each step, it raises when there is none."""


async def make_avatar(
    picture: NewPicture, *, avatar_id: str, account_id: str, remaining: Remaining, wanted: AspectRatio | None = None
) -> MadeAvatar:
    """The avatar of a picture; an ApplicationError with the verdict's code if the picture fails.

    Makes the primary portrait, the preview and the one that is `wanted`: the others follow with `finish_avatar`. A
    picture that the account has sent before is recognised: then the avatar has another id than `avatar_id`.
    """
    source = await _source_of(picture, remaining)
    if picture.host:  # of a picture that was sent the API knows by its bytes whether it is new
        asked = steps.RecognisePictureInput(account_id=account_id, source_sha256=source.sha256, instead_of=avatar_id)
        known = await perform(steps.recognise_picture, asked, summary="was it sent before?", within=remaining())
        if known.avatar_id:
            return MadeAvatar(avatar=await _resolved(known.avatar_id, account_id, remaining, wanted))
    face = await _found_face(source, picture.staging_prefix, remaining, wanted)
    stored = await perform(
        steps.store_avatar,
        steps.StoreAvatarInput(avatar_id=avatar_id, portraits=face.aligned.portraits, original=source),
        summary=f"store {len(face.aligned.portraits)} aligned pictures",
        within=remaining(),
    )
    avatar = AvatarRef(avatar_id=avatar_id, primary=face.aligned.primary, portraits=stored.portraits)
    registered = await perform(
        steps.register_avatar,
        steps.RegisterAvatarInput(avatar=avatar, account_id=account_id, source_sha256=source.sha256),
        summary=f"register {avatar_id}",
        within=remaining(),
    )
    if registered.avatar_id:
        twin = await _resolved(registered.avatar_id, account_id, remaining, wanted)
        return MadeAvatar(avatar=twin, needless=avatar_id)
    return MadeAvatar(avatar=avatar, face=face)


async def judge_picture(picture: NewPicture, remaining: Remaining) -> dict[str, Any]:
    """What is told of a picture that passes; an ApplicationError with the verdict's code if it fails."""
    source = await _source_of(picture, remaining)
    face = await _found_face(source, picture.staging_prefix, remaining)
    return face.aligned.told


async def _source_of(picture: NewPicture, remaining: Remaining) -> StoredObject:
    """The picture's own bytes, fetched if only its address was sent."""
    if not picture.host:
        return picture.source
    fetched = await perform(
        steps.fetch_image,
        steps.FetchImageInput(address=picture.source, staging_prefix=picture.staging_prefix),
        summary=f"fetch the picture from {picture.host}",
        within=remaining(),
    )
    return fetched.picture


async def _found_face(
    source: StoredObject, staging_prefix: str, remaining: Remaining, wanted: AspectRatio | None = None
) -> FoundFace:
    decoded = await perform(
        steps.decode_image,
        steps.DecodeImageInput(source=source, staging_prefix=staging_prefix),
        summary=f"decode the picture ({source.size} bytes)",
        within=remaining(),
    )
    aligned = await perform(
        steps.align_face,
        steps.AlignFaceInput(
            picture=decoded.picture,
            staging_prefix=staging_prefix,
            source_width=decoded.source_width,
            source_height=decoded.source_height,
            wanted=(wanted,) if wanted else (),
        ),
        summary=f"find and align one face in {decoded.source_width}x{decoded.source_height} {decoded.source_format}",
        within=remaining(),
    )
    return FoundFace(picture=decoded.picture, aligned=aligned)


async def _resolved(avatar_id: str, account_id: str, remaining: Remaining, wanted: AspectRatio | None) -> AvatarRef:
    """The avatar that the same picture has become before."""
    asked = steps.ResolveAvatarInput(account_id=account_id, avatar_id=avatar_id, aspect_ratio=wanted)
    return await perform(
        steps.resolve_avatar, asked, summary=f"the picture is known as {avatar_id}", within=remaining()
    )


async def finish_avatar(made: MadeAvatar, picture: NewPicture) -> AvatarRef:
    """Make what nobody has waited for: portraits, and banks; then delete what was staged. Never fails.

    The avatar as it is then.
    """
    avatar = await _complete(made, made.face, picture) if made.face else made.avatar
    if made.needless:
        await forget_avatar(made.needless)
    await discard_staged(picture)
    return avatar


async def _complete(made: MadeAvatar, face: FoundFace, picture: NewPicture) -> AvatarRef:
    """Make and add the missing portraits, and everybody's banks; whatever fails, the avatar stays as it is."""
    avatar, to_come = made.avatar, "further portraits"
    try:
        if made.missing:
            avatar = avatar.with_portraits((*avatar.portraits, *await _add_missing(made, face, picture)))
        to_come = "banks"
        return avatar.with_portraits(await _add_banks(avatar))
    except ApplicationError as error:
        workflow.logger.warning("%s stays without %s: %s", avatar.avatar_id, to_come, error)
        if error.type == FailureCode.AVATAR_NOT_FOUND:  # it was deleted meanwhile
            await forget_avatar(avatar.avatar_id)
        return avatar


async def _add_banks(avatar: AvatarRef) -> tuple[StoredPortrait, ...]:
    """The portraits with what the renderer has prepared of them, so that no join has to."""
    asked = steps.PrepareBanksInput(avatar_id=avatar.avatar_id, portraits=avatar.portraits)
    prepared = await perform(steps.prepare_banks, asked, summary="prepare the portraits for the renderer")
    if any(portrait.banks for portrait in prepared.portraits):
        kept = steps.KeepBanksInput(avatar_id=avatar.avatar_id, portraits=prepared.portraits)
        await perform(steps.keep_banks, kept, summary=f"note what was prepared of {avatar.avatar_id}")
    return prepared.portraits


async def _add_missing(made: MadeAvatar, face: FoundFace, picture: NewPicture) -> tuple[StoredPortrait, ...]:
    missing, avatar_id = made.missing, made.avatar.avatar_id
    cut = await perform(
        steps.cut_portraits,
        steps.CutPortraitsInput(
            picture=face.picture,
            keypoints=face.aligned.keypoints,
            profiles=missing,
            staging_prefix=picture.staging_prefix,
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
    return stored.portraits


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
