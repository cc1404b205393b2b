"""`greenroom init` on real parts: what it makes, that it makes nothing twice, and what it says where it cannot."""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url
from temporalio.client import Client
from ulid import ULID

from api.auth import key_hash
from cli.doctor import examine
from cli.doctor_temporal import missing_attributes, namespace_of
from cli.init import prepared
from cli.init_plan import Outcome, carry_out
from cli.init_stores import store_parts
from cli.init_temporal import temporal_parts
from cli.library.builtin import BUILTIN
from cli.main import main
from contracts.reconciling import EVERY, SCHEDULE_ID
from database.accounts import Accounts
from database.avatars import Avatars
from database.engine import open_engine, writing
from database.migrations import is_current
from runtime.settings import load_settings
from runtime.temporal_client import NO_PROFILE, connect
from support.docs_commands import commands_in
from support.s3_server import MAKER, READER, S3Server, s3_server
from support.temporal import elsewhere
from support.temporal_gate import Authority, gate_before
from worker.reconciling import ScheduleState, make_schedule, state_of

__all__ = ["s3_server"]

FIRST_KEY = "a-first-key-of-a-test-that-is-long-enough"
CHANGES = 10
"""Bucket, tables, account, avatars, namespace, four search attributes, Schedule."""


sqlite = pytest.mark.parametrize("database_maker", ["SQLite"], indirect=True)
"""Where the kind of database makes no difference."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A cluster, a database and a store in which nothing of this test has been made."""

    temporal: Client
    """Of a namespace that may not be there yet."""
    environ: dict[str, str]

    async def init(self, *, dry_run: bool = False, retention: timedelta | None = None, **changes: str) -> list[Outcome]:
        """Run it, with other variables where the test says so."""
        environ = {**self.environ, **changes}
        return await prepared(environ, retention, dry_run=dry_run, tell=lambda _: None)

    async def prepare_temporal(self, retention: timedelta | None = None, **changes: str) -> list[Outcome]:
        """Its Temporal part alone."""
        return await carry_out(temporal_parts({**self.environ, **changes}, retention), dry_run=False)

    async def prepare_stores(self, *names: str, **changes: str) -> dict[str, Outcome]:
        """Some of its other parts alone."""
        environ = {**self.environ, **changes}
        parts = [part for part in store_parts(load_settings(environ), environ) if part.name in names]
        return {one.part: one for one in await carry_out(parts, dry_run=False)}

    async def made(self) -> dict[str, bool]:
        """What is there, each looked at by itself."""
        engine = open_engine(self.environ["GREENROOM_DATABASE_URL"])
        found = await namespace_of(self.temporal) is not None
        tables = await is_current(engine)
        key = await Accounts(engine).by_key_hash(key_hash(FIRST_KEY)) if tables else None
        avatars = await Avatars(engine).known(BUILTIN) if tables else ()
        await engine.dispose()
        return {
            "namespace": found,
            "attributes": found and not await missing_attributes(self.temporal),
            "schedule": found and await state_of(self.temporal) is ScheduleState.CURRENT,
            "tables": tables,
            "key": key is not None,
            "avatars": len(avatars) == len(BUILTIN),
        }


@pytest.fixture
async def place(temporal: Client, s3_server: S3Server, empty_url: str, tmp_path: Path) -> Place:
    """A place of the test's own; each kind of database takes its turn."""
    namespace = f"init-{ULID()}".lower()
    address = temporal.service_client.config.target_host
    storage = s3_server.settings(f"s3://init-{ULID()}/here".lower(), **MAKER)
    return Place(
        temporal=await elsewhere(temporal, namespace),
        environ={
            **NO_PROFILE,
            "HOME": os.environ["HOME"],
            "TEMPORAL_ADDRESS": address,
            "TEMPORAL_NAMESPACE": namespace,
            "GREENROOM_DATA_DIR": str(tmp_path / "data"),
            "GREENROOM_DATABASE_URL": empty_url,
            "GREENROOM_FIRST_API_KEY": FIRST_KEY,
            "GREENROOM_RENDERER": "still",
            **{f"GREENROOM_{name.upper()}": text for name, text in storage.items()},
        },
    )


def changes(outcomes: list[Outcome]) -> list[str]:
    """What was done; everything must have gone well."""
    assert [one.text for one in outcomes if not one.ok] == []
    return [text for one in outcomes for text in one.changes]


