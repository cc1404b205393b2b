"""`greenroom faces check` as an operator sees it: verdicts, exit codes, and files that never hit a source."""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from adapters.face_alignment import PortraitMaker
from adapters.image_decoding import ImageDecoder
from cli.face_checker import FaceChecker
from cli.face_pictures import PictureSaver
from cli.main import main
from domain.failures import SUGGESTIONS, FailureCode
from domain.portraits import FRAMINGS
from support.docs_commands import shell_blocks, words_of
from support.pictures import SKIMAGE, astronaut, cat, newton, pixels, two_faces

ROOT = Path(__file__).parents[2]

POINT_COLOUR = (255, 32, 96)

VERDICTS = {
    "a-marked.jpg": "IMAGE_TYPE_UNSUPPORTED",
    "a.png": "OK",
    "cut.jpg": "IMAGE_DAMAGED",
    "deeper/a.PNG": "OK",
    "large.gif": "IMAGE_TOO_LARGE",
    "no-face.png": "NO_FACE",
    "twins.webp": "SEVERAL_FACES",
}
"""By the path below the folder, in the order in which they are told."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A command that has ended, and the folder that it looked at and wrote into."""

    result: Result
    folder: Path
    before: dict[str, str]
    """Hash of each picture before the command ran."""


def check(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["faces", "check", *map(str, arguments)])


def hashes(folder: Path) -> dict[str, str]:
    """What the known files hold."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in VERDICTS}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, detector_path: Path) -> Run:
    """One run over a folder of everything, its pictures saved into that same folder."""
    del detector_path
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "deeper").mkdir()
    (folder / "a-marked.jpg").write_text("a page that somebody called a picture")
    (folder / "a.png").write_bytes(astronaut())
    (folder / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (folder / "deeper" / "a.PNG").write_bytes(newton())
    (folder / "large.gif").write_bytes(b"GIF89a".ljust(10 * 2**20 + 1, b"\0"))
    (folder / "no-face.png").write_bytes(cat())
    (folder / "notes.txt").write_text("no picture, and not called one")
    (folder / "twins.webp").write_bytes(two_faces())  # a PNG in truth: bytes count, names do not
    before = hashes(folder)
    result = check(folder, "--json", "--save-aligned", folder, "--save-marked", folder)
    return Run(result=result, folder=folder, before=before)


def test_a_folder_gives_a_line_of_json_a_picture(ran: Run) -> None:
    """Every picture below the folder in order, each with path, verdict and details, and nothing else on stdout."""
    rows = [json.loads(line) for line in ran.result.stdout.splitlines()]
    assert {str(Path(row["path"]).relative_to(ran.folder)): row["verdict"] for row in rows} == VERDICTS
    assert [Path(row["path"]) for row in rows] == [ran.folder / name for name in VERDICTS]
    assert {frozenset(row) for row in rows} == {frozenset({"path", "verdict", "details"})}
    assert ran.result.exit_code == 1


def test_details_say_what_was_measured(ran: Run) -> None:
    """An accepted face has its measures; a refused one besides which limit it missed."""
    details = {row["path"]: row["details"] for row in map(json.loads, ran.result.stdout.splitlines())}
    accepted, twins = details[str(ran.folder / "a.png")], details[str(ran.folder / "twins.webp")]
    assert accepted.keys() == twins.keys() - {"failed", "measured", "limit"}
    assert (accepted["faces"], len(accepted["boxes"])) == (1, 1)
    assert (twins["failed"], twins["limit"], len(twins["boxes"])) == ("second_area", 0.25, 2)
    assert details[str(ran.folder / "large.gif")] == {"bytes": 10 * 2**20 + 1, "limit": 10 * 2**20}


def test_portraits_and_copies_hit_no_source(ran: Run) -> None:
    """Names go round what is there: `a-marked.jpg` is a source, and two sources are called `a`."""
    assert hashes(ran.folder) == ran.before
    written = {path.name for path in ran.folder.glob("*.jpg")} - VERDICTS.keys()
    profiles = [profile.replace(":", "x") for profile in FRAMINGS]
    portraits = {f"{name}-{profile}.jpg" for name in ("a-2", "a-3") for profile in profiles}
    assert written == portraits | {f"{name}-marked.jpg" for name in ("a-2", "a-3", "no-face", "twins")}
    assert pixels((ran.folder / "a-2-4x3.jpg").read_bytes()).shape == (960, 1280, 3)


def test_a_marked_copy_shows_box_and_points(ran: Run) -> None:
    """The astronaut's box is drawn in green where the details say, below the strip with the verdict."""
    rows = [json.loads(line) for line in ran.result.stdout.splitlines()]
    left, top, right, bottom = next(row for row in rows if row["path"].endswith("a.png"))["details"]["boxes"][0]
    copy = pixels((ran.folder / "a-2-marked.jpg").read_bytes()).astype(int)
    strip = copy.shape[0] - 512
    assert strip > 0
    red, green, blue = copy[strip + (top + bottom) // 2, left]
    assert green > max(red, blue) + 60
    points = np.abs(copy - POINT_COLOUR).max(axis=2) < 30
    assert points[strip + top : strip + bottom, left:right].sum() >= 5 * 9
    assert not points[: strip + top].any()


def test_people_read_verdict_rule_and_help(ran: Run) -> None:
    """A missing file is named on stderr and the others go on; the exit code is that of what could not be read."""
    missing = ran.folder / "missing.png"
    result = check(missing, ran.folder / "twins.webp", ran.folder / "a.png")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [f"greenroom: {missing}: no such file or folder"]
    refused, why, measures, accepted, also_measured = result.stdout.splitlines()
    assert refused == f"{ran.folder / 'twins.webp'}: SEVERAL_FACES"
    assert "(second_area 1.0, limit 0.25)" in why or "(second_area 0.9" in why
    assert why.endswith(SUGGESTIONS[FailureCode.SEVERAL_FACES])
    assert accepted == f"{ran.folder / 'a.png'}: OK"
    assert measures.startswith("  faces 2, score 0.")
    assert "unit 43.0 px" in also_measured


def test_all_accepted_is_exit_code_0(ran: Run) -> None:
    """A picture that is accepted alone ends well, and says nothing on stderr."""
    result = check("--json", ran.folder / "a.png")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout)["verdict"] == "OK"


