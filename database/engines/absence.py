"""When a database's error means that it is away or too busy, and when it is our own mistake. Tries nothing again."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.failures import Unavailable

OURS = (IntegrityError, ProgrammingError, DataError)
OUR_CLASSES = ("22", "23", "42")
"""PostgreSQL's classes of SQLSTATE for what no repeat mends: values, constraints, statements and rights."""

NOT_MIGRATED = ("42P01", "42703")
"""A table or column that is not there: the database is of another version, as it is before `greenroom migrate`."""


@contextmanager
def absence_as_refusal() -> Iterator[None]:
    """A database that cannot be reached, or is busy for too long, as Unavailable; our own mistakes stay what they are.

    Deadlocks, and statements that took too long, are among the first: their transaction left nothing.
    """
    try:
        yield
    except DBAPIError as error:
        if is_ours(error):
            raise
        # Not the error's own text: it quotes the statement's values.
        raise Unavailable(f"database: {error.orig}") from error
    except TimeoutError as error:
        raise Unavailable("database: no answer in time") from error
    except (PoolTimeoutError, OSError) as error:
        raise Unavailable(f"database: {error}") from error


def is_ours(error: DBAPIError) -> bool:
    """Would the same statement fail again, however well the database is?"""
    state = sqlstate(error.orig)
    if state is None:
        # What a driver cannot put on the wire, it calls an error of its interface and a ValueError at once.
        return isinstance(error, OURS) or isinstance(getattr(error.orig, "__cause__", None), ValueError)
    return state.startswith(OUR_CLASSES) and state not in NOT_MIGRATED


def sqlstate(error: BaseException | None) -> str | None:
    """PostgreSQL's code of an error; None for an error that it did not send."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None
