"""What a renderer prepares is stored beside the portraits, and its whereabouts in the database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from activities.avatars import AvatarActivities
from activities.banks import BankActivities
from adapters.bank_making import BankMaker
from adapters.object_store import ObjectMissing, ObjectStore
from contracts import steps
from contracts.portraits import StoredObject, StoredPortrait
from support.databases import Database
from support.plugin_renderers import install_plugin
from support.portrait_pictures import save_portrait


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty store."""
    return ObjectStore(f"file://{tmp_path / 'objects'}")


@pytest.fixture
async def renderers(tmp_path: Path) -> AsyncIterator[dict[str, BankMaker]]:
    """Of another package."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    environ = install_plugin(folder).environ
    makers = {name: BankMaker(name, environment=environ) for name in ("flat", "failing")}
    yield makers
    for maker in makers.values():
        await maker.aclose()


async def portraits_in(store: ObjectStore, folder: Path) -> tuple[StoredPortrait, ...]:
    """Two portraits of an avatar, one of them its preview."""
    made = []
    for profile, size in (("4:3", (320, 240)), ("preview", (200, 200))):
        data = save_portrait(folder, *size).path.read_bytes()
        key = f"avatars/avat_1/{profile.replace(':', 'x')}.jpg"
        stored = StoredObject(key=key, sha256=await store.put(key, data), size=len(data))
        made.append(StoredPortrait(profile=profile, object=stored, width=size[0], height=size[1], keypoints=()))
    return tuple(made)


async def test_banks_are_stored_noted_and_deleted_with_their_avatar(
    database: Database, store: ObjectStore, renderers: dict[str, BankMaker], tmp_path: Path
) -> None:
    """Only of portraits that sessions show; the same step again does no harm."""
    await database.avatar(avatar_id="avat_1")
    avatars = AvatarActivities(database.avatars, store)
    asked = steps.PrepareBanksInput(avatar_id="avat_1", portraits=await portraits_in(store, tmp_path))
    for _ in range(2):
        prepared = await BankActivities(renderers["flat"], store).prepare_banks(asked)
        kept = steps.KeepBanksInput(avatar_id="avat_1", portraits=prepared.portraits)
        await avatars.keep_banks(kept)
    found = await database.avatars.get("avat_1")
    assert found is not None
    (bank,) = found.portraits["4:3"].banks
    assert (bank.renderer, bank.version, bank.width, bank.height) == ("flat", "7", 320, 240)
    assert bank.key == "avatars/avat_1/bank-4x3-flat-7-320x240.zip"
    assert len(await store.get(bank.key, bank.sha256)) == bank.size
    assert found.portraits["preview"].banks == ()
    await avatars.forget_avatar(steps.ForgetAvatarInput(avatar_id="avat_1"))
    with pytest.raises(ObjectMissing):
        await store.get(bank.key)


async def test_a_renderer_that_fails_leaves_the_avatar_without_banks(
    store: ObjectStore, renderers: dict[str, BankMaker], tmp_path: Path
) -> None:
    """That is a line in the log and no failure: sessions prepare the portrait themselves."""
    portraits = await portraits_in(store, tmp_path)
    asked = steps.PrepareBanksInput(avatar_id="avat_1", portraits=portraits)
    prepared = await BankActivities(renderers["failing"], store).prepare_banks(asked)
    assert prepared.portraits == portraits


async def test_trouble_with_the_store_is_tried_again(
    store: ObjectStore, renderers: dict[str, BankMaker], tmp_path: Path
) -> None:
    """A portrait that cannot be had now may be had later."""
    portraits = await portraits_in(store, tmp_path)
    await store.delete_below("avatars/avat_1")
    asked = steps.PrepareBanksInput(avatar_id="avat_1", portraits=portraits)
    with pytest.raises(ApplicationError) as caught:
        await BankActivities(renderers["flat"], store).prepare_banks(asked)
    assert not caught.value.non_retryable