def test_a_file_that_cannot_be_read_has_no_verdict(ran: Run) -> None:
    """It is named on stderr with the system's reason, the next one is looked at, and the exit code is 2."""
    unreadable = "/proc/self/mem"  # for root too, which may read whatever modes forbid
    result = check("--json", unreadable, ran.folder / "a.png")
    assert (result.exit_code, result.stderr) == (2, f"greenroom: {unreadable}: Input/output error\n")
    assert [json.loads(line)["verdict"] for line in result.stdout.splitlines()] == ["OK"]


async def test_a_decoder_that_fails_is_no_verdict(portrait_maker: PortraitMaker, tmp_path: Path) -> None:
    """What is wrong with this machine is not blamed on the picture."""
    picture = tmp_path / "a.png"
    picture.write_bytes(astronaut())
    decoder = ImageDecoder()
    await decoder.aclose()
    saver = PictureSaver([picture], aligned_to=None, marked_to=None)
    said = await FaceChecker(maker=portrait_maker, decoder=decoder, saver=saver).check(picture)
    assert said == f"{picture}: The picture decoder is closed"


@pytest.mark.parametrize("number", [10, 12])
def test_many_pictures_tell_progress(tmp_path: Path, detector_path: Path, number: int) -> None:
    """Without a terminal every tenth picture and the last are told, on stderr only."""
    del detector_path
    for index in range(number):
        (tmp_path / f"{index:02}.jpg").write_text("none")
    result = check(tmp_path, "--json")
    told = dict.fromkeys([10, number])
    assert result.stderr.splitlines() == [f"{done} of {number} pictures" for done in told]
    assert len(result.stdout.splitlines()) == number


def test_nothing_to_look_at_is_exit_code_2(tmp_path: Path) -> None:
    """An empty folder and a missing file are said in a sentence each; no argument at all is a wrong use."""
    result = check(tmp_path, tmp_path / "gone.png")
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 2
    assert check().exit_code == 2


def test_trouble_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that is missing and a folder that cannot be made end the command with 2 and no traceback."""
    picture = tmp_path / "a.png"
    picture.write_bytes(b"none")
    result = check(picture, "--save-marked", picture / "below")
    assert (result.exit_code, result.stderr) == (2, f"greenroom: {picture / 'below'}: Not a directory\n")
    monkeypatch.setenv("GREENROOM_FACE_MODEL", str(tmp_path / "missing.onnx"))
    result = check(picture)
    assert result.exit_code == 2
    assert "missing.onnx is not a file" in result.stderr
    assert "Traceback" not in result.output


def test_help_imports_no_heavy_library() -> None:
    """The libraries of pictures and faces take seconds: only a check loads them."""
    source = (
        "import sys; from cli.main import main\n"
        "try: main(['faces', 'check', '--help'])\n"
        "except SystemExit: print(sorted({'PIL', 'cv2', 'numpy', 'insightface', 'temporalio'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_the_page_on_faces(tmp_path: Path, detector_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that faces.md shows says what it shows there, to the last hundredth."""
    del detector_path
    [block] = shell_blocks("faces.md")
    _, _, shown = block.text.partition("\n")
    (tmp_path / "camera.png").write_bytes((SKIMAGE / "camera.png").read_bytes())
    (tmp_path / "newton.png").write_bytes(newton())
    monkeypatch.chdir(tmp_path)
    [line] = block.lines
    said = CliRunner().invoke(main, words_of(line, "greenroom")).stdout
    number = re.compile(r"-?\d+\.\d+")
    assert number.sub("#", said) == number.sub("#", shown)
    assert [float(one) for one in number.findall(said)] == pytest.approx(
        [float(one) for one in number.findall(shown)], rel=0.01
    )
