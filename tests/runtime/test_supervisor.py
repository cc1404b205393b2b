"""The supervisor, with small programs as parts."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.supervision.part import BackOff, Part, PartFailedError
from runtime.supervision.readiness import AnswersAt, ListensOn, Ready, Says
from runtime.supervisor import RUN, Supervisor
from runtime.system.ports import free_port
from support.processes import gone_within, is_alive, left_after, marked

QUICK = BackOff(first_s=0.05, most_s=0.2, calm_s=60)
READY = "print('ready', flush=True)\n"
SLEEP = "import time\ntime.sleep(60)\n"


def _part(name: str, source: str, *, ready: Ready | None = None, within: float = 10, stop: float = 5) -> Part:
    return Part(
        name=name,
        command=(sys.executable, "-c", source),
        environ=dict(os.environ),
        ready=ready or Says(text="ready"),
        ready_within_s=within,
        stop_within_s=stop,
        back_off=QUICK,
    )


class Stage:
    """A supervisor and what it announced."""

    def __init__(self, logs: Path) -> None:
        """Nothing runs yet."""
        self.said: list[tuple[str, str]] = []
        self.logs = logs
        self.supervisor = Supervisor(logs=logs, announce=lambda part, text: self.said.append((part, text)))


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage that must leave no process behind."""
    made = Stage(tmp_path / "logs")
    yield made
    await made.supervisor.aclose()
    assert left_after(made.supervisor.run, 1) == []


async def test_part_is_ready_when_it_says_so(stage: Stage) -> None:
    """Start returns only after the ready line, and the process carries the run's mark."""
    source = f"import time; time.sleep(.3)\nopen({str(stage.logs / 'flag')!r}, 'w').close()\n{READY}{SLEEP}"
    await stage.supervisor.start(_part("one", source))
    assert (stage.logs / "flag").exists()
    pid = stage.supervisor.pid("one")
    assert [process.pid for process in marked(stage.supervisor.run)] == [pid]


@pytest.mark.parametrize("kind", ["tcp", "http"])
async def test_part_is_ready_when_its_port_answers(stage: Stage, kind: str) -> None:
    """A port that listens, or an address that answers 200, makes a part ready."""
    port = free_port(set())
    ready = ListensOn(host="127.0.0.1", port=port) if kind == "tcp" else AnswersAt(url=f"http://127.0.0.1:{port}/")
    source = f"import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"
    await stage.supervisor.start(_part("one", source, ready=ready))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    assert not reader.at_eof()


async def test_killed_part_comes_back_and_it_is_announced(stage: Stage) -> None:
    """A death is announced with its cause and the part runs again under a new number."""
    await stage.supervisor.start(_part("one", READY + SLEEP))
    first = stage.supervisor.kill("one")
    await asyncio.wait_for(stage.supervisor.wait_ready("one"), 5)
    second = stage.supervisor.pid("one")
    assert second not in {None, first}
    [(part, text)] = stage.said
    assert part == "one"
    assert text.startswith("was ended by SIGKILL after ")
    assert "starting it again in 0.1 s" in text or "in 0.0 s" in text


async def test_other_parts_are_not_touched_by_a_death(stage: Stage) -> None:
    """One part's death leaves the others as they are."""
    await stage.supervisor.start(_part("one", READY + SLEEP), _part("two", READY + SLEEP))
    untouched = stage.supervisor.pid("two")
    stage.supervisor.kill("one")
    await asyncio.wait_for(stage.supervisor.wait_ready("one"), 5)
    assert stage.supervisor.pid("two") == untouched


async def test_a_second_part_of_one_name_is_refused(stage: Stage) -> None:
    """The first would be left behind, and started again for ever; once it is stopped, the name is free."""
    await stage.supervisor.start(_part("one", READY + SLEEP))
    pid = stage.supervisor.pid("one")
    for parts in ([_part("two", READY + SLEEP), _part("one", READY + SLEEP)], [_part("two", READY + SLEEP)] * 2):
        with pytest.raises(ValueError, match="kept already"):
            await stage.supervisor.start(*parts)
    assert [process.pid for process in marked(stage.supervisor.run)] == [pid]
    await stage.supervisor.stop("one")
    await stage.supervisor.start(_part("one", READY + SLEEP))
    assert stage.supervisor.pid("one") != pid


async def test_part_that_cannot_start_fails_with_its_last_words(stage: Stage) -> None:
    """Three deaths before it was ever ready end the start, and the error says what the part said."""
    with pytest.raises(PartFailedError, match=r"(?s)broken does not start.*code 3.*no such table"):
        await stage.supervisor.start(_part("broken", "import sys; print('no such table'); sys.exit(3)"))