async def test_everything_is_made_and_nothing_twice(place: Place) -> None:
    """A dry run says the same and makes nothing; after one run all is there, and a second one finds nothing to do."""
    wanted = changes(await place.init(dry_run=True))
    assert len(wanted) == CHANGES
    assert not any((await place.made()).values())
    assert changes(await place.init()) == wanted
    assert all((await place.made()).values())
    before = (await place.temporal.get_schedule_handle(SCHEDULE_ID).describe()).raw_description
    assert changes(await place.init()) == changes(await place.init(dry_run=True)) == []
    after = (await place.temporal.get_schedule_handle(SCHEDULE_ID).describe()).raw_description
    assert (after.schedule, after.info.update_time) == (before.schedule, before.info.update_time)
    parts = ("database", "object store", "Temporal")
    found = {one.part: one for one in await examine(place.environ)}
    assert [found[part].ok for part in parts] == [True] * len(parts), found


@sqlite
async def test_the_page_on_init(place: Place) -> None:
    """The lines of operations.md: the first changes nothing, the second makes everything."""
    looked, made = commands_in("operations.md", "Preparing an installation")
    for words, there in ((looked, False), (made, True)):
        said = await asyncio.to_thread(CliRunner().invoke, main, words, env=place.environ)
        assert said.exit_code == 0, said.output
        assert set((await place.made()).values()) == {there}


class Interrupted(Exception):
    """Somebody pulled the plug."""


def after(number: int) -> Callable[[str], None]:
    """Whoever is told of a change, and pulls the plug before that of a number is made."""
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if len(told) > number:
            raise Interrupted

    return tell


@sqlite
async def test_whoever_was_interrupted_runs_it_again(place: Place) -> None:
    """One change a run, each cut off before its second: the next goes on where it was, and the last completes it."""
    for _ in range(CHANGES - 1):
        with pytest.raises(Interrupted):
            await prepared(place.environ, None, dry_run=False, tell=after(1))
    assert len(changes(await place.init())) == 1
    assert all((await place.made()).values())


@sqlite
async def test_a_cluster_is_prepared_through_tls_with_a_key(place: Place, tmp_path: Path) -> None:
    """All that it asks of Temporal goes by the standard configuration: certificates, and the key in every call."""
    authority = Authority(folder=tmp_path)
    certificate, key = authority.issue("operator")
    address = place.environ["TEMPORAL_ADDRESS"]
    async with gate_before(address, authority, client_certificates=True, api_key="an-operators-key") as gate:
        await place.prepare_temporal(
            TEMPORAL_ADDRESS=gate.address,
            TEMPORAL_API_KEY="an-operators-key",
            TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(authority.certificate),
            TEMPORAL_TLS_CLIENT_CERT_PATH=str(certificate),
            TEMPORAL_TLS_CLIENT_KEY_PATH=str(key),
        )
    assert await state_of(place.temporal) is ScheduleState.CURRENT
    assert {one.get("authorization") for one in gate.seen} == {"Bearer an-operators-key"}
    asked = {one["method"].rpartition("/")[2] for one in gate.seen}
    assert asked >= {"RegisterNamespace", "AddSearchAttributes", "CreateSchedule"}


@sqlite
async def test_what_an_operator_has_changed_stays(place: Place) -> None:
    """A retention stays unless another is asked for; a Schedule of another version is renewed, and stays paused."""
    await place.prepare_temporal(timedelta(hours=48))
    assert changes(await place.prepare_temporal()) == []
    (renewed,) = changes(await place.prepare_temporal(timedelta(hours=96)))
    assert "for 96 h, not 48 h" in renewed
    described = await namespace_of(place.temporal)
    assert described is not None
    assert described.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(hours=96)
    handle = place.temporal.get_schedule_handle(SCHEDULE_ID)
    await make_schedule(place.temporal, EVERY * 2)
    async with asyncio.timeout(10):
        while not (await handle.describe()).schedule.state.paused:
            await handle.pause(note="the operator's")  # Temporal may lose one that comes right after an update
            await asyncio.sleep(0.2)
    (renewed,) = changes(await place.prepare_temporal())
    assert renewed.startswith("renew the Schedule")
    assert (await handle.describe()).schedule.state.paused
    assert await state_of(place.temporal) is ScheduleState.CURRENT


