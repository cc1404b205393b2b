"""Avatars and where their pictures lie. The pictures themselves are in the object store."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, and_, delete, exists, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql.dml import ReturningUpdate

from database.announcing import announce_avatar
from database.engine import reading, writing
from database.instants import db_now, from_now
from database.pictures import (
    check_allowance,
    check_paid,
    keep_picture,
    pictures_used,
    return_picture,
    take_picture,
)
from database.standing import standing_of
from database.statements import insert_if_absent
from database.tables import avatar_portraits, avatars, sessions
from domain.avatars import PIPELINE, AspectRatio, Avatar, Bank, Portrait, with_bank
from domain.failures import FailureCode, Refused
from domain.session import SessionStatus


class Avatars:
    """The store of avatars. One that is marked as deleted is not there any more, but for `doomed` and what follows."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, avatar_id: str) -> Avatar | None:
        """The avatar with its portraits, or None."""
        one = _with_portraits().where(avatars.c.avatar_id == avatar_id, _UNDELETED)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(one)).mappings().all()
        return next(_avatars(rows), None)

    async def listed_for(self, account_id: str) -> tuple[list[Avatar], list[Avatar]]:
        """The public avatars and the account's own, newest first."""
        visible = avatars.c.account_id.is_(None) | (avatars.c.account_id == account_id)
        newest_first = (avatars.c.created_at.desc(), avatars.c.avatar_id.desc())
        async with reading(self._engine) as connection:
            rows = await connection.execute(_with_portraits().where(visible, _UNDELETED).order_by(*newest_first))
            found = list(_avatars(rows.mappings()))
        return [a for a in found if a.account_id is None], [a for a in found if a.account_id is not None]

    async def every(self, account_id: str | None = None) -> list[Avatar]:
        """All avatars, public ones first, newest first; or those of one account."""
        query = _with_portraits().where(_UNDELETED)
        if account_id is not None:
            query = query.where(avatars.c.account_id == account_id)
        public_first = avatars.c.account_id.is_not(None)
        async with reading(self._engine) as connection:
            rows = await connection.execute(
                query.order_by(public_first, avatars.c.created_at.desc(), avatars.c.avatar_id.desc())
            )
            return list(_avatars(rows.mappings()))

    async def known(self, avatar_ids: Iterable[str]) -> set[str]:
        """Which of these ids somebody has or had, public ones that were deleted included."""
        query = select(avatars.c.avatar_id).where(avatars.c.avatar_id.in_(list(avatar_ids)))
        async with reading(self._engine) as connection:
            return set(await connection.scalars(query))

    async def free_for(self, avatar_id: str) -> bool:
        """Could an avatar of this id be registered, after `give_up`? Not while one has it or a session shows one."""
        taken = select(avatars.c.avatar_id).where(avatars.c.avatar_id == avatar_id, or_(_UNDELETED, _SHOWN))
        async with reading(self._engine) as connection:
            return (await connection.scalar(taken)) is None

    async def give_up(self, avatar_id: str) -> None:
        """Forget that an avatar of this id was deleted, so that another can have the id."""
        past = and_(avatars.c.avatar_id == avatar_id, avatars.c.deleted_at.is_not(None), ~_SHOWN)
        async with writing(self._engine) as connection:
            await connection.execute(delete(avatars).where(past))

    async def register(self, avatar: Avatar, source_sha256: str) -> str:
        """Insert an avatar whose pictures are stored; one that is there already stays as it is.

        It is created now, by the database's clock, whatever `avatar.created_at` says. Answers the id under which the
        account has this picture: another avatar's if it was quicker, and then nothing is inserted.
        """
        row: dict[str, Any] = {"avatar_id": avatar.avatar_id, "account_id": avatar.account_id}
        row |= {"primary_ratio": avatar.primary, "source_sha256": source_sha256, "created_at": db_now()}
        row |= {"pipeline": PIPELINE}
        portraits = _rows(avatar.avatar_id, avatar.portraits)
        async with writing(self._engine) as connection:
            if await insert_if_absent(connection, avatars, row):
                if portraits:
                    await connection.execute(insert(avatar_portraits), portraits)
                await keep_picture(connection, avatar.avatar_id)
                # A create may still fail, and undo it: its start tells.
                if not await connection.scalar(select(_CREATING).where(avatars.c.avatar_id == avatar.avatar_id)):
                    await announce_avatar(connection, avatar.avatar_id)
                return avatar.avatar_id
            # A repeat finds its own row, and is no second owner.
            twin = and_(_same_picture(avatar.account_id, source_sha256), avatars.c.avatar_id != avatar.avatar_id)
            known: str | None = await connection.scalar(_share(twin))
            if known is None:
                return avatar.avatar_id
            await return_picture(connection, avatar.avatar_id)
            return known

    async def recognise(self, account_id: str, source_sha256: str, *, instead_of: str = "") -> str | None:
        """The avatar that this account's same picture has become, from now on shared with whoever asked; or None.

        Shared means that `forget` spares it: its maker may fail, and others have its id. `instead_of` is the id under
        which the avatar was to be made: then it does not count against the account's allowance.
        """
        same = _same_picture(account_id, source_sha256)
        async with reading(self._engine) as connection:
            if await connection.scalar(select(avatars.c.avatar_id).where(same)) is None:
                return None
        async with writing(self._engine) as connection:
            avatar_id: str | None = await connection.scalar(_share(same))
            if avatar_id and instead_of:
                await return_picture(connection, instead_of)
        return avatar_id

    async def check_picture(self, account_id: str, *, new: bool) -> None:
        """May this account send a picture now, and with `new` make an avatar of it?

        PLAN_REQUIRED, AVATAR_LIMIT_REACHED, ACCOUNT_CLOSED. It reserves nothing: what decides is `reserve`, or the
        session's admission.
        """
        async with reading(self._engine) as connection:
            standing = await standing_of(connection, account_id)
            standing.check_open()
            check_paid(standing.plan)
            if new and standing.plan.avatar_allowance is not None:
                used = await pictures_used(connection, account_id, standing.period)
                check_allowance(standing.plan, used, standing.period)

    async def reserve(self, avatar_id: str, account_id: str) -> None:
        """Count an avatar that is about to be made; refused as `check_picture` says. A repeat counts nothing twice."""
        async with writing(self._engine) as connection:
            standing = await standing_of(connection, account_id, lock=True)
            standing.check_open()
            await take_picture(connection, avatar_id, standing)

    async def add_portraits(self, avatar_id: str, portraits: Mapping[str, Portrait]) -> None:
        """Add portraits by profile; one that is there already stays as it is. AVATAR_NOT_FOUND without the avatar."""
        # Locked, so that nobody deletes it between the question and the insert.
        one = select(avatars.c.avatar_id).where(avatars.c.avatar_id == avatar_id, _UNDELETED).with_for_update()
        async with writing(self._engine) as connection:
            if await connection.scalar(one) is None:
                raise Refused(FailureCode.AVATAR_NOT_FOUND, "Avatar not found")
            await insert_if_absent(connection, avatar_portraits, _rows(avatar_id, portraits))

    async def keep_banks(self, avatar_id: str, banks: Mapping[str, Bank]) -> None:
        """Note what a renderer has prepared of an avatar's portraits, by profile. AVATAR_NOT_FOUND without the avatar.

        It replaces what the same renderer has prepared before for videos of the same size.
        """
        one = select(avatars.c.avatar_id).where(avatars.c.avatar_id == avatar_id, _UNDELETED).with_for_update()
        async with writing(self._engine) as connection:
            if await connection.scalar(one) is None:
                raise Refused(FailureCode.AVATAR_NOT_FOUND, "Avatar not found")
            for profile, bank in banks.items():
                which = and_(avatar_portraits.c.avatar_id == avatar_id, avatar_portraits.c.profile == profile)
                row = (await connection.execute(select(avatar_portraits).where(which))).mappings().first()
                if row is not None:
                    kept = [asdict(each) for each in with_bank(_portrait(row).banks, bank)]
                    await connection.execute(update(avatar_portraits).where(which).values(banks=kept))

    async def forget(self, avatar_id: str) -> bool:
        """Undo `register`, unless a session shows the avatar, may still show it or once did; is no row left?

        A session that ended without having started keeps nothing, and one that ended keeps no deleted avatar. One that
        others were given stays.
        """
        one = avatars.c.avatar_id == avatar_id
        lock = select(avatars.c.avatar_id).where(one).with_for_update()
        showed = exists().where(sessions.c.avatar_id == avatars.c.avatar_id, sessions.c.started_at.is_not(None))
        async with writing(self._engine) as connection:
            # Locked by a statement of its own: an admission under way holds the row until its session can be seen.
            if await connection.scalar(lock) is None:
                await return_picture(connection, avatar_id)
                return True
            kept = or_(_SHOWN, and_(_UNDELETED, or_(showed, avatars.c.shared)))
            gone = bool((await connection.execute(delete(avatars).where(one, ~kept))).rowcount)
            if gone:
                await return_picture(connection, avatar_id)
            else:  # its maker has failed, others show it: it stands
                await announce_avatar(connection, avatar_id)
            return gone

    async def mark_deleted(self, avatar_id: str, account_id: str | None = None) -> bool:
        """Delete an avatar for everybody but the sessions that show it; was it there (as this account's)?

        Once this is committed no session is admitted with it, and every one that was can be seen.
        """
        one = and_(avatars.c.avatar_id == avatar_id, _UNDELETED)
        if account_id is not None:
            one = and_(one, avatars.c.account_id == account_id)
        async with writing(self._engine) as connection:
            # The update alone would not wait for an admission under way, which keeps only the row's key.
            await connection.execute(select(avatars.c.avatar_id).where(one).with_for_update())
            return bool((await connection.execute(update(avatars).where(one).values(deleted_at=db_now()))).rowcount)

    async def doomed(self, avatar_id: str | None = None) -> list[str]:
        """The ids of deleted avatars that no session shows, or may still show: their pictures can go. Or of one."""
        remembered = and_(avatars.c.account_id.is_(None), ~_HAS_PORTRAITS)
        query = select(avatars.c.avatar_id).where(avatars.c.deleted_at.is_not(None), ~_SHOWN, ~remembered)
        if avatar_id is not None:
            query = query.where(avatars.c.avatar_id == avatar_id)
        async with reading(self._engine) as connection:
            return list(await connection.scalars(query.order_by(avatars.c.deleted_at)))

    async def drop(self, avatar_id: str, *, deleted_for: timedelta) -> None:
        """Delete the row of an avatar that was deleted so long ago and that no session shows.

        Of a public one the id is remembered: what an operator has deleted is not set up again.
        """
        long_gone = and_(
            avatars.c.avatar_id == avatar_id,
            avatars.c.deleted_at <= from_now(-deleted_for.total_seconds()),
            ~_SHOWN,
        )
        gone = select(avatars.c.avatar_id).where(long_gone).scalar_subquery()
        async with writing(self._engine) as connection:
            await connection.execute(delete(avatar_portraits).where(avatar_portraits.c.avatar_id == gone))
            await connection.execute(delete(avatars).where(long_gone, avatars.c.account_id.is_not(None)))


