"""The same creates on PostgreSQL, beside what they took on SQLite in the same run; without a server no rows."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.admission import admission_elsewhere
from bench.creates import creates_elsewhere
from bench.postgresql import DURABLE, NoPostgreSQLError, postgresql
from bench.report import Row, beside
from bench.site import running_site

DATABASE = "postgres"
"""Every new server has one of this name, and nothing in it."""
WHAT = "the same on SQLite"


async def measure_on_postgresql(
    rounds: Mapping[str, int], rows: Sequence[Row], tell: Callable[[str], None]
) -> list[Row]:
    """`create_by_id_postgresql` and `admission_postgresql`, of the groups in `rounds`, beside their rows on SQLite.

    The server writes through to the disk as PostgreSQL comes; the system on SQLite has stopped by then.
    """
    on_sqlite = {one.name: one for one in rows}
    found: list[Row] = []
    try:
        with postgresql(settings=DURABLE) as server, tempfile.TemporaryDirectory(prefix="greenroom-bench-") as folder:
            tell("starting the system on PostgreSQL")
            async with running_site(Path(folder), database=server.url(DATABASE)) as site:
                if "creates" in rounds:
                    took = await creates_elsewhere(site, rounds["creates"], tell)
                    found.append(beside("create_by_id_postgresql", took, on_sqlite["create_by_id"], what=WHAT))
                if "admission" in rounds:
                    rates, note = await admission_elsewhere(site, rounds["admission"], tell)
                    found.append(beside("admission_postgresql", rates, on_sqlite["admission"], what=WHAT, note=note))
    except NoPostgreSQLError as error:
        tell(f"nothing is measured on PostgreSQL: {error}")
    return found
