"""Avatars and their portraits."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from database.admission import hold_avatar, insert_created
from database.engine import writing
from database.instants import from_now
from database.tables import avatar_portraits, avatars
from domain.avatars import AspectRatio, Bank
from domain.failures import Refused
from support.databases import Database, an_avatar

HOUR = timedelta(hours=1)


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


async def test_forgetting_leaves_no_row(database: Database) -> None:
    """The row and its portraits go, and a repeat says that nothing is left, as does one that never was."""
    avatar_id = await database.avatar()
    for _ in range(2):
        assert await database.avatars.forget(avatar_id)
        assert await database.rows(select(avatar_portraits)) == []
        assert await database.avatars.get(avatar_id) is None
    assert await database.avatars.forget("avat_never")


async def test_an_avatar_of_a_session_stays(database: Database) -> None:
    """An avatar that a session may show, or once showed, is not forgotten, not even after the session's end."""
    session_id = await database.started()
    session = await database.sessions.get(session_id)
    assert session is not None
    assert not await database.avatars.forget(session.avatar_id)
    await database.sessions.end(session_id, "ended_by_request")
    assert not await database.avatars.forget(session.avatar_id)
    assert await database.avatars.get(session.avatar_id) is not None


async def test_a_create_that_failed_keeps_no_avatar(database: Database) -> None:
    """A session that is starting keeps its avatar; once it has ended without a start, the avatar can be undone."""
    account_id, avatar_id = await database.account(), await database.avatar()
    session_id, _ = await database.admit(account_id, avatar_id)
    assert not await database.avatars.forget(avatar_id)
    await database.sessions.end(session_id, "AT_CAPACITY")
    assert await database.avatars.forget(avatar_id)
    assert await database.sessions.get(session_id) is not None


async def test_only_its_owner_deletes_an_avatar_and_only_once(database: Database) -> None:
    """Nobody else's call finds it, nobody deletes a public one, and a repeat finds nothing."""
    owner, other = await database.account(), await database.account()
    mine, public = await database.avatar(owner), await database.avatar()
    for avatar_id, account_id in ((mine, other), (public, owner), ("avat_never", owner)):
        assert not await database.avatars.mark_deleted(avatar_id, account_id)
    assert await database.avatars.doomed() == []
    asked = [database.avatars.mark_deleted(mine, owner) for _ in range(3)]
    assert sorted(await asyncio.gather(*asked)) == [False, False, True]
    assert await database.avatars.doomed() == [mine]


async def test_a_deleted_avatar_is_there_for_nobody(database: Database) -> None:
    """It is neither found nor listed, takes no session and no portrait, and is not registered anew."""
    owner = await database.account()
    avatar_id, other = await database.avatar(owner), await database.avatar(owner)
    await database.avatars.mark_deleted(avatar_id, owner)
    await database.avatars.register(an_avatar(avatar_id, owner), "0" * 64)
    assert await database.avatars.get(avatar_id) is None
    _, mine = await database.avatars.listed_for(owner)
    assert [avatar.avatar_id for avatar in mine] == [other]
    with pytest.raises(Refused, match="Avatar not found"):
        await database.admit(owner, avatar_id)
    with pytest.raises(Refused, match="Avatar not found"):
        await database.avatars.add_portraits(avatar_id, an_avatar(avatar_id).portraits)


async def test_pictures_are_doomed_when_the_last_session_that_shows_them_has_ended(database: Database) -> None:
    """From its admission on a session keeps them, and only one that has ended does not, started or not."""
    owner = await database.account()
    avatar_id = await database.avatar(owner)
    live = [(await database.admit(owner, avatar_id))[0] for _ in range(2)]
    assert await database.avatars.mark_deleted(avatar_id, owner)
    for session_id in live:
        assert await database.avatars.doomed() == []
        assert not await database.avatars.forget(avatar_id)
        await database.avatars.drop(avatar_id, deleted_for=timedelta(0))
        await database.sessions.end(session_id, "AT_CAPACITY")
    assert await database.avatars.doomed() == await database.avatars.doomed(avatar_id) == [avatar_id]
    assert await database.avatars.doomed(await database.avatar(owner)) == []


