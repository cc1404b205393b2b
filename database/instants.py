"""Moments: epoch milliseconds in the column, aware UTC datetimes outside. `now` is the database's own."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Dialect, type_coerce
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Instant(TypeDecorator[datetime]):
    """A moment as BIGINT milliseconds since 1970 in UTC; whole milliseconds only, naive datetimes are refused."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Milliseconds of an aware datetime; TypeError for a naive one."""
        del dialect
        return None if value is None else (value - _EPOCH) // _MILLISECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """The datetime of a column's milliseconds."""
        del dialect
        return None if value is None else _EPOCH + timedelta(milliseconds=value)


class db_now(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function that it is
    """The database's time at the moment the statement runs, not the transaction's begin: a wait for a lock counts."""

    type = Instant()
    inherit_cache = True


@compiles(db_now, "sqlite")
def _sqlite_now(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    # 2440587.5 is the Julian day of 1970. A double holds today's Julian day to .04 ms, hence the rounding.
    del element, compiler, kw
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


POSTGRESQL_NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
"""`db_now` for statements that are written out."""


@compiles(db_now, "postgresql")
def _postgresql_now(element: db_now, compiler: SQLCompiler, **kw: Any) -> str:
    del element, compiler, kw
    return POSTGRESQL_NOW


def from_now(seconds: float) -> ColumnElement[datetime]:
    """The database's time plus `seconds`, which may be negative."""
    return type_coerce(type_coerce(db_now(), BigInteger) + round(seconds * 1000), Instant)
