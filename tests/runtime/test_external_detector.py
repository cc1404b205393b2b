"""Fetching the face detector's archive: once, checked, or a sentence."""

import sys
from pathlib import Path

import pytest

from runtime.external import detector
from runtime.external.commands import CommandFailedError, run_told
from runtime.external.detector import download_archive, ensure_detector
from runtime.external.found import MissingPartError


def test_detector_that_is_ready_is_not_fetched_again(tmp_path: Path) -> None:
    """A ready cache makes set-up do nothing at all."""
    done = ensure_detector(
        tmp_path / "d", is_ready=lambda: True, extract=lambda _: None, environ={}, tell=lambda _: None
    )
    assert done is False
    assert not (tmp_path / "d").exists()


def test_archive_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the index sends is compared with the pin, even when the client was satisfied."""
    fake_pip = tmp_path / "python"
    fake_pip.write_text(f"#!/bin/sh\nprintf wrong > {tmp_path}/{detector.ARCHIVE}\n")
    fake_pip.chmod(0o755)
    monkeypatch.setattr(detector, "_python_with_pip", lambda *_: str(fake_pip))
    with pytest.raises(MissingPartError, match="not the one that was pinned"):
        download_archive(tmp_path, environ={}, tell=lambda _: None)


def test_index_that_cannot_be_reached_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own last words stand in the error, and nothing is extracted."""
    fake_pip = tmp_path / "python"
    fake_pip.write_text("#!/bin/sh\necho no route to the index\nexit 1\n")
    fake_pip.chmod(0o755)
    monkeypatch.setattr(detector, "_python_with_pip", lambda *_: str(fake_pip))
    extracted: list[Path] = []
    with pytest.raises(MissingPartError, match="no route to the index"):
        ensure_detector(
            tmp_path / "d", is_ready=lambda: False, extract=extracted.append, environ={}, tell=lambda _: None
        )
    assert extracted == []
    assert [found.name for found in (tmp_path / "d").iterdir()] == [".lock"]


def test_program_that_hangs_is_killed() -> None:
    """A fetch has a limit, whatever the program does."""
    with pytest.raises(CommandFailedError, match="ended with code -9"):
        run_told([sys.executable, "-c", "import time; time.sleep(60)"], tell=lambda _: None, within_s=0.5, environ={})