async def test_a_deletion_waits_for_an_admission_under_way(database: Database) -> None:
    """Once the mark is committed, the session that was being admitted can be seen: its picture stays."""
    owner = await database.account()
    avatar_id = await database.avatar(owner)
    wanted = {"account_id": owner, "avatar_id": avatar_id, "aspect_ratio": AspectRatio.SQUARE, "metadata": {}}
    async with writing(database.engine) as connection:
        await hold_avatar(connection, avatar_id, owner)
        deleting = asyncio.create_task(database.avatars.mark_deleted(avatar_id, owner))
        await asyncio.wait([deleting], timeout=0.3)
        assert not deleting.done()
        await insert_created(connection, "sess_1", wanted, 30)
    assert await deleting
    assert await database.avatars.doomed() == []


async def test_an_undo_takes_a_deleted_avatar_that_a_session_once_showed(database: Database) -> None:
    """What an upload stores after the deletion is undone, though a session had shown the avatar before."""
    session_id = await database.started()
    session = await database.sessions.get(session_id)
    assert session is not None
    await database.run(update(avatars).values(account_id=session.account_id))
    await database.sessions.end(session_id, "expired")
    assert not await database.avatars.forget(session.avatar_id)
    assert await database.avatars.mark_deleted(session.avatar_id, session.account_id)
    assert await database.avatars.forget(session.avatar_id)
    assert await database.rows(select(avatars)) == []


async def test_a_row_is_dropped_when_it_was_deleted_long_ago(database: Database) -> None:
    """One that is not deleted, or was just now, stays; then it goes with its portraits."""
    owner = await database.account()
    avatar_id = await database.avatar(owner)
    await database.avatars.drop(avatar_id, deleted_for=timedelta(0))
    assert await database.avatars.get(avatar_id) is not None
    await database.avatars.mark_deleted(avatar_id, owner)
    await database.avatars.drop(avatar_id, deleted_for=HOUR)
    assert await database.avatars.doomed() == [avatar_id]
    await database.run(update(avatars).values(deleted_at=from_now(-HOUR.total_seconds() - 1)))
    await database.avatars.drop(avatar_id, deleted_for=HOUR)
    assert await database.rows(select(avatars)) == await database.rows(select(avatar_portraits)) == []


async def test_an_accounts_picture_becomes_one_avatar(database: Database) -> None:
    """Of twins the first stays, whoever registers it again; other accounts and other pictures are no twins."""
    ada, bob = await database.account(), await database.account()
    register = database.avatars.register
    assert await register(an_avatar("avat_1", ada), "1" * 64) == "avat_1"
    assert await register(an_avatar("avat_1", ada), "1" * 64) == "avat_1"
    assert await register(an_avatar("avat_2", ada), "1" * 64) == "avat_1"
    assert await register(an_avatar("avat_3", ada), "2" * 64) == "avat_3"
    assert await register(an_avatar("avat_4", bob), "1" * 64) == "avat_4"
    assert await database.avatars.get("avat_2") is None
    assert await database.avatars.recognise(ada, "1" * 64) == "avat_1"
    assert await database.avatars.recognise(ada, "3" * 64) is None


async def test_public_avatars_may_show_one_picture(database: Database) -> None:
    """Public avatars are known by their ids alone."""
    for avatar_id in ("avat_1", "avat_2"):
        assert await database.avatars.register(an_avatar(avatar_id), "1" * 64) == avatar_id


async def test_a_deleted_avatar_is_not_recognised(database: Database) -> None:
    """The picture of a deleted avatar is new again."""
    account = await database.account()
    await database.avatars.register(an_avatar("avat_1", account), "1" * 64)
    assert await database.avatars.mark_deleted("avat_1", account)
    assert await database.avatars.recognise(account, "1" * 64) is None
    assert await database.avatars.register(an_avatar("avat_2", account), "1" * 64) == "avat_2"


@pytest.mark.parametrize("known", ["recognised", "registered", "not"])
async def test_an_avatar_that_others_were_given_outlives_its_maker(database: Database, known: str) -> None:
    """A create that fails takes its avatar with it, but not one whose id somebody else was told meanwhile."""
    account = await database.account()
    await database.avatars.register(an_avatar("avat_1", account), "1" * 64)
    if known == "recognised":
        await database.avatars.recognise(account, "1" * 64)
    if known == "registered":
        await database.avatars.register(an_avatar("avat_2", account), "1" * 64)
    assert await database.avatars.forget("avat_1") is (known == "not")
    assert (await database.avatars.get("avat_1") is None) is (known == "not")


