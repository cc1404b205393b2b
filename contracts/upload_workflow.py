"""What the upload's workflow takes and answers."""

from datetime import timedelta
from typing import Any

import msgspec

from contracts.portraits import AvatarRef
from contracts.session_workflow import NewPicture

UPLOAD_UPDATE_ID = "upload"


class UploadFaceInput(msgspec.Struct, frozen=True, kw_only=True):
    """A staged picture that is to become an avatar."""

    account_id: str
    avatar_id: str
    picture: NewPicture
    finish_within: timedelta
    dry_run: bool = False
    """Only judge the picture."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a picture was refused."""

    code: str
    message: str
    details: dict[str, Any] | None = None


class UploadFaceOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The avatar, or the refusal, or on a dry run what was measured of a picture that passes."""

    avatar: AvatarRef | None = None
    refusal: Refusal | None = None
    measures: dict[str, Any] | None = None


def upload_workflow_id(avatar_id: str) -> str:
    """The workflow id of an upload."""
    return f"upload-{avatar_id}"
