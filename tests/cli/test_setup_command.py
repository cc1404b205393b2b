"""`greenroom setup` as an operator sees it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP = "from cli.setup_command import setup_command; setup_command()"


def _setup(*arguments: str, **changed: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", SETUP, *arguments], cwd=ROOT, env={**os.environ, **changed}, capture_output=True,
        text=True, check=False, timeout=60,
    )  # fmt: skip


def test_setup_reports_every_part_as_json() -> None:
    """One line of JSON names the parts, each with a path that exists."""
    ended = _setup("--json")
    if ended.returncode and os.environ.get("CI") != "true":
        pytest.skip(ended.stderr.strip())
    parts = json.loads(ended.stdout)
    names = ["Temporal dev server", "LiveKit server", "Face detector", "Built-in avatars"]
    assert [part["name"] for part in parts] == names
    assert all(Path(part["path"]).exists() for part in parts)


def test_missing_server_is_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    """Where no part can be had, set-up says what to install and fails."""
    ended = _setup(XDG_CACHE_HOME=str(tmp_path), PATH=str(tmp_path), HTTPS_PROXY="http://127.0.0.1:1")
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("Error: No LiveKit server can be had: install livekit-server")
    assert "Traceback" not in ended.stderr


def test_setup_imports_no_heavy_library() -> None:
    """Looking at a ready cache loads neither the face library nor an HTTP client."""
    source = (
        "import sys; from cli.setup_command import find_parts; import os\n"
        "try: find_parts(os.environ, tell=lambda _: None)\n"
        "finally: print(sorted({'insightface', 'onnx', 'onnxruntime', 'httpx', 'temporalio'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    if ended.returncode and os.environ.get("CI") != "true":
        pytest.skip(ended.stderr.strip().splitlines()[-1])
    assert ended.stdout.strip() == "[]"
