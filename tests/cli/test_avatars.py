"""`greenroom avatars` as an operator uses it, on a database and an object store in a folder."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from adapters.object_store import ObjectStore
from cli.library.ready import ReadyAvatar, ReadyPortrait
from cli.library.shelf import Shelf, opened_shelf
from cli.main import main
from database.engine import open_engine
from database.migrations import migrate
from database.sessions import Sessions
from domain.avatars import IMAGE, PREVIEW, AspectRatio, Avatar, original_key, pictures_of
from domain.failures import SUGGESTIONS, FailureCode, Unavailable
from runtime.settings import Settings
from support.api_system import settings_in
from support.docs_commands import commands_in
from support.pictures import astronaut, cat, newton, two_faces

ROOT = Path(__file__).parents[2]
PARTS = {*AspectRatio, PREVIEW}
FILES = {"4x3.jpg", "3x4.jpg", "1x1.jpg", "preview.jpg"}
BANKS = {"bank-4x3-warp-1-1280x960.zip", "bank-3x4-warp-1-960x1280.zip", "bank-1x1-warp-1-1280x1280.zip"}
READY = ReadyAvatar(
    source_sha256="1" * 64,
    primary=AspectRatio.LANDSCAPE,
    portraits={
        profile: ReadyPortrait(jpeg=profile.encode(), width=4, height=3, keypoints=((1.0, 1.0),) * 5)
        for profile in sorted(PARTS)
    },
)
BUILTIN = "avat_01KMZHXFPBVCXA5ATK85HCP8G1"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Site:
    """An installation of some accounts without an avatar, and an operator's ways into it."""

    settings: Settings
    pictures: Path

    def call(self, *words: object, said: str | None = None, **settings: str) -> Result:
        """Run `greenroom avatars ...` in this process; `said` is typed into it."""
        environ = {"GREENROOM_DATA_DIR": self.settings.data_dir}
        environ |= {f"GREENROOM_{name.upper()}": value for name, value in settings.items()}
        return CliRunner().invoke(main, ["avatars", *map(str, words)], env=environ, input=said)

    def run(self, work: Callable[[Shelf], Awaitable[T]]) -> T:
        """Ask the stores."""

        async def asked() -> T:
            async with opened_shelf(self.settings) as shelf:
                return await work(shelf)

        return asyncio.run(asked())

    def avatars(self) -> dict[str, Avatar]:
        """Every avatar by id."""
        return {one.avatar_id: one for one in self.run(lambda shelf: shelf.avatars.every())}

    def add(self, avatar_id: str, account_id: str | None = None) -> None:
        """An avatar of no real pictures."""
        self.run(lambda shelf: shelf.add(avatar_id, account_id, READY))

    def objects(self, avatar_id: str = "") -> set[str]:
        """The names of the objects of an avatar, or of all."""
        folder = self.settings.data_path / "objects" / (pictures_of(avatar_id) if avatar_id else "avatars")
        return {path.name for path in folder.rglob("*") if path.is_file()}

    def picture(self, name: str, data: bytes) -> Path:
        """A picture's file."""
        path = self.pictures / name
        path.write_bytes(data)
        return path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An installation with the account `acct_1`, called Ada."""
    (tmp_path / "data").mkdir()
    (tmp_path / "pictures").mkdir()
    settings = settings_in(tmp_path / "data")
    asyncio.run(migrate(settings.database_address))
    made = Site(settings=settings, pictures=tmp_path / "pictures")
    made.run(lambda shelf: shelf.accounts.create("acct_1", "Ada"))
    return made


def rows(result: Result) -> list[dict[str, Any]]:
    """The lines of JSON that a command printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_folder_of_pictures_becomes_avatars(site: Site, detector_path: Path) -> None:
    """A line a picture; those that pass are the only account's, whole, with every object; the others leave nothing."""
    del detector_path
    for name, data in {"a.png": astronaut(), "b.png": cat(), "c.png": newton(), "d.jpg": b"\xff\xd8\xff"}.items():
        site.picture(name, data)
    result = site.call("import", site.pictures, "--json", keep_originals="true")
    found = {Path(row["path"]).name: row for row in rows(result)}
    assert result.exit_code == 1
    assert {name: row["verdict"] for name, row in found.items()} == {
        "a.png": "OK", "b.png": "NO_FACE", "c.png": "OK", "d.jpg": "IMAGE_DAMAGED"
    }  # fmt: skip
    avatars = site.avatars()
    assert avatars.keys() == {found["a.png"]["avatar_id"], found["c.png"]["avatar_id"]}
    for avatar_id, avatar in avatars.items():
        assert (avatar.account_id, avatar.portraits.keys() - {IMAGE}) == ("acct_1", PARTS)
        assert site.objects(avatar_id) == {*FILES, *BANKS, "image.jpg", "original"}
        assert {bank.renderer for ratio in AspectRatio for bank in avatar.portraits[ratio].banks} == {"warp"}
    assert found["b.png"]["avatar_id"] is None
    original = ObjectStore(site.settings.storage_address).get(original_key(found["c.png"]["avatar_id"]))
    assert asyncio.run(original) == newton()
    again = site.call("import", site.pictures / "a.png", "--account", "Ada")
    assert (again.exit_code, again.stdout) == (
        0, f"{site.pictures / 'a.png'}: {found['a.png']['avatar_id']} (is there already)\n"
    )  # fmt: skip
    assert site.avatars().keys() == avatars.keys()


