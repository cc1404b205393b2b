"""The doctor: a sentence for each fault, and nothing mended or made."""

import json
from pathlib import Path

from click.testing import CliRunner
from temporalio.client import Client

from cli.doctor import examine
from cli.main import main
from contracts.reconciling import EVERY, SCHEDULE_ID
from support.api_system import ApiSystem, environment, settings_in
from worker.reconciling import schedule

PARTS = ["settings", "keys", "parts on disk", "database", "object store", "Temporal"]
WORKERS = ["sessions worker", "faces worker", "avatar servers", "API"]


def environ_of(api: ApiSystem, temporal: dict[str, str]) -> dict[str, str]:
    """A running system's settings as an environment."""
    settings = api.settings
    return {
        **temporal,
        "GREENROOM_DATA_DIR": settings.data_dir,
        "GREENROOM_SERVER_KEYS": settings.server_keys,
        "GREENROOM_SEALING_KEYS": settings.sealing_keys,
    }


async def test_a_system_that_runs_is_found_well(api_system: ApiSystem, temporal_apart: Client) -> None:
    """Every part but the API, which this system serves without a port, is there."""
    wanted = schedule(EVERY)
    wanted.state.paused = True  # nothing of this test is to be reconciled
    handle = await temporal_apart.create_schedule(SCHEDULE_ID, wanted)
    found = {one.part: one for one in await examine(environ_of(api_system, environment(temporal_apart)))}
    await handle.delete()
    assert list(found) == [*PARTS, *WORKERS]
    assert {part for part, one in found.items() if not one.ok} <= {"API", "parts on disk"}
    assert "3 slots" in found["avatar servers"].text


async def test_each_fault_has_a_sentence_that_helps(tmp_path: Path) -> None:
    """A machine on which nothing runs: every finding says what to do, and no database is made by looking."""
    nobody = {"TEMPORAL_ADDRESS": "127.0.0.1:9", "GREENROOM_DATA_DIR": str(tmp_path), "GREENROOM_PORT": "9"}
    found = {one.part: one for one in await examine(nobody)}
    assert "GREENROOM_SERVER_KEYS" in found["keys"].text
    assert "greenroom migrate" in found["database"].text
    assert "TEMPORAL_ADDRESS" in found["Temporal"].text
    assert "greenroom api" in found["API"].text
    assert not (tmp_path / "greenroom.db").exists()
    assert not any(found[part].ok for part in ("keys", "database", "Temporal", *WORKERS))


async def test_a_wrong_setting_comes_first() -> None:
    """Without settings there is nothing to look at; the variable is named, its value is not."""
    found = await examine({"GREENROOM_PORT": "secret-number"})
    assert [one.ok for one in found] == [False]
    assert "port" in found[0].text.lower()
    assert "secret-number" not in found[0].text


def test_the_command_speaks_json_and_exits_with_one(tmp_path: Path) -> None:
    """For scripts: one line, and the exit code tells whether all is well."""
    settings = settings_in(tmp_path)
    environ = {"GREENROOM_DATA_DIR": settings.data_dir, "TEMPORAL_ADDRESS": "127.0.0.1:9", "GREENROOM_PORT": "9"}
    result = CliRunner().invoke(main, ["doctor", "--json", "--data-dir", str(tmp_path)], env=environ)
    assert result.exit_code == 1
    answer = json.loads(result.output)
    assert answer["ok"] is False
    assert {"part", "ok", "text"} == set(answer["findings"][0])
