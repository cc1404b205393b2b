"""The tests' own PostgreSQL: nothing of it outlives who started it."""

import subprocess
import sys
from pathlib import Path

from support.postgresql_server import PostgreSQLServer
from support.processes import gone_within

ROOT = Path(__file__).parents[2]
START = """
import os, signal
from support.postgresql_server import running_postgresql
with running_postgresql() as server:
    print(server.pid, server.keeper.pid, server.keeper.args[3], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_is_gone_after_a_kill(postgresql_server: PostgreSQLServer) -> None:
    """After a kill -9 of the test process there is neither server nor keeper nor folder."""
    paths = f"{ROOT}:{ROOT / 'tests'}"
    done = subprocess.run(
        [sys.executable, "-c", START], env={"PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    server, keeper, folder = done.stdout.split()
    assert gone_within(int(server), 5)
    assert gone_within(int(keeper), 5)
    assert Path(folder).name.startswith("greenroom-postgresql-")
    assert not Path(folder).exists()
