"""A role's process: its exit codes, and that it leaves without the tear-down that native threads do not survive."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
from temporalio.client import Client

from database.migrations import migrate
from support.api_system import environment, settings_in

ROOT = Path(__file__).parents[2]
WITHIN_S = 120.0
"""A process takes a second or two to import everything; a machine that is busy, much longer."""
SCRIPT = "import atexit, sys; from worker.__main__ import main; atexit.register(print, 'torn down'); main(sys.argv[1])"


async def started(role: str, settings: dict[str, str]) -> Process:
    """A process of a role."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("GREENROOM_", "TEMPORAL_"))}
    environ = {**usual, **settings, "PYTHONPATH": str(ROOT)}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT, role), env=environ, stdout=PIPE, stderr=PIPE
    )


async def ended(process: Process) -> tuple[int | None, str, str]:
    """Exit code and what was said on standard output and standard error."""
    try:
        out, trouble = await asyncio.wait_for(process.communicate(), WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, out.decode(), trouble.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopped_role_exits_with_0(temporal_versioned: Client, tmp_path: Path, number: signal.Signals) -> None:
    """It says ready once, and after the signal it is gone, at once when everything is closed."""
    await migrate(settings_in(tmp_path).database_address)
    process = await started("sessions", {"GREENROOM_DATA_DIR": str(tmp_path), **environment(temporal_versioned)})
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), WITHIN_S) == b"ready\n"
    process.send_signal(number)
    code, out, _ = await ended(process)
    assert (code, out) == (0, "")


async def test_a_wrong_setting_is_a_sentence_and_exit_code_2() -> None:
    """No traceback: the operator reads which variable it is."""
    code, out, trouble = await ended(await started("sessions", {"GREENROOM_PORT": "eighty"}))
    assert (code, out) == (2, "")
    assert trouble.startswith("greenroom: GREENROOM_PORT is wrong")
    assert "Traceback" not in trouble


@pytest.mark.parametrize(
    ("role", "settings", "code", "said"),
    [
        ("faces", {"GREENROOM_FACE_MODEL": "/nowhere/missing.onnx"}, 2, "missing.onnx"),
        ("sessions", {"GREENROOM_STORAGE_URL": "carrier-pigeon://loft"}, 1, "the role sessions failed"),
    ],
    ids=["known", "unknown"],
)
async def test_a_role_that_cannot_start_says_why(
    temporal_versioned: Client, tmp_path: Path, role: str, settings: dict[str, str], code: int, said: str
) -> None:
    """A mistake that we know is a sentence and 2, any other failure is 1; a supervisor sees either at once."""
    environ = {"GREENROOM_DATA_DIR": str(tmp_path), **settings, **environment(temporal_versioned)}
    found, out, trouble = await ended(await started(role, environ))
    assert (found, out) == (code, "")
    assert said in trouble
