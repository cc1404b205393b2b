"""Which keys rows depend on, by their ids."""

from datetime import timedelta

from sqlalchemy import update

from database.instants import db_now, from_now
from database.key_uses import KeyUses
from database.tables import creates, sessions
from database.webhook_endpoints import WebhookEndpoints
from support.databases import Database


async def create(database: Database, session_id: str, mac: str) -> None:
    """A create that is remembered."""
    await database.creates.claim(
        account_id="acct_1", repeat_key=session_id, keyed=True, body_mac=mac,
        is_same_body=lambda _: True, session_id=session_id,
    )  # fmt: skip


async def test_tokens_are_of_the_key_by_which_the_create_is_known(database: Database) -> None:
    """A session counts for the key of its create; a forgotten create's for every one; an ended one for none."""
    await database.accounts.create("acct_1", "tester")
    first, second, ended = [await database.started() for _ in range(3)]
    await create(database, first, "k1.mac")
    await create(database, second, "k2.mac")
    await create(database, ended, "k1.mac")
    over = {"status": "ended", "ended_at": db_now(), "end_reason": "expired"}
    await database.run(update(sessions).where(sessions.c.session_id == ended).values(over))
    uses = KeyUses(database.engine)
    assert (await uses.sessions(frozenset({"k2"}))).number == 1
    assert (await uses.sessions(frozenset({"k1", "k2"}))).number == 0
    await database.run(creates.delete().where(creates.c.session_id == second))
    assert (await uses.sessions(frozenset({"k2"}))).number == 2
    assert (await uses.sessions(frozenset({"k1"}))).last is not None


async def test_creates_count_while_they_are_remembered(database: Database) -> None:
    """By the key in front of their mark, whose dot ends its id; what has expired counts for none."""
    await database.accounts.create("acct_1", "tester")
    await create(database, "sess_1", "k1.mac")
    await create(database, "sess_2", "k10.mac")
    uses = KeyUses(database.engine)
    assert ((await uses.bodies("k1")).number, (await uses.bodies("k")).number) == (1, 0)
    assert ((await uses.bodies("k1")).last is None, (await uses.bodies("k")).last is None) == (False, True)
    assert await uses.foreign_bodies(frozenset({"k1"})) == 1
    await database.run(update(creates).values(expires_at=from_now(-1)))
    assert (await uses.bodies("k1")).number == await uses.foreign_bodies(frozenset()) == 0


async def test_secrets_of_webhooks_are_sealed_anew(database: Database) -> None:
    """Every secret that an older key sealed, the one before it too; what is removed or signs no more is left out."""
    await database.accounts.create("acct_1", "tester")
    endpoints, uses = WebhookEndpoints(database.engine), KeyUses(database.engine)
    for name in ("whep_1", "whep_2", "whep_3"):
        await endpoints.add(
            endpoint_id=name, account_id="acct_1", url="https://a.example", events=[], sealed_secret=f"w1.{name}"
        )
    await endpoints.rotate("whep_1", "w2.new", timedelta(days=1))
    await endpoints.rotate("whep_2", "w2.new", timedelta(seconds=-1))
    await endpoints.remove("whep_3")
    assert await uses.webhooks() == {"w2": 2, "w1": 1}
    assert await uses.reseal_webhooks(lambda endpoint, sealed: f"w2.{endpoint}.{sealed}", "w2") == 2
    assert await uses.webhooks() == {"w2": 3}
    assert await uses.reseal_webhooks(lambda _, __: "", "w2") == 0