_UNDELETED: ColumnElement[bool] = avatars.c.deleted_at.is_(None)
_SHOWN = exists().where(sessions.c.avatar_id == avatars.c.avatar_id, sessions.c.ended_at.is_(None))
"""A session shows the avatar, or is being created with it."""
_CREATING = exists().where(sessions.c.avatar_id == avatars.c.avatar_id, sessions.c.status == SessionStatus.CREATED)
_HAS_PORTRAITS = exists().where(avatar_portraits.c.avatar_id == avatars.c.avatar_id)


def _same_picture(account_id: str | None, source_sha256: str) -> ColumnElement[bool]:
    """The account's avatar of the same picture, by this pipeline; there is at most one."""
    return and_(
        avatars.c.account_id == account_id,
        avatars.c.source_sha256 == source_sha256,
        avatars.c.pipeline == PIPELINE,
        _UNDELETED,
    )


def _share(one: ColumnElement[bool]) -> ReturningUpdate[tuple[str]]:
    return update(avatars).where(one).values(shared=True).returning(avatars.c.avatar_id)


def _rows(avatar_id: str, portraits: Mapping[str, Portrait]) -> list[dict[str, Any]]:
    return [{"avatar_id": avatar_id, "profile": profile, **asdict(portrait)} for profile, portrait in portraits.items()]


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
    banks = tuple(Bank(**one) for one in row["banks"] or ())
    return Portrait(**plain, keypoints=keypoints, banks=banks)
