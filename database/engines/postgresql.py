"""PostgreSQL by asyncpg: every wait has an end, and a server that was restarted is found without an error."""

from typing import Any

from sqlalchemy import URL, Dialect, ExceptionContext, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from domain.failures import Unavailable

CONNECT_WITHIN_S = 3.0
STATEMENT_WITHIN_S = 4.0
"""Waits for locks included. Below the 5 s that a step has, so that the step says why."""
IDLE_WITHIN_S = 3.0
"""A transaction whose process stands still is undone, before those who wait for its locks give up."""
OLD_AFTER_S = 600
"""Connections are made anew: a firewall that dropped one tells nobody."""

DETAIL = "\nDETAIL:"
"""What asyncpg puts before it."""

SESSION = {
    "application_name": "greenroom",
    "default_transaction_isolation": "read committed",  # each statement sees what the locks before it settled
    "statement_timeout": f"{STATEMENT_WITHIN_S * 1000:.0f}",
    "idle_in_transaction_session_timeout": f"{IDLE_WITHIN_S * 1000:.0f}",
    "jit": "off",
}
"""Settings of each connection."""


def open_postgresql(address: URL, connections: int) -> AsyncEngine:
    """An engine that holds at most so many connections. `sslmode` in the address means what it means to libpq."""
    query = dict(address.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    engine = create_async_engine(
        address.set(query=query),
        pool_size=connections,
        max_overflow=0,
        pool_recycle=OLD_AFTER_S,
        pool_use_lifo=True,
        hide_parameters=True,
        connect_args={"timeout": CONNECT_WITHIN_S, "server_settings": SESSION},
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    event.listen(engine.sync_engine, "checkout", _check)
    event.listen(engine.sync_engine, "handle_error", _without_row)
    return engine


def _connect(dialect: Dialect, _record: Any, args: Any, options: Any) -> Any:
    """Connect. What the driver raises before there is a connection is no error that SQLAlchemy knows."""
    try:
        return dialect.connect(*args, **options)
    except (TypeError, ValueError):
        raise  # the address asks for what the driver does not know
    except Exception as error:
        raise Unavailable(f"database: no connection: {type(error).__name__}: {error}") from error


def _check(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    """Replace a connection that its server has closed: the loop has heard of that, so it costs no round trip."""
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError("the server closed this connection")


def _without_row(context: ExceptionContext) -> None:
    """Take out of an error what PostgreSQL quotes in its detail: the whole row that it did not accept."""
    error = context.original_exception
    for one in (context.sqlalchemy_exception, error, error.__cause__):
        if one is None:
            continue
        one.args = tuple(part.partition(DETAIL)[0] if isinstance(part, str) else part for part in one.args)
        if getattr(one, "detail", None):
            vars(one)["detail"] = None