@sqlite
async def test_payloads_may_be_encrypted(place: Place) -> None:
    """With keys for payloads the Schedule is made too, and recognised when it is looked at again."""
    keys = "k1:" + "cDEy" * 10 + "cDE="
    assert "make the Schedule" in changes(await place.prepare_temporal(GREENROOM_PAYLOAD_KEYS=keys))[-1]
    assert changes(await place.prepare_temporal(GREENROOM_PAYLOAD_KEYS=keys)) == []
    client = await connect({**place.environ, "GREENROOM_PAYLOAD_KEYS": keys})
    assert await state_of(client) is ScheduleState.CURRENT


@pytest.mark.parametrize("database_maker", ["PostgreSQL"], indirect=True)
async def test_each_thing_in_the_way_is_said_and_the_rest_is_done(place: Place) -> None:
    """Wrong credentials for the store, a database that is not there: both are told, and Temporal is prepared."""
    url = make_url(place.environ["GREENROOM_DATABASE_URL"])
    nowhere = url.set(database="nowhere").render_as_string(hide_password=False)
    storage = {f"GREENROOM_STORAGE_{name.upper()}": text for name, text in {**MAKER, "secret_key": "wrong"}.items()}
    found = {one.part: one for one in await place.init(GREENROOM_DATABASE_URL=nowhere, **storage)}
    assert [part for part, one in found.items() if not one.ok] == ["bucket", "database", "account", "avatars"]
    assert "GREENROOM_STORAGE_SECRET_KEY" in found["bucket"].text
    assert "GREENROOM_DATABASE_URL" in found["database"].text
    assert "first database" in found["account"].text
    assert await state_of(place.temporal) is ScheduleState.CURRENT


@sqlite
async def test_a_bucket_that_may_not_be_made_is_said(place: Place) -> None:
    """The sentence names what the key lacks; no other part is left out for it."""
    storage = {f"GREENROOM_STORAGE_{name.upper()}": text for name, text in READER.items()}
    found = await place.prepare_stores("bucket", "database", **storage)
    assert "the bucket's policy" in found["bucket"].text
    assert found["database"].ok


async def test_a_database_of_a_newer_version_is_left_alone(place: Place) -> None:
    """While two versions run side by side, the older one's operator finds nothing to do."""
    await place.prepare_stores("database")
    engine = open_engine(place.environ["GREENROOM_DATABASE_URL"])
    async with writing(engine) as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'r9999'")
    await engine.dispose()
    assert (await place.prepare_stores("database"))["database"] == Outcome(part="database")


@sqlite
def test_the_command_speaks_json(place: Place) -> None:
    """One line for scripts, which says that nothing was done; what stands in the way makes the exit code 1."""
    environ = {**place.environ, "TEMPORAL_ADDRESS": "127.0.0.1:9"}
    ended = CliRunner().invoke(main, ["init", "--dry-run", "--json"], env=environ)
    answer = json.loads(ended.stdout)
    assert (ended.exit_code, answer["ok"], answer["dry_run"]) == (1, False, True)
    parts = {one["part"]: one for one in answer["parts"]}
    assert parts["database"] == {
        "part": "database", "ok": True, "changes": ["make or change the tables for this version"], "text": ""
    }  # fmt: skip
    assert "TEMPORAL_ADDRESS" in parts["namespace"]["text"]
    assert ended.stderr.startswith("would make the bucket init-")


@sqlite
def test_the_command_speaks_to_people(place: Place) -> None:
    """What is done is said as it is done, and how each part is afterwards; a wrong setting ends it with exit code 2."""
    environ = {**place.environ, "GREENROOM_DATA_DIR": ""}
    environ |= {name: "" for name in place.environ if name.startswith("GREENROOM_STORAGE_")}
    ended = CliRunner().invoke(main, ["init", "--retention", "24h"], env=environ)
    assert ended.exit_code == 0, ended.output
    assert "which keeps closed sessions for 24 h\n" in ended.output
    assert "\u2713 schedule: is now as it should be" in ended.output
    again = CliRunner().invoke(main, ["init"], env=environ)
    assert "\u2713 schedule: nothing to do" in again.output
    wrong = CliRunner().invoke(main, ["init"], env={**place.environ, "GREENROOM_PORT": "x"})
    assert wrong.exit_code == 2