def test_a_trusted_picture_is_not_judged(site: Site, detector_path: Path) -> None:
    """Of several faces the biggest is taken; without trust it is refused in words, and without any face either way."""
    del detector_path
    twins, no_face = site.picture("twins.png", two_faces(0.9)), site.picture("cat.png", cat())
    refused = site.call("import", twins, "--public")
    assert refused.exit_code == 1
    verdict, why, _ = refused.stdout.splitlines()
    assert verdict == f"{twins}: SEVERAL_FACES"
    assert why.endswith(SUGGESTIONS[FailureCode.SEVERAL_FACES])
    assert site.avatars() == {}
    trusted = site.call("import", twins, no_face, "--public", "--trusted", "--json")
    assert [row["verdict"] for row in rows(trusted)] == ["OK", "NO_FACE"]
    (avatar,) = site.avatars().values()
    assert (avatar.account_id, avatar.primary, avatar.tags) == (None, AspectRatio.LANDSCAPE, ["public"])


def test_a_built_in_avatar_is_replaced(site: Site, detector_path: Path) -> None:
    """Its id is taken while it is there; once deleted, another picture gets the id, its own objects, and is found."""
    del detector_path
    site.add(BUILTIN)
    picture = site.picture("newton.png", newton())
    taken = site.call("import", picture, "--public", "--id", BUILTIN)
    assert (taken.exit_code, taken.stdout) == (2, "")
    assert taken.stderr.startswith(f"greenroom: the id {BUILTIN} is not free")
    assert site.call("delete", BUILTIN, "--yes").exit_code == 0
    assert site.objects(BUILTIN) == set()
    given = site.call("import", picture, "--public", "--id", BUILTIN, renderer="still")
    assert (given.exit_code, given.stdout) == (0, f"{picture}: {BUILTIN}\n")
    avatar = site.avatars()[BUILTIN]
    assert avatar.portraits.keys() - {IMAGE} == PARTS
    assert site.objects(BUILTIN) == {*FILES, "image.jpg"}  # what stands still is not prepared

    # The renderer was changed: what is missing is prepared, once, in the video's size.
    small = {
        name.replace("1280x960", "640x480").replace("960x1280", "480x640").replace("1280x1280", "640x640")
        for name in BANKS
    }
    for settings, count, banks in (({}, 3, BANKS), ({}, 0, BANKS), ({"video_size": "640"}, 3, BANKS | small)):
        prepared = site.call("prepare", **settings)
        assert (prepared.exit_code, prepared.stdout) == (0, f"{BUILTIN}: {count}\n")
        assert site.objects(BUILTIN) == {*FILES, *banks, "image.jpg"}
    nobody = site.call("prepare", renderer="nobody")
    assert nobody.exit_code == 1
    assert "there is no renderer 'nobody'" in nobody.stdout
    assert site.call("delete", BUILTIN, "--yes").exit_code == 0
    assert site.objects(BUILTIN) == set()


