"""Avatars and their portraits."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from database.tables import avatar_portraits, avatars
from support.databases import Database, an_avatar


async def test_an_avatar_comes_back_as_it_was_registered(database: Database) -> None:
    """Portraits, key points and owner come back; the time of creation is the database's."""
    account_id = await database.account()
    avatar = an_avatar("avat_1", account_id)
    await database.avatars.register(avatar, "0" * 64)
    found = await database.avatars.get("avat_1")
    assert found is not None
    assert abs(found.created_at - datetime.now(UTC)) < timedelta(seconds=2)
    assert found == an_avatar("avat_1", account_id, created_at=found.created_at)


async def test_an_avatar_that_nobody_registered_is_none(database: Database) -> None:
    """An unknown id finds nothing, and an avatar without portraits is still an avatar."""
    assert await database.avatars.get("avat_0") is None
    await database.avatars.register(an_avatar("avat_1", portraits={}), "0" * 64)
    found = await database.avatars.get("avat_1")
    assert found is not None
    assert found.portraits == {}


async def test_a_repeat_keeps_the_first(database: Database) -> None:
    """Registering again changes neither the row nor the portraits."""
    await database.avatar(avatar_id="avat_1")
    first = await database.avatars.get("avat_1")
    await database.avatars.register(an_avatar("avat_1", await database.account(), portraits={}), "1" * 64)
    assert await database.avatars.get("avat_1") == first


async def test_a_list_has_the_public_and_the_own_newest_first(database: Database) -> None:
    """An account sees public avatars and its own, newest first, and nobody else's."""
    mine, other = await database.account(), await database.account()
    owners = {"avat_1": None, "avat_2": mine, "avat_3": other, "avat_4": None, "avat_5": mine}
    for avatar_id, owner in owners.items():
        await database.avatar(owner, avatar_id)
    for age, avatar_id in enumerate(["avat_1", "avat_5", "avat_2", "avat_4"]):
        created = datetime.now(UTC) - timedelta(hours=age)
        await database.run(update(avatars).where(avatars.c.avatar_id == avatar_id).values(created_at=created))
    public, own = await database.avatars.listed_for(mine)
    assert [avatar.avatar_id for avatar in public] == ["avat_1", "avat_4"]
    assert [avatar.avatar_id for avatar in own] == ["avat_5", "avat_2"]
    assert all(set(avatar.portraits) == {"4:3", "preview"} for avatar in (*public, *own))


async def test_forgetting_returns_what_was_deleted_once(database: Database) -> None:
    """The row and its portraits go, the caller learns what they were, and a repeat finds nothing."""
    avatar_id = await database.avatar()
    forgotten = await database.avatars.forget(avatar_id)
    assert forgotten is not None
    assert forgotten.portraits["4:3"].key == f"{avatar_id}/4x3.jpg"
    assert await database.rows(select(avatar_portraits)) == []
    assert await database.avatars.forget(avatar_id) is None


async def test_an_avatar_of_a_session_stays(database: Database) -> None:
    """An avatar that a session may show, or once showed, is not forgotten, not even after the session's end."""
    session_id = await database.started()
    session = await database.sessions.get(session_id)
    assert session is not None
    assert await database.avatars.forget(session.avatar_id) is None
    await database.sessions.end(session_id, "ended_by_request")
    assert await database.avatars.forget(session.avatar_id) is None
    assert await database.avatars.get(session.avatar_id) is not None


async def test_a_create_that_failed_keeps_no_avatar(database: Database) -> None:
    """A session that is starting keeps its avatar; once it has ended without a start, the avatar can be undone."""
    account_id, avatar_id = await database.account(), await database.avatar()
    session_id, _ = await database.admit(account_id, avatar_id)
    assert await database.avatars.forget(avatar_id) is None
    await database.sessions.end(session_id, "AT_CAPACITY")
    assert await database.avatars.forget(avatar_id) is not None
    assert await database.sessions.get(session_id) is not None
