"""Where a session's control socket ends: the address of one API process, which lease renewals pass on (rule 22)."""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import writing
from database.instants import db_now
from database.statements import insert_if_absent
from database.tables import control_lines, sessions


class ControlLines:
    """The store of control addresses."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(self, session_id: str, address: str) -> bool:
        """Note that a session's client is connected at an address, in the place of an earlier one.

        False, and nothing noted, for a session that has ended or never was.
        """
        live = select(sessions.c.session_id).where(sessions.c.session_id == session_id, sessions.c.ended_at.is_(None))
        first = {"session_id": session_id, "address": address, "number": 0, "opened_at": db_now()}
        mine = update(control_lines).where(control_lines.c.session_id == session_id)
        async with writing(self._engine) as connection:
            if await connection.scalar(live.with_for_update(read=True, key_share=True)) is None:
                return False
            await insert_if_absent(connection, control_lines, first)
            again = {"address": address, "number": control_lines.c.number + 1, "opened_at": db_now()}
            await connection.execute(mine.values(**again))
        return True
