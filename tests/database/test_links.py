"""Links and their uses."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from database.instants import from_now
from database.tables import links
from domain.avatars import AspectRatio
from domain.failures import Refused
from domain.links import Link, LinkKind, LinkStatus
from support.databases import Database


async def a_link(database: Database, account_id: str | None = None, link_id: str = "lnk_1", **values: Any) -> Link:
    """A link of an account."""
    usual = {"aspect_ratio": AspectRatio.SQUARE}
    return await database.links.add(link_id, account_id or await database.account(), "avat_1", **usual, **values)


async def code_of(database: Database, link_id: str = "lnk_1") -> str:
    """Why a link cannot be used."""
    with pytest.raises(Refused) as caught:
        await database.links.take(link_id)
    return str(caught.value.code)


async def test_a_link_comes_back_as_it_was_made(database: Database) -> None:
    """It is created by the database's clock, unused and active."""
    made = await a_link(database, name="For Sara", use_limit=3)
    assert await database.links.get("lnk_1") == made
    assert (made.name, made.uses, made.use_limit, made.aspect_ratio) == ("For Sara", 0, 3, "1:1")
    assert abs(made.created_at - datetime.now(UTC)) < timedelta(seconds=5)
    assert made.status(datetime.now(UTC)) == LinkStatus.ACTIVE
    assert await database.links.get("lnk_2") is None


async def test_no_limit_is_passed_however_many_come_at_once(database: Database) -> None:
    """Of seven at once three are served; a use that is given back can be taken again."""
    await a_link(database, use_limit=3)
    answers = await asyncio.gather(*(database.links.take("lnk_1") for _ in range(7)), return_exceptions=True)
    taken = [one for one in answers if isinstance(one, Link)]
    refused = [one for one in answers if isinstance(one, Refused)]
    assert sorted(link.uses for link in taken) == [1, 2, 3]
    assert {one.code for one in refused} == {"LINK_USED_UP"}
    await database.links.give_back("lnk_1")
    link = await database.links.take("lnk_1")
    assert (link.uses, link.status(datetime.now(UTC))) == (3, LinkStatus.EXPIRED)


async def test_each_reason_has_its_code_and_costs_no_use(database: Database) -> None:
    """Paused, over, or unknown; a link that is active again can be used."""
    link = await a_link(database, expires_at=from_now(60))
    await database.links.change("lnk_1", link.account_id, {"paused": True})
    assert await code_of(database) == "LINK_PAUSED"
    await database.links.change("lnk_1", link.account_id, {"paused": False})
    assert (await database.links.take("lnk_1")).uses == 1
    await database.run(update(links).values(expires_at=from_now(-1)))
    assert await code_of(database) == "LINK_EXPIRED"
    assert await code_of(database, "lnk_2") == "LINK_NOT_FOUND"
    found = await database.links.get("lnk_1")
    assert found is not None
    assert (found.uses, found.status(datetime.now(UTC))) == (1, LinkStatus.EXPIRED)


async def test_a_limit_stays_above_what_was_used(database: Database) -> None:
    """As the contract has it; null takes the limit away, and nobody changes another account's link."""
    link = await a_link(database, use_limit=3)
    for _ in range(2):
        await database.links.take("lnk_1")
    with pytest.raises(Refused) as caught:
        await database.links.change("lnk_1", link.account_id, {"use_limit": 2, "name": "never"})
    assert (caught.value.code, caught.value.details) == ("INVALID_LINK", {"uses": 2})
    changed = await database.links.change("lnk_1", link.account_id, {"use_limit": None, "name": "mine"})
    assert (changed.use_limit, changed.name) == (None, "mine")
    with pytest.raises(Refused) as caught:
        await database.links.change("lnk_1", await database.account(), {"name": "yours"})
    assert caught.value.code == "LINK_NOT_FOUND"


async def test_a_preview_is_for_once_within_five_minutes_and_in_no_list(database: Database) -> None:
    """Lists have an account's own links, newest first; previews of yesterday are forgotten with the next one."""
    mine = await database.account()
    preview = await database.links.add_preview("lnk_p", mine, "avat_1", AspectRatio.LANDSCAPE)
    assert (preview.kind, preview.use_limit) == (LinkKind.PREVIEW, 1)
    assert preview.expires_at is not None
    assert preview.expires_at - preview.created_at == pytest.approx(timedelta(minutes=5), abs=timedelta(seconds=2))
    for number in (1, 2):
        await a_link(database, mine, f"lnk_{number}")
        await database.run(update(links).where(links.c.link_id == "lnk_1").values(created_at=from_now(-60)))
    await a_link(database, link_id="lnk_3")
    assert [link.link_id for link in await database.links.listed_for(mine)] == ["lnk_2", "lnk_1"]
    await database.run(update(links).where(links.c.link_id == "lnk_p").values(expires_at=from_now(-90_000)))
    await database.links.add_preview("lnk_q", mine, "avat_1", AspectRatio.LANDSCAPE)
    assert await database.links.get("lnk_p") is None
