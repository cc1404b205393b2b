"""Avatars and where their pictures lie. The pictures themselves are in the object store."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import RowMapping, Select, delete, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from database.engine import reading, writing
from database.instants import db_now
from database.statements import insert_if_absent
from database.tables import avatar_portraits, avatars, sessions
from domain.avatars import AspectRatio, Avatar, Portrait


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What became of an avatar that was to be forgotten."""

    gone: bool
    """There is no row (any more): its objects may go. False: a session refers to it, and both stay."""
    avatar: Avatar | None
    """What was deleted just now; None where it stays, and where no row was there."""


class Avatars:
    """The store of avatars."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, avatar_id: str) -> Avatar | None:
        """The avatar with its portraits, or None."""
        async with reading(self._engine) as connection:
            rows = await connection.execute(_with_portraits().where(avatars.c.avatar_id == avatar_id))
        return next(_avatars(rows.mappings()), None)

    async def listed_for(self, account_id: str) -> tuple[list[Avatar], list[Avatar]]:
        """The public avatars and the account's own, newest first."""
        visible = avatars.c.account_id.is_(None) | (avatars.c.account_id == account_id)
        newest_first = (avatars.c.created_at.desc(), avatars.c.avatar_id.desc())
        async with reading(self._engine) as connection:
            rows = await connection.execute(_with_portraits().where(visible).order_by(*newest_first))
        found = list(_avatars(rows.mappings()))
        return [a for a in found if a.account_id is None], [a for a in found if a.account_id is not None]

    async def register(
        self,
        *,
        avatar_id: str,
        account_id: str | None,
        primary: AspectRatio,
        portraits: Mapping[str, Portrait],
        source_sha256: str,
    ) -> None:
        """Insert an avatar whose pictures are stored, made now; one that is there already stays as it is."""
        row: dict[str, Any] = {"avatar_id": avatar_id, "account_id": account_id, "primary_ratio": primary}
        row |= {"source_sha256": source_sha256, "created_at": db_now()}
        async with writing(self._engine) as connection:
            if await insert_if_absent(connection, avatars, row) and portraits:
                rows = [_portrait_row(avatar_id, profile, portrait) for profile, portrait in portraits.items()]
                await connection.execute(insert(avatar_portraits), rows)

    async def forget(self, avatar_id: str) -> Forgotten:
        """Delete an avatar, unless a session refers to it or ever did."""
        one = avatars.c.avatar_id == avatar_id
        # Locked first: an admission that is under way holds the row until its session stands.
        lock = select(avatars.c.avatar_id).where(one).with_for_update()
        unused = ~exists().where(sessions.c.avatar_id == avatar_id)
        async with writing(self._engine) as connection:
            if await connection.scalar(lock) is None:
                return Forgotten(gone=True, avatar=None)
            rows = await connection.execute(_with_portraits().where(one))
            gone = (await connection.execute(delete(avatars).where(one, unused))).rowcount > 0
        return Forgotten(gone=gone, avatar=next(_avatars(rows.mappings())) if gone else None)


_PORTRAIT = [column for column in avatar_portraits.c if column.name != "avatar_id"]


def _with_portraits() -> Select[Any]:
    """Avatars, a row for each of their portraits."""
    return select(avatars, *_PORTRAIT).outerjoin(avatar_portraits)


def _avatars(rows: Iterable[RowMapping]) -> Iterator[Avatar]:
    """Avatars of rows that lie together by avatar."""
    for avatar_id, group in groupby(rows, key=lambda row: str(row["avatar_id"])):
        of_avatar = list(group)
        first = of_avatar[0]
        yield Avatar(
            avatar_id=avatar_id,
            account_id=first["account_id"],
            primary=AspectRatio(first["primary_ratio"]),
            portraits={row["profile"]: _portrait(row) for row in of_avatar if row["profile"] is not None},
            created_at=first["created_at"],
        )


def _portrait(row: RowMapping) -> Portrait:
    keypoints = tuple((x, y) for x, y in row["keypoints"])
    plain = {name: row[name] for name in ("key", "sha256", "size", "width", "height")}
    return Portrait(**plain, keypoints=keypoints)


def _portrait_row(avatar_id: str, profile: str, portrait: Portrait) -> dict[str, Any]:
    return {"avatar_id": avatar_id, "profile": profile, **asdict(portrait)}
