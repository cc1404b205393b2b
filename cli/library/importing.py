"""Picture files into the library of avatars, one after another; what is refused leaves nothing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from ulid import ULID

from adapters.bank_making import CannotPrepare
from adapters.image_decoding import ImageDecoder
from cli.face_checker import OK, Checked, read, refusal
from cli.library.banks import BankProvider, bank_provider
from cli.library.maker import AvatarMaker
from cli.library.shelf import Shelf, opened_shelf
from cli.library.whose import account_called, only_account
from domain import ids
from domain.failures import FailureCode, Refused, Unavailable
from runtime.settings import Settings, load_settings
from worker.face_detector import open_portrait_maker


@dataclass(frozen=True, kw_only=True)
class Import:
    """What an operator asked for."""

    account: str | None
    """Id or name; None means the only account, unless they are public."""
    public: bool
    avatar_id: str | None
    trusted: bool


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What became of a picture."""

    checked: Checked
    avatar_id: str | None = None
    """None for a picture that was refused."""
    known: bool = False
    """Was it an avatar of the account's before?"""


@dataclass(frozen=True, kw_only=True)
class Importer:
    """Everything that a picture passes through, and whose the avatars are."""

    maker: AvatarMaker
    shelf: Shelf
    owner: str | None
    what: Import
    keep_originals: bool
    banks: BankProvider

    async def take(self, path: Path) -> Imported | str:
        """Make an avatar of one file; a sentence if it cannot be read or decoded for now. Unavailable passes."""
        try:
            data = await asyncio.to_thread(read, path)
            ready = await self.maker.make(data, trusted=self.what.trusted)
        except OSError as error:
            return f"{path}: {error.strerror}"
        except Refused as refused:
            if refused.code is FailureCode.TEMPORARILY_UNAVAILABLE:
                return f"{path}: {refused.message}"
            return Imported(checked=refusal(path, refused))
        avatar_id = self.what.avatar_id or ids.avatar_id(str(ULID()))
        original = data if self.keep_originals else None
        known = await self.shelf.add(avatar_id, self.owner, ready, original=original)
        with suppress(CannotPrepare, Refused, Unavailable):  # its sessions prepare it themselves
            await self.banks.provide(known)
        return Imported(checked=Checked(path=path, verdict=OK, details={}), avatar_id=known, known=known != avatar_id)


async def import_all(
    paths: Sequence[Path],
    what: Import,
    environ: Mapping[str, str],
    *,
    show: Callable[[Imported | str], None],
) -> list[bool | None]:
    """Import every file and show what became of it: True, False where it was refused, None where it was not judged.

    SettingsError, or Refused with a sentence, where nothing can be imported at all.
    """
    settings = load_settings(environ)
    outcomes: list[bool | None] = []
    async with AsyncExitStack() as stack:
        shelf = await stack.enter_async_context(opened_shelf(settings))
        owner = await owner_of(shelf, what)
        maker = await open_maker(settings, environ, stack)
        banks = await stack.enter_async_context(bank_provider(shelf, settings, environ))
        importer = Importer(
            maker=maker, shelf=shelf, owner=owner, what=what, keep_originals=settings.keep_originals, banks=banks
        )
        for path in paths:
            one = await importer.take(path)
            show(one)
            outcomes.append(None if isinstance(one, str) else one.avatar_id is not None)
    return outcomes


async def owner_of(shelf: Shelf, what: Import) -> str | None:
    """The account that the avatars are for, None for everybody; Refused where that, or the id, cannot be."""
    if what.avatar_id is not None and not await shelf.avatars.free_for(what.avatar_id):
        taken = "it is an avatar's, or of a deleted one that a session still shows"
        raise Refused(FailureCode.INVALID_AVATAR, f"the id {what.avatar_id} is not free: {taken}")
    if what.public:
        return None
    return await (
        only_account(shelf.accounts) if what.account is None else account_called(shelf.accounts, what.account)
    )


async def open_maker(settings: Settings, environ: Mapping[str, str], stack: AsyncExitStack) -> AvatarMaker:
    """The pipeline of the settings, which takes a second or two to load."""
    portraits = await asyncio.to_thread(open_portrait_maker, settings, environ)
    decoder = ImageDecoder()
    stack.push_async_callback(decoder.aclose)
    return AvatarMaker(decoder=decoder, portraits=portraits)
