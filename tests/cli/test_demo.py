"""`greenroom demo` as a newcomer sees it: the whole system in a process of its own, and one real session."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.face_alignment import PortraitMaker
from cli.main import main
from support import pictures
from support.portrait_pictures import SAME_WITHIN, picture_distance
from support.processes import left_after, mark_of
from support.real_system import require_real_parts

ROOT = Path(__file__).parents[2]
WITHIN_S = 120
KEYS = {
    "session_id", "status", "create_ms", "first_frame_ms", "frame_width", "frame_height", "frames_received",
    "workflow_id", "frame_png", "watch_url",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Played:
    """A demo that has ended."""

    code: int
    output: str
    progress: str
    mark: str
    folder: Path

    @property
    def report(self) -> dict[str, Any]:
        """The last line."""
        return dict(json.loads(self.output.splitlines()[-1]))


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """One run of `greenroom demo --once`, from a shell in another folder."""
    require_real_parts(os.environ)
    folder = tmp_path_factory.mktemp("demo")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")}
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("greenroom")), "demo", "--once", "--ports", "free", "--data-dir", "data"],
        cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        mark = _mark(process)
        output, progress = process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()
        process.communicate()
    return Played(code=process.returncode, output=output, progress=progress, mark=mark, folder=folder)


def _mark(process: "subprocess.Popen[str]") -> str:
    while process.poll() is None:
        try:
            return mark_of(process.pid)
        except LookupError:
            continue
    raise AssertionError(process.communicate()[1])


def test_once_ends_well_and_reports(played: Played) -> None:
    """It exits 0; the last line is JSON with everything that was promised, in plausible numbers."""
    assert played.code == 0, played.progress
    report = played.report
    assert report.keys() >= KEYS
    assert report["status"] == "ended"
    assert report["workflow_id"] == report["session_id"]
    assert report["session_id"].startswith("sess_")
    assert "/watch/lnk_" in report["watch_url"]
    assert (report["frame_width"], report["frame_height"]) == (1280, 960)
    assert 0 < report["create_ms"] < report["first_frame_ms"] < 20_000
    assert report["frames_received"] > 25


def test_the_frame_shows_the_portrait(played: Played, portrait_maker: PortraitMaker) -> None:
    """The PNG is what the viewer received: the astronaut, aligned at 4:3, and not her mirror image."""
    seen = pictures.pixels(Path(played.folder, played.report["frame_png"]).read_bytes())
    made = portrait_maker.make(pictures.pixels(pictures.astronaut()), wanted=["4:3"])
    expected = pictures.pixels(made.pictures["4:3"].jpeg)
    assert seen.shape == (960, 1280, 3)
    assert picture_distance(seen, expected) < SAME_WITHIN / 2
    assert picture_distance(seen, expected[:, ::-1]) > SAME_WITHIN
    assert picture_distance(seen, expected[:, :, ::-1]) > SAME_WITHIN


def test_nothing_is_left_running(played: Played) -> None:
    """When the command returns, no process of its run lives, not even the binaries' own children."""
    assert left_after(played.mark, 1) == []


def test_it_tells_what_happened(played: Played) -> None:
    """Progress goes to standard error; the report shows the session, the time of each step and the workflow's link."""
    for what in ("start Temporal", "upload a portrait", "create a session", "first full-size frame", "end the session"):
        assert what in played.progress
        assert what not in played.output
    session = played.report["session_id"]
    for what in (session, f"/workflows/{session}/", "join_room", "record_started", "frames seen"):
        assert what in played.output
    for shown in (played.output, played.progress):
        assert "eyJ" not in shown  # how every JSON Web Token begins
        assert "Traceback" not in shown


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` says what the command does and what each option means."""
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert "play a customer who sees one real avatar in one real room" in said
    for option in ("--once", "--data-dir", "--ports"):
        assert option in said
