"""What the deletion of an account takes, and what its steps take and answer."""

import msgspec

from contracts.operations import Progress


class DeleteAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is to be deleted with everything derived from it."""

    account_id: str
    receipt_id: str
    """Of the receipt, unless it was begun before."""
    progress: Progress = Progress()

    @property
    def title(self) -> str:
        """In words."""
        return f"delete account {self.account_id}"

    @property
    def workflow_id(self) -> str:
        """One deletion of an account."""
        return f"delete-account-{self.account_id}"


class CloseAccountInput(msgspec.Struct, frozen=True, kw_only=True):
    """An account that nothing opens any more."""

    account_id: str
    receipt_id: str


class CloseAccountResult(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt that its deletion is noted in."""

    receipt_id: str


class LookForWorkInput(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is closed, and may still be worked for."""

    account_id: str


class LookForWorkResult(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions, slots and uploads that are not over."""

    number: int


class EraseInput(msgspec.Struct, frozen=True, kw_only=True):
    """An account of which a part is to be deleted."""

    account_id: str
    receipt_id: str


class EraseResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many went; none: there is no more."""

    number: int
