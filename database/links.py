"""Links, and how often each was used. A use is taken in one statement, so that no limit is ever passed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import reading, writing
from database.instants import db_now, from_now
from database.tables import links
from domain.avatars import AspectRatio
from domain.failures import FailureCode, Refused
from domain.links import PREVIEW_LIFE, Link, LinkKind

KEPT_AFTER = timedelta(days=1)
"""How long a preview's row outlives it."""


class Links:
    """The store of links."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, link_id: str, account_id: str, avatar_id: str, **values: Any) -> Link:
        """A new link, created now. `values`: its other columns."""
        row: dict[str, Any] = {
            "link_id": link_id,
            "account_id": account_id,
            "avatar_id": avatar_id,
            "created_at": db_now(),
        }
        row |= {"kind": LinkKind.LINK, "name": "", "paused": False, "uses": 0, **values}
        async with writing(self._engine) as connection:
            made = (await connection.execute(insert(links).values(row).returning(*links.c))).one()
        return _link(made)

    async def add_preview(self, link_id: str, account_id: str, avatar_id: str, aspect_ratio: AspectRatio) -> Link:
        """A link for one session within five minutes; the account's old previews are forgotten."""
        old = and_(
            links.c.account_id == account_id,
            links.c.kind == LinkKind.PREVIEW,
            links.c.expires_at < from_now(-KEPT_AFTER.total_seconds()),
        )
        async with writing(self._engine) as connection:
            await connection.execute(delete(links).where(old))
        return await self.add(
            link_id,
            account_id,
            avatar_id,
            kind=LinkKind.PREVIEW,
            aspect_ratio=aspect_ratio,
            use_limit=1,
            expires_at=from_now(PREVIEW_LIFE.total_seconds()),
        )

    async def get(self, link_id: str) -> Link | None:
        """The link, or None."""
        async with reading(self._engine) as connection:
            row = (await connection.execute(select(links).where(links.c.link_id == link_id))).one_or_none()
        return None if row is None else _link(row)

    async def listed_for(self, account_id: str) -> list[Link]:
        """The account's links without its previews, newest first."""
        mine = and_(links.c.account_id == account_id, links.c.kind == LinkKind.LINK)
        query = select(links).where(mine).order_by(links.c.created_at.desc(), links.c.link_id.desc())
        async with reading(self._engine) as connection:
            return [_link(row) for row in await connection.execute(query)]

    async def change(self, link_id: str, account_id: str, values: Mapping[str, Any]) -> Link:
        """Change columns of one of the account's own links.

        LINK_NOT_FOUND for every other; INVALID_LINK where a new `use_limit` is not more than was used already.
        """
        mine = and_(links.c.link_id == link_id, links.c.account_id == account_id, links.c.kind == LinkKind.LINK)
        async with writing(self._engine) as connection:
            row = (await connection.execute(select(links).where(mine).with_for_update())).one_or_none()
            if row is None:
                raise Refused(FailureCode.LINK_NOT_FOUND, "Link not found")
            limit = values.get("use_limit")
            if limit is not None and limit <= row.uses:
                raise Refused(FailureCode.INVALID_LINK, "use_limit must exceed uses", details={"uses": row.uses})
            if values:
                changed = update(links).where(mine).values(**values).returning(*links.c)
                row = (await connection.execute(changed)).one()
        return _link(row)

    async def take(self, link_id: str) -> Link:
        """Use a link once; the link as it then is.

        Refused without a use: LINK_NOT_FOUND, LINK_PAUSED, LINK_EXPIRED, LINK_USED_UP.
        """
        usable = and_(
            links.c.link_id == link_id,
            links.c.paused.is_(False),
            or_(links.c.use_limit.is_(None), links.c.uses < links.c.use_limit),
            or_(links.c.expires_at.is_(None), links.c.expires_at > db_now()),
        )
        taken = update(links).where(usable).values(uses=links.c.uses + 1).returning(*links.c)
        over: ColumnElement[bool] = links.c.expires_at <= db_now()
        async with writing(self._engine) as connection:
            row = (await connection.execute(taken)).one_or_none()
            if row is None:
                left = await connection.execute(select(links, over.label("over")).where(links.c.link_id == link_id))
                raise _why_not(left.one_or_none())
        return _link(row)

    async def give_back(self, link_id: str) -> None:
        """Undo a use whose session did not start."""
        one = and_(links.c.link_id == link_id, links.c.uses > 0)
        async with writing(self._engine) as connection:
            await connection.execute(update(links).where(one).values(uses=links.c.uses - 1))


def _why_not(row: Row[Any] | None) -> Refused:
    if row is None:
        return Refused(FailureCode.LINK_NOT_FOUND, "Link not found")
    if row.over:
        return Refused(FailureCode.LINK_EXPIRED, "This link has expired")
    if row.paused:
        return Refused(FailureCode.LINK_PAUSED, "This link is paused")
    return Refused(FailureCode.LINK_USED_UP, "This link has been used as often as it may be")


def _link(row: Row[Any]) -> Link:
    names = ("link_id", "account_id", "avatar_id", "name", "paused", "uses", "use_limit", "created_at", "expires_at")
    return Link(
        **{name: getattr(row, name) for name in names},
        kind=LinkKind(row.kind),
        aspect_ratio=AspectRatio(row.aspect_ratio),
    )