async def test_an_operator_sees_every_avatar(database: Database) -> None:
    """Public ones first, newest first in either part; or one account's; none that was deleted."""
    ada, bob = await database.account(), await database.account()
    ids = {name: await database.avatar(owner) for name, owner in {"a": ada, "p": None, "b": bob, "q": None}.items()}
    age = {"a": 1, "b": 2, "p": 3, "q": 4}
    for name, seconds in age.items():
        one = update(avatars).where(avatars.c.avatar_id == ids[name])
        await database.run(one.values(created_at=from_now(-seconds)))
    assert [one.avatar_id for one in await database.avatars.every()] == [ids[name] for name in "pqab"]
    assert [one.avatar_id for one in await database.avatars.every(bob)] == [ids["b"]]
    assert await database.avatars.mark_deleted(ids["p"])
    assert [one.avatar_id for one in await database.avatars.every()] == [ids[name] for name in "qab"]


async def test_that_a_public_avatar_was_deleted_is_remembered(database: Database) -> None:
    """Its pictures and portraits go as others' do, and then it is swept no more; its id stays known."""
    avatar_id = await database.avatar()
    assert not await database.avatars.mark_deleted(avatar_id, await database.account())
    assert await database.avatars.mark_deleted(avatar_id)
    assert not await database.avatars.mark_deleted(avatar_id)
    assert await database.avatars.doomed() == [avatar_id]
    await database.avatars.drop(avatar_id, deleted_for=HOUR)
    assert await database.avatars.doomed() == [avatar_id]
    await database.run(update(avatars).values(deleted_at=from_now(-HOUR.total_seconds() - 1)))
    await database.avatars.drop(avatar_id, deleted_for=HOUR)
    assert await database.avatars.doomed() == await database.rows(select(avatar_portraits)) == []
    assert await database.avatars.get(avatar_id) is None
    assert await database.avatars.known([avatar_id, "avat_nobody"]) == {avatar_id}


async def test_the_id_of_a_deleted_avatar_can_be_given_again(database: Database) -> None:
    """Once no session shows the deleted one; a living avatar keeps its id whatever happens."""
    session_id = await database.started()
    session = await database.sessions.get(session_id)
    assert session is not None
    avatar_id = session.avatar_id
    await database.run(update(avatars).values(account_id=None))

    async def given_up() -> bool:
        await database.avatars.give_up(avatar_id)
        return not await database.avatars.known([avatar_id])

    assert await database.avatars.free_for("avat_nobody")
    assert (await database.avatars.free_for(avatar_id), await given_up()) == (False, False)
    assert await database.avatars.mark_deleted(avatar_id)
    assert (await database.avatars.free_for(avatar_id), await given_up()) == (False, False)
    await database.sessions.end(session_id, "expired")
    assert (await database.avatars.free_for(avatar_id), await given_up()) == (True, True)


def a_bank(renderer: str = "warp", version: str = "1", width: int = 1280) -> Bank:
    """A bank's whereabouts."""
    key = f"avatars/avat_1/bank-{renderer}-{version}-{width}.zip"
    return Bank(
        renderer=renderer, version=version, width=width, height=width * 3 // 4, key=key, sha256="b" * 64, size=7
    )


async def test_banks_lie_with_their_portraits(database: Database) -> None:
    """One for each renderer and size; a newer version replaces an older one, and an unknown profile changes nothing."""
    await database.avatar(avatar_id="avat_1")
    before = await database.avatars.get("avat_1")
    assert before is not None
    assert before.portraits["4:3"].banks == ()
    for bank in (a_bank(), a_bank("mine"), a_bank(width=640), a_bank(version="2")):
        for _ in range(2):
            await database.avatars.keep_banks("avat_1", {"4:3": bank, "9:9": bank})
    found = await database.avatars.get("avat_1")
    assert found is not None
    assert found.portraits["4:3"].banks == (a_bank("mine"), a_bank(width=640), a_bank(version="2"))
    assert found.portraits["preview"] == before.portraits["preview"]
    assert found in await database.avatars.every()


async def test_banks_of_an_avatar_that_is_gone_are_not_kept(database: Database) -> None:
    """Whoever made them is told, and takes the objects away again."""
    account_id = await database.account()
    await database.avatar(account_id, "avat_1")
    await database.avatars.mark_deleted("avat_1", account_id)
    for avatar_id in ("avat_1", "avat_0"):
        with pytest.raises(Refused) as caught:
            await database.avatars.keep_banks(avatar_id, {"4:3": a_bank()})
        assert caught.value.code == "AVATAR_NOT_FOUND"
