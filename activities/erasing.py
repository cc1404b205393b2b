"""Deleting an account: closing it, waiting for who works for it, then objects, rows and the account itself."""

from temporalio.client import Client

from activities.beats import beating
from activities.failures import translated
from activities.workflow_status import which_run
from adapters.object_store import ObjectStore
from contracts import steps
from contracts.erasing import (
    CloseAccountInput,
    CloseAccountResult,
    EraseInput,
    EraseResult,
    LookForWorkInput,
    LookForWorkResult,
)
from contracts.session_workflow import workflow_id
from contracts.upload_workflow import upload_workflow_id
from database.account_admin import AccountAdmin
from database.erasing import Erasing
from domain.avatars import STAGING, pictures_of


class EraseActivities:
    """Each step looks anew, and counts in the transaction that deletes: a repeat does no harm."""

    def __init__(self, erasing: Erasing, admin: AccountAdmin, store: ObjectStore, client: Client) -> None:
        self._erasing = erasing
        self._admin = admin
        self._store = store
        self._client = client

    @steps.close_account.implementation
    async def close_account(self, value: CloseAccountInput) -> CloseAccountResult:
        """Revoke its keys, admit nothing more, and begin the receipt."""
        with translated():
            receipt_id = await self._erasing.begin(value.account_id, value.receipt_id)
            await self._admin.close(value.account_id)
        return CloseAccountResult(receipt_id=receipt_id)

    @steps.look_for_work.implementation
    async def look_for_work(self, value: LookForWorkInput) -> LookForWorkResult:
        """Who still works for the account: what they write would be left over."""
        with translated():
            async with beating():
                work = await self._erasing.work(value.account_id)
                names = [workflow_id(one) for one in work.session_ids]
                names += [upload_workflow_id(one) for one in work.avatar_ids]
                running = sum(await which_run(self._client, names))
        return LookForWorkResult(number=work.unended + running)

    @steps.erase_objects.implementation
    async def erase_objects(self, value: EraseInput) -> EraseResult:
        """Delete the pictures and then the rows of some avatars; where none is left, what was staged."""
        with translated():
            async with beating():
                found = await self._erasing.avatars_of(value.account_id)
                for avatar_id in found:
                    await self._delete_below(pictures_of(avatar_id), value.receipt_id)
                if found:
                    await self._erasing.erase_avatars(value.account_id, value.receipt_id, found)
                else:
                    await self._delete_staged(value)
        return EraseResult(number=len(found))

    @steps.erase_rows.implementation
    async def erase_rows(self, value: EraseInput) -> EraseResult:
        """Delete some sessions; where none is left, the account and all that names it."""
        with translated():
            async with beating():
                number = await self._erasing.erase_sessions(value.account_id, value.receipt_id)
                if not number:
                    await self._erasing.finish(value.account_id, value.receipt_id)
        return EraseResult(number=number)

    async def _delete_staged(self, value: EraseInput) -> None:
        owners = sorted({key.split("/")[1] for key in await self._store.keys_below(STAGING)})
        for owner in await self._erasing.owners_of_staged(value.account_id, owners):
            await self._delete_below(f"{STAGING}/{owner}", value.receipt_id)

    async def _delete_below(self, prefix: str, receipt_id: str) -> None:
        """The digests of the keys first: what was deleted without them could not be told any more."""
        await self._erasing.note_objects(receipt_id, await self._store.keys_below(prefix))
        await self._store.delete_below(prefix)