async def test_program_that_does_not_exist_fails_the_start(stage: Stage) -> None:
    """A missing program is the same sentence, not an OSError from within."""
    part = Part(name="gone", command=("/nowhere/at-all",), environ={}, ready=Says(text="ready"), back_off=QUICK)
    with pytest.raises(PartFailedError, match="cannot be started: No such file"):
        await stage.supervisor.start(part)


async def test_part_that_never_becomes_ready_fails(stage: Stage) -> None:
    """A part that runs but is never ready is ended and tried again, then given up."""
    with pytest.raises(PartFailedError, match="dull does not start"):
        await stage.supervisor.start(_part("dull", SLEEP, within=0.3))
    assert ("dull", "not ready after 0 s; ending it") in stage.said


async def test_parts_stop_in_the_order_asked_for(stage: Stage, tmp_path: Path) -> None:
    """The second part is asked to end only after the first has ended."""
    ends = tmp_path / "ends"
    source = (
        "import os, signal, sys, time\n"
        "def end(*_):\n    time.sleep(.2)\n    open({ends!r}, 'a').write({name!r})\n    os._exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n" + READY + SLEEP
    )
    parts = [_part(name, source.format(ends=str(ends), name=name)) for name in "abc"]
    await stage.supervisor.start(*parts)
    await stage.supervisor.stop("b", "a", "c")
    assert ends.read_text() == "bac"


async def test_stubborn_part_is_killed_when_its_time_is_over(stage: Stage) -> None:
    """A part that ignores SIGTERM is killed, and so is the child it leaves behind."""
    source = (
        "import signal, subprocess, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n" + READY + SLEEP
    )
    await stage.supervisor.start(_part("one", source, stop=0.3))
    assert len(marked(stage.supervisor.run)) == 2
    await asyncio.wait_for(stage.supervisor.stop("one"), 6)
    assert left_after(stage.supervisor.run, 1) == []


async def test_part_is_not_started_again_while_it_is_stopped(stage: Stage) -> None:
    """Stop during the back-off leaves it stopped."""
    part = Part(
        name="one", command=(sys.executable, "-c", READY + SLEEP), environ=dict(os.environ), ready=Says(text="ready"),
        back_off=BackOff(first_s=30, most_s=30),
    )  # fmt: skip
    await stage.supervisor.start(part)
    pid = stage.supervisor.kill("one")
    assert gone_within(pid, 2)
    await asyncio.sleep(0.3)
    await asyncio.wait_for(stage.supervisor.stop("one"), 2)
    assert marked(stage.supervisor.run) == []


async def test_output_is_kept_with_its_errors_shown(stage: Stage) -> None:
    """Every line goes to the part's log; a line that looks like an error is announced too."""
    source = "print('quiet'); print('2026 ERROR disk is full')\n" + READY + SLEEP
    await stage.supervisor.start(_part("one", source))
    await stage.supervisor.stop("one")
    log = (stage.logs / "one.log").read_text()
    assert " quiet\n" in log
    assert "ERROR disk is full" in log
    assert ("one", "2026 ERROR disk is full") in stage.said
    assert all("quiet" not in text for _, text in stage.said)


async def test_endless_line_does_not_stop_the_log(stage: Stage) -> None:
    """A line of a megabyte is cut, and what follows is still read."""
    source = "print('x' * 1_000_000)\n" + READY + SLEEP
    await asyncio.wait_for(stage.supervisor.start(_part("one", source)), 10)
    assert max(len(line) for line in (stage.logs / "one.log").read_text().splitlines()) < 100_000


async def test_a_signal_reaches_the_part(stage: Stage) -> None:
    """Kill sends any signal, as a fault would."""
    await stage.supervisor.start(_part("one", READY + SLEEP))
    pid = stage.supervisor.kill("one", signal.SIGTERM)
    assert gone_within(pid, 2)
    assert not is_alive(pid)


def test_back_off_doubles_up_to_its_limit() -> None:
    """The waits double and stay below the limit, however many deaths there are."""
    back_off = BackOff(first_s=0.2, most_s=10)
    assert [back_off.after(deaths) for deaths in (1, 2, 3, 7, 10_000)] == [0.2, 0.4, 0.8, 10, 10]


def test_mark_is_the_one_that_settings_allow() -> None:
    """The children's mark must not be refused as an unknown setting."""
    from runtime.settings import load_settings  # noqa: PLC0415

    assert load_settings({RUN: "x"}) == load_settings({})