def test_the_page_on_avatars(site: Site, detector_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of operations.md one after the other, in a folder with the pictures that they name."""
    del detector_path
    monkeypatch.chdir(site.pictures)
    (site.pictures / "portraits").mkdir()
    for name, data in {"portraits/a.png": astronaut(), "sara.jpg": astronaut(), "painting.png": newton()}.items():
        site.picture(name, data)
    site.run(lambda shelf: shelf.accounts.create("local", "local"))
    site.add(BUILTIN)
    for words in commands_in("operations.md", "Avatars"):
        result = site.call(*words[1:], said="y\n", renderer="still")
        assert (words[0], result.exit_code) == ("avatars", 0), result.output
    assert "PUBLIC/Avatars/sara-office" in site.avatars()
    assert BUILTIN not in site.avatars()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--public", "--account", "Ada"], "not both"),
        (["--id", "avat_"], "cannot be an id"),
        (["--public", "--id", "PUBLIC/Avatars/a/b"], "cannot be an id"),
        (["--public", "--id", "PUBLIC/Avatars/.."], "cannot be an id"),
        (["--public", "--id", "PUBLIC/Avatars"], "cannot be an id"),
        (["--id", "PUBLIC/Avatars/sara"], "for --public avatars"),
        (["--public", "--id", "avat_1", "another.png"], "--id names one avatar"),
        (["--account", "nobody"], "there is no account nobody"),
        (["--account", "Eve"], "several accounts are called Eve; say which: acct_2, acct_3"),
        ([], "there are several accounts: say whose they are by --account or --public"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(site: Site, words: list[str], said: str) -> None:
    """Before any picture is looked at; exit code 2, nothing stored."""
    for account_id in ("acct_2", "acct_3"):
        site.run(lambda shelf, one=account_id: shelf.accounts.create(one, "Eve"))
    result = site.call("import", site.picture("a.png", astronaut()), *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert site.avatars() == {}


def test_what_is_in_the_way_is_a_sentence(site: Site, tmp_path: Path) -> None:
    """No database yet, a picture that is not there, a setting that is wrong: exit code 2 each, and no database made."""
    picture = site.picture("a.png", astronaut())
    elsewhere = tmp_path / "elsewhere"
    for words in (["list"], ["import", picture], ["delete", "avat_1"]):
        result = site.call(*words, "--data-dir", elsewhere, data_dir=str(elsewhere))
        assert (result.exit_code, result.stdout) == (2, "")
        assert "there is no database yet: run `greenroom migrate`" in result.stderr
    assert not elsewhere.exists()
    missing = site.call("import", tmp_path / "gone.png")
    assert (missing.exit_code, missing.stderr) == (2, f"greenroom: {tmp_path / 'gone.png'}: no such file or folder\n")
    wrong = site.call("list", video_fps="many")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "GREENROOM_VIDEO_FPS" in wrong.stderr


def test_a_list_shows_whose_avatars_there_are(site: Site) -> None:
    """Public ones first; as a table for people, as a line of JSON each for scripts; one account's on request."""
    site.add("avat_1", "acct_1")
    site.add("PUBLIC/Avatars/sara")
    listed = rows(site.call("list", "--json"))
    assert [(row["avatar_id"], row["account_id"]) for row in listed] == [
        ("PUBLIC/Avatars/sara", None), ("avat_1", "acct_1")
    ]  # fmt: skip
    assert listed[0].keys() == {"avatar_id", "account_id", "tags", "primary", "portraits", "created_at"}
    assert [row["avatar_id"] for row in rows(site.call("list", "--account", "Ada", "--json"))] == ["avat_1"]
    table = site.call("list").stdout
    assert table.startswith("Avatars: 2")
    assert table.index("PUBLIC/Avatars/sara") < table.index("avat_1")
    assert "1:1, 3:4, 4:3" in table


def test_an_avatar_is_deleted_by_its_operator(site: Site) -> None:
    """After a question that says whose it is; another of a similar id keeps its pictures. A repeat finds none."""
    for avatar_id in ("PUBLIC/Avatars/sara", "PUBLIC/Avatars/sara-office"):
        site.add(avatar_id)
    no = site.call("delete", "PUBLIC/Avatars/sara", said="n\n")
    assert (no.exit_code, "(public)" in no.stdout, len(site.avatars())) == (1, True, 2)
    yes = site.call("delete", "PUBLIC/Avatars/sara", said="y\n")
    assert (yes.exit_code, yes.stdout.splitlines()[-1]) == (0, "The avatar and its pictures are deleted.")
    assert site.avatars().keys() == {"PUBLIC/Avatars/sara-office"}
    assert (site.objects("PUBLIC/Avatars/sara"), site.objects("PUBLIC/Avatars/sara-office")) == (set(), FILES)
    again = site.call("delete", "PUBLIC/Avatars/sara", "--yes")
    assert (again.exit_code, again.stderr) == (2, "greenroom: there is no avatar PUBLIC/Avatars/sara\n")


def test_a_session_keeps_the_picture_of_a_deleted_avatar(site: Site) -> None:
    """The operator is told so, and its id is not free meanwhile."""
    site.add("avat_1", "acct_1")

    async def admit() -> None:
        engine = open_engine(site.settings.database_address)
        await Sessions(engine).admit(
            session_id="sess_1",
            account_id="acct_1",
            avatar_id="avat_1",
            aspect_ratio=AspectRatio.LANDSCAPE,
            metadata={},
            remaining_seconds=30,
        )
        await engine.dispose()

    asyncio.run(admit())
    result = site.call("delete", "avat_1", "--yes")
    assert (result.exit_code, "A session still shows it" in result.stdout) == (0, True)
    assert (site.avatars(), site.objects("avat_1")) == ({}, FILES)
    taken = site.call("import", site.picture("a.png", astronaut()), "--id", "avat_1")
    assert (taken.exit_code, "a session still shows" in taken.stderr) == (2, True)


def test_an_avatar_without_a_row_leaves_no_picture(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored goes where the row cannot be written; so does a second copy of what the account has already."""

    async def away(*_: object) -> str:
        raise Unavailable("database: gone")

    site.add("avat_1", "acct_1")
    site.add("avat_2", "acct_1")
    assert (site.avatars().keys(), site.objects("avat_2")) == ({"avat_1"}, set())
    with monkeypatch.context() as patched:
        patched.setattr("database.avatars.Avatars.register", away)
        with pytest.raises(Unavailable, match="gone"):
            site.add("avat_3")
    assert (site.avatars().keys(), site.objects("avat_3"), site.objects("avat_1")) == ({"avat_1"}, set(), FILES)


def test_help_imports_no_heavy_library() -> None:
    """Neither pictures and faces nor the database are loaded for words alone."""
    source = (
        "import sys; from cli.main import main\n"
        "try: main(['avatars', 'import', '--help'])\n"
        "except SystemExit: print(sorted({'PIL', 'cv2', 'numpy', 'insightface', 'sqlalchemy'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.splitlines()[-1] == "[]"
