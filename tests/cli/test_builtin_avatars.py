"""The avatars that every installation begins with: made once a user, added once an installation."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapters.object_store import ObjectStore
from cli.library.builtin import (
    BUILTIN,
    NoBuiltinAvatarsError,
    builtin_folder,
    builtin_pictures,
    folder_of,
    make_builtins,
    provide_builtins,
    ready_builtins,
)
from cli.library.ready import read_ready
from cli.library.shelf import opened_shelf
from cli.main import main
from database.migrations import migrate
from domain.avatars import IMAGE, PREVIEW, AspectRatio, pictures_of
from runtime.settings import Settings
from support.api_system import settings_in
from support.pictures import astronaut, cache_folder, gauss, newton, pixels

DEFAULT_OF_LIVEKIT = "avat_01KMZJ4WE5QCD9G3EK21QW8NJK"
DEFAULT_OF_PIPECAT = "avat_01KMZHXFPBVCXA5ATK85HCP8G1"
EXAMPLE_OF_LIVEKIT = "avat_01KJBCSKRWWKM9Q1ADP0QNX57D"
OLDER_OF_PIPECAT = "avat_01KMDFWB9SW1QX4TVP0RT1RFYQ"
PICTURES = {
    DEFAULT_OF_LIVEKIT: astronaut,
    DEFAULT_OF_PIPECAT: newton,
    EXAMPLE_OF_LIVEKIT: gauss,
    OLDER_OF_PIPECAT: astronaut,
}
"""The ids of the contract, and whom they show."""

PRIMARY = {astronaut: AspectRatio.SQUARE, newton: AspectRatio.LANDSCAPE, gauss: AspectRatio.PORTRAIT}
PARTS = {*AspectRatio, PREVIEW}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, detector_path: Path) -> Path:
    """A cache with the detector, in which the portraits were made."""
    folder = tmp_path_factory.mktemp("cache")
    (folder / "detector").symlink_to(detector_path.parent)
    assert make_builtins(folder)
    return folder


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    """Settings of an empty installation."""
    settings = settings_in(tmp_path / "data")
    await asyncio.to_thread(settings.data_path.mkdir)
    await migrate(settings.database_address)
    return settings


def test_portraits_are_made_once(cache: Path) -> None:
    """A second set-up makes none; each folder is whole, and nothing half-made lies beside it."""
    said: list[str] = []
    assert not make_builtins(cache, tell=said.append)
    assert said == []
    pictures = builtin_pictures(cache)
    folders = {name: folder_of(cache, picture) for name, picture in pictures.items()}
    assert {path.name for path in builtin_folder(cache).iterdir()} == {".lock", *(f.name for f in folders.values())}
    for make, primary in PRIMARY.items():
        ready = read_ready(folder_of(cache, make()))
        assert ready.primary == primary
        assert ready.portraits.keys() - {IMAGE} == PARTS
        for portrait in ready.portraits.values():
            assert pixels(portrait.jpeg).shape == (portrait.height, portrait.width, 3)
            assert len(portrait.keypoints) == 5


async def test_portraits_of_a_cache_are_those_that_are_made_anew(cache: Path, tmp_path: Path) -> None:
    """Where the cache cannot be written, and where it was damaged, they are made in memory: the very same."""
    (tmp_path / "detector").symlink_to(cache / "detector")
    builtin_folder(tmp_path).write_text("no folder, so nothing can be made in it")
    kept = await ready_builtins(cache)
    assert await ready_builtins(tmp_path) == kept
    preview = folder_of(cache, newton()) / "preview.jpg"
    sound = preview.read_bytes()
    preview.write_bytes(sound[:-1])
    with pytest.raises(ValueError, match=r"preview\.jpg was changed"):
        read_ready(preview.parent)
    assert await ready_builtins(cache) == kept
    preview.write_bytes(sound)


async def test_a_fresh_installation_has_the_ids_that_clients_send(settings: Settings, cache: Path) -> None:
    """All four are public, with every portrait in the store; a repeat says and changes nothing."""
    assert BUILTIN.keys() == PICTURES.keys()
    assert await provide_builtins(settings, cache) == "Built-in avatars were added: 4."
    store = ObjectStore(settings.storage_address)
    async with opened_shelf(settings) as shelf:
        found = {one.avatar_id: one for one in await shelf.avatars.every()}
        assert found.keys() == PICTURES.keys()
        for avatar_id, make in PICTURES.items():
            avatar = found[avatar_id]
            assert (avatar.account_id, avatar.tags, avatar.primary) == (None, ["public"], PRIMARY[make])
            assert avatar.portraits.keys() - {IMAGE} == PARTS
            assert avatar.image.width <= 1200
            for portrait in avatar.portraits.values():
                assert len(await store.get(portrait.key, portrait.sha256)) == portrait.size
    before = written(settings)
    assert await provide_builtins(settings, cache) == ""
    assert written(settings) == before


def written(settings: Settings) -> dict[str, int]:
    """When each object was written last."""
    objects = settings.data_path / "objects"
    return {str(path): path.stat().st_mtime_ns for path in objects.rglob("*") if path.is_file()}


async def test_an_avatar_that_an_operator_deleted_is_not_added_again(settings: Settings, cache: Path) -> None:
    """The others, whose rows somebody lost, are; what was deleted stays deleted."""
    await provide_builtins(settings, cache)
    async with opened_shelf(settings) as shelf:
        assert await shelf.avatars.mark_deleted(DEFAULT_OF_PIPECAT)
        await shelf.store.delete_below(pictures_of(DEFAULT_OF_PIPECAT))
        assert await shelf.avatars.forget(EXAMPLE_OF_LIVEKIT)
        assert await provide_builtins(settings, cache) == "Built-in avatars were added: 1."
        there = {one.avatar_id for one in await shelf.avatars.every()}
    assert there == PICTURES.keys() - {DEFAULT_OF_PIPECAT}
    assert not [path for path in written(settings) if DEFAULT_OF_PIPECAT in path]


async def test_what_cannot_be_had_is_a_sentence_and_leaves_nothing(
    settings: Settings, cache: Path, tmp_path: Path
) -> None:
    """No detector, an object store that is away, a host that only has the database: the rest goes on without."""
    with pytest.raises(NoBuiltinAvatarsError):
        make_builtins(tmp_path / "no-cache")
    said = await provide_builtins(settings, tmp_path / "no-cache")
    assert said.startswith("The built-in avatars were left out: a picture is missing")
    assert "`greenroom setup`" in said
    access = {"storage_access_key": "a", "storage_secret_key": "b", "storage_endpoint": "http://127.0.0.1:9"}
    away = settings_in(settings.data_path, storage_url="s3://bucket", **access)
    assert (await provide_builtins(away, cache)).startswith("The built-in avatars were left out: object store: ")
    only_database = Settings(database_url=settings.database_address)
    assert "GREENROOM_STORAGE_URL" in await provide_builtins(only_database, cache)
    async with opened_shelf(settings) as shelf:
        assert await shelf.avatars.every() == []
    assert written(settings) == {}


def test_the_migration_adds_them(tmp_path: Path, detector_path: Path) -> None:
    """Once, said in a line; on a machine without a detector the tables are made all the same."""
    environ = {"GREENROOM_DATA_DIR": str(tmp_path / "a"), "XDG_CACHE_HOME": str(cache_folder().parent)}
    (tmp_path / "a").mkdir()
    first, second = (CliRunner().invoke(main, ["migrate"], env=environ) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.output == "The database is up to date.\nBuilt-in avatars were added: 4.\n"
    assert second.output == "The database is up to date.\n"
    (tmp_path / "b").mkdir()
    bare = {"GREENROOM_DATA_DIR": str(tmp_path / "b"), "XDG_CACHE_HOME": str(tmp_path / "empty")}
    without = CliRunner().invoke(main, ["migrate"], env=bare)
    assert without.exit_code == 0
    assert "left out" in without.output
