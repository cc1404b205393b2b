"""What operators' verbs look for."""

from datetime import UTC, datetime, timedelta

import pytest

from database.account_admin import AccountAdmin
from database.operations import OperatorReading
from domain.avatars import AspectRatio
from domain.failures import FailureCode, Refused
from domain.selections import Selection
from support.databases import Database


async def admitted(database: Database, account_id: str, number: int, **more: object) -> str:
    """A session of an account with a key and metadata."""
    session_id = f"sess_{number}"
    usual: dict[str, object] = {"metadata": {}, "key_id": ""}
    await database.sessions.admit(
        session_id=session_id,
        account_id=account_id,
        avatar_id=await database.avatar(),
        aspect_ratio=AspectRatio.SQUARE,
        remaining_seconds=30,
        **usual | more,  # type: ignore[arg-type]
    )
    return session_id


async def test_sessions_are_found_by_what_they_have_in_common(database: Database) -> None:
    """Account, key, a pair of metadata of whatever kind, and all together; who has ended or came later is not."""
    mine, other = await database.account(), await database.account()
    await admitted(database, mine, 1, key_id="aaa", metadata={"room": "blue", "n": 5, "vip": True})
    await admitted(database, mine, 2, key_id="bbb", metadata={"room": "red"})
    await admitted(database, other, 3, key_id="bbb", metadata={"room": "blue", "n": "5"})
    await admitted(database, mine, 4)
    await database.sessions.end("sess_4", "expired")
    reading, now = OperatorReading(database.engine), datetime.now(UTC) + timedelta(seconds=2)

    async def found(**chosen: str) -> list[str]:
        return (await reading.find(Selection(**chosen), now)).session_ids

    assert await found(account_id=mine) == ["sess_1", "sess_2"]
    assert await found(key_id="bbb") == ["sess_2", "sess_3"]
    assert await found(metadata_key="room", metadata_value="blue") == ["sess_1", "sess_3"]
    assert await found(metadata_key="n", metadata_value="5") == ["sess_1", "sess_3"]
    assert await found(metadata_key="vip", metadata_value="true") == ["sess_1"]
    assert await found(account_id=mine, metadata_key="room", metadata_value="red") == ["sess_2"]
    assert await found(metadata_key="nothing", metadata_value="") == []
    assert (await reading.find(Selection(), now - timedelta(minutes=1))).session_ids == []


async def test_a_stretch_says_where_the_next_begins(database: Database) -> None:
    """Pages follow each other by id until there is no more, although some on them do not fit."""
    account_id = await database.account()
    for number in range(5):
        await admitted(database, account_id, number, metadata={"even": number % 2 == 0})
    reading, now = OperatorReading(database.engine), datetime.now(UTC) + timedelta(seconds=2)
    chosen, after, pages = Selection(metadata_key="even", metadata_value="true"), "", []
    while True:
        page = await reading.find(chosen, now, after=after, at_most=2)
        pages.append(page.session_ids)
        if not (after := page.last):
            break
    assert pages == [["sess_0"], ["sess_2"], ["sess_4"]]


async def test_servers_are_taken_out_by_boot_or_version(database: Database) -> None:
    """All of a version at once; others take sessions as before, and what they serve is told by id."""
    for boot, version in (("b1", "1.0"), ("b2", "1.0"), ("b3", "")):
        await database.servers.register(boot, boot, f"queue-{boot}", 2, version=version)
    found = await database.admitted(6)
    for session_id in found:
        await database.leases.claim(session_id, 1)
    reading = OperatorReading(database.engine)
    assert (await reading.served((), "1.0")).number == 4
    assert {one.draining for one in await database.servers.listed()} == {False}
    await reading.take_out((), "1.0")
    listed = {one.boot_id: (one.draining, one.version) for one in await database.servers.listed()}
    assert listed == {"b1": (True, "1.0"), "b2": (True, "1.0"), "b3": (False, None)}
    served = await reading.served((), "1.0", at_most=3)
    assert (served.servers, served.number, len(served.sessions)) == (2, 4, 3)
    rest = await reading.served((), "1.0", after=served.sessions[-1][0], at_most=3)
    assert {boot for _, boot in [*served.sessions, *rest.sessions]} == {"b1", "b2"}
    assert len(rest.sessions) == 1
    await reading.take_out(("b3",), "")
    assert all(one.draining for one in await database.servers.listed())


async def test_a_key_is_found_by_its_id_or_its_accounts_name_for_it(database: Database) -> None:
    """Nobody's, and a name that several have, is refused."""
    mine, other = await database.account(), await database.account()
    admin = AccountAdmin(database.engine)
    await admin.add_key(mine, "ab" * 32, "laptop")
    await admin.add_key(other, "cd" * 32, "laptop")
    assert await admin.key_called("ab" * 6) == "ab" * 6
    assert await admin.key_called("laptop", mine) == "ab" * 6
    for name, account in (("laptop", ""), ("phone", mine), ("ab", "")):
        with pytest.raises(Refused) as refused:
            await admin.key_called(name, account)
        assert refused.value.code == FailureCode.NOT_FOUND
