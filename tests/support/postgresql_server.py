"""A real PostgreSQL server on a free loopback port, for tests; skipped where there is none, failed with CI=true."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn

import pytest

from bench.postgresql import NEWEST, NoPostgreSQLError, PostgreSQLServer, find_install, postgresql
from bench.postgresql_keeper import LOOPBACK
from support.real_parts import missing

__all__ = ["PostgreSQLServer", "find_install", "postgresql_server", "running_postgresql"]

VERSION_SETTING = "GREENROOM_TEST_POSTGRESQL"


@contextmanager
def running_postgresql(host: str = LOOPBACK, through: tuple[str, ...] = ()) -> Iterator[PostgreSQLServer]:
    """A new server, at `host`; nothing is left of it. Skips the test where none can run, unless CI=true."""
    with ExitStack() as stack:
        try:
            version = os.environ.get(VERSION_SETTING) or NEWEST
            server = stack.enter_context(postgresql(version, host=host, through=through))
        except NoPostgreSQLError as error:
            _unavailable(str(error))
        yield server


def _unavailable(reason: str) -> NoReturn:
    missing(f"no PostgreSQL: {reason}")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQLServer]:
    """One server for the whole run; tests that stop theirs make one of their own."""
    with running_postgresql() as server:
        yield server
