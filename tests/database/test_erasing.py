"""An account is erased: nothing that leads back to it stays in any table, others keep what they had, sums stay."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from ulid import ULID

from database.account_admin import AccountAdmin
from database.erasing import Erasing, digest
from database.freezes import Freezes
from database.tables import METADATA, control_lines, creates, erased_charges, links
from database.webhook_endpoints import WebhookEndpoints
from domain.failures import FailureCode, Refused
from domain.leases import Serving
from support.databases import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EMPTY_HERE = {"plans", "avatar_servers", "slots", "erasures", "erased_objects", "erased_charges", "waiting"}
"""Tables whose rows are no account's, or that an account without a create under way has no row in."""


async def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    return {
        name: [tuple(row.values()) for row in await database.rows(select(table))]
        for name, table in METADATA.tables.items()
    }


async def lived(database: Database) -> tuple[str, list[str]]:
    """A closed account with a row in every table that knows accounts; its id, and all that leads back to it."""
    account_id, mark = await database.account(), str(ULID())
    admin = AccountAdmin(database.engine)
    endpoint = {"endpoint_id": f"end_{mark}", "url": f"https://{mark}.example", "sealed_secret": "k1.c2VhbGVk"}
    await WebhookEndpoints(database.engine).add(account_id=account_id, events=["session.ended"], **endpoint)
    await admin.add_key(account_id, digest(mark), mark)
    await admin.add_minutes(account_id, f"pack_{mark}", 10)
    avatar_id, boot = await database.avatar(account_id), await database.server(slots=1)
    await database.avatars.reserve(f"avat_{mark}", account_id)
    session_id, _ = await database.admit(account_id, avatar_id)
    await database.leases.claim(session_id, 1)
    await database.sessions.start(session_id, 1, 3600, 3600)
    await database.servers.renew(boot, [Serving(session_id=session_id, generation=1, served_ms=90_000)])
    await database.run(control_lines.insert().values(session_id=session_id, address="ws://a", number=1, opened_at=NOW))
    await database.sessions.end(session_id, "account_closed", attended=True)
    await database.servers.renew(boot, [])
    link = {"link_id": f"lnk_{mark}", "kind": "link", "name": mark, "aspect_ratio": "1:1", "paused": False, "uses": 0}
    await database.run(links.insert().values(account_id=account_id, avatar_id=avatar_id, created_at=NOW, **link))
    repeat = {"repeat_key": digest(mark), "keyed": False, "body_mac": "mac", "session_id": f"sess_{mark}"}
    await database.run(creates.insert().values(account_id=account_id, expires_at=NOW, **repeat))
    await Freezes(database.engine).freeze(account_id, "goes")
    await admin.close(account_id)
    return account_id, [account_id, mark, avatar_id, session_id]


async def erased(database: Database, account_id: str, receipt_id: str) -> str:
    """Erase an account without a workflow; the receipt's id."""
    erasing = Erasing(database.engine)
    receipt_id = await erasing.begin(account_id, receipt_id)
    while found := await erasing.avatars_of(account_id):
        await erasing.note_objects(receipt_id, [f"avatars/{one}/4x3.jpg" for one in found])
        await erasing.erase_avatars(account_id, receipt_id, found)
    while await erasing.erase_sessions(account_id, receipt_id):
        pass
    await erasing.finish(account_id, receipt_id)
    return receipt_id


async def test_nothing_leads_back_to_an_erased_account(database: Database) -> None:
    """No value of any row of any table names it or what was its; another that lived the same keeps every row."""
    mine, traces = await lived(database)
    without_other = await everything(database)
    for name, rows in without_other.items():
        assert rows or name in EMPTY_HERE, f"the scene leaves {name} empty: the scan would prove nothing"
    other, others = await lived(database)
    touched = await Erasing(database.engine).touches(mine)
    receipt_id = await erased(database, mine, "rcpt_1")
    after = await everything(database)
    for name, rows in after.items():
        assert not [row for row in rows for trace in traces if trace in repr(row)], name
    assert touched == (await Erasing(database.engine).found(receipt_id)).counts
    assert touched == await Erasing(database.engine).touches(other)
    assert all(trace in repr(after) for trace in others)


async def test_the_receipt_counts_once_and_the_ledger_keeps_its_sums(database: Database) -> None:
    """Whoever erases again, at whatever point, finds the same receipt; it is found by the account's id, too."""
    account_id, _ = await lived(database)
    erasing = Erasing(database.engine)
    await erasing.begin(account_id, "rcpt_1")
    await erasing.erase_sessions(account_id, "rcpt_1")
    assert await erased(database, account_id, "rcpt_2") == "rcpt_1"
    assert await erased(database, account_id, "rcpt_3") == "rcpt_1"
    found = await erasing.found(account_id)
    assert (found.receipt_id, found.account_sha256) == ("rcpt_1", digest(account_id))
    assert found.erased_at is not None
    assert (found.counts["sessions"], found.counts["charges"], found.counts["accounts"]) == (1, 1, 1)
    objects, kept = await erasing.proof("rcpt_1")
    assert len(objects) == 1
    assert (kept.charges, kept.minutes, kept.served_ms) == (1, 2, 90_000)
    (row,) = await database.rows(select(erased_charges))
    assert (row["minutes"], row["included_minutes"] + row["purchased_minutes"]) == (2, 2)
    for name in ("rcpt_2", "acct_nobody"):
        with pytest.raises(Refused) as refused:
            await erasing.found(name)
        assert refused.value.code == FailureCode.NOT_FOUND


async def test_who_still_works_for_an_account_is_seen(database: Database) -> None:
    """Sessions that run, slots that theirs hold, and what ended or was begun lately."""
    account_id, avatar_id, boot = await database.account(), await database.avatar(), await database.server()
    erasing = Erasing(database.engine)
    assert (await erasing.work(account_id)).unended == 0
    session_id, _ = await database.admit(account_id, avatar_id)
    await database.leases.claim(session_id, 1)
    assert (await erasing.work(account_id)).unended == 2
    await database.sessions.end(session_id, "account_closed")
    work = await erasing.work(account_id)
    assert (work.unended, work.session_ids) == (1, [session_id])
    await database.servers.renew(boot, [])
    assert (await erasing.work(account_id)).unended == 0
    await database.avatars.reserve("avat_1", account_id)
    assert (await erasing.work(account_id)).avatar_ids == ["avat_1"]
