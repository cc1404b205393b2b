"""`greenroom secrets` on a real Temporal and database: what depends on which key, and that no key is shown."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from temporalio.client import Client

from adapters.sealing import Sealer
from adapters.signing import Signer
from cli.main import main
from cli.secret_uses import KeyUse, key_uses, reseal, sentence
from contracts import queues
from contracts.session_workflow import RoomAddress
from database.webhook_endpoints import WebhookEndpoints
from domain.webhooks import SECRET_FIELD
from runtime.settings import parse_keys
from runtime.temporal_client import NO_PROFILE, connect
from support.api_system import environment
from support.databases import Database
from support.docs_commands import commands_in
from support.session_commands import command, new_session_id
from workflows.create_session import CreateSessionWorkflow


def key(letter: str) -> str:
    """A key of a set."""
    return base64.b64encode(letter.encode() * 32).decode()


def keys(text: str) -> dict[str, bytes]:
    """The keys as processes have them."""
    return parse_keys(text, "KEYS")


SERVER, SEALING, WEBHOOK = (
    f"k2:{key('b')},k1:{key('a')}",
    f"s2:{key('d')},s1:{key('c')}",
    f"w2:{key('f')},w1:{key('e')}",
)


@pytest.fixture
def environ(temporal_deserted: Client, database: Database, tmp_path: Path) -> dict[str, str]:
    """The settings of all processes together, in the midst of a rotation; nobody works here."""
    return {
        **NO_PROFILE,
        **environment(temporal_deserted),
        "GREENROOM_DATA_DIR": str(tmp_path),
        "GREENROOM_DATABASE_URL": database.url,
        "GREENROOM_SERVER_KEYS": SERVER,
        "GREENROOM_SEALING_KEYS": SEALING,
        "GREENROOM_WEBHOOK_KEYS": WEBHOOK,
    }


@pytest.fixture
async def running(environ: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
    """Two sessions that run, the token of one sealed with the older key; they are gone afterwards."""
    found = {}
    client = await connect(environ)
    for key_id in ("s1", "s2"):
        session_id = new_session_id()
        sealed = Sealer({key_id: keys(SEALING)[key_id]}).seal("token", session_id=session_id, field="room.token")
        room = RoomAddress(platform="livekit", url="ws://room.example", sealed_token=sealed)
        wanted = command(session_id, room=room)
        found[key_id] = await client.start_workflow(
            CreateSessionWorkflow.run, wanted, id=session_id, task_queue=queues.SESSIONS
        )
    yield found
    for handle in found.values():
        if (await handle.describe()).status.name == "RUNNING":
            await handle.terminate()


async def looked(environ: dict[str, str]) -> dict[str, KeyUse]:
    """What is found, by the keys' ids."""
    return {one.key_id: one for one in await key_uses(environ)}


async def listed(client: Client, number: int) -> None:
    """Wait until the list, which Temporal keeps apart, shows so many running workflows."""
    while len([one async for one in client.list_workflows('ExecutionStatus = "Running"')]) != number:
        pass


async def test_a_sealing_key_may_go_when_no_session_needs_it(environ: dict[str, str], running: dict[str, Any]) -> None:
    """While a session runs whose token it sealed, it is needed; afterwards it may go. The newest never may."""
    client = await connect(environ)
    await listed(client, 2)
    found = await looked(environ)
    assert (found["s1"].uses, found["s1"].may_go) == (("running sessions' room tokens: 1",), False)
    without = await looked({**environ, "GREENROOM_SEALING_KEYS": f"s2:{key('d')}"})
    assert without["s1"].is_missing
    assert "is missing here, and needed" in sentence(without["s1"])
    await running["s1"].terminate()
    await listed(client, 1)
    found = await looked(environ)
    assert (found["s1"].may_go, found["s2"].may_go, found["s2"].uses != ()) == (True, False, True)
    assert sentence(found["s1"]) == "may go"


async def test_payloads_keys_are_read_off_the_histories(environ: dict[str, str], running: dict[str, Any]) -> None:
    """What began encrypted counts for its key; where that is missing, so is what it says of the room's token."""
    encrypted = {**environ, "GREENROOM_PAYLOAD_KEYS": f"p1:{key('p')}"}
    client = await connect(encrypted)
    handle = await client.start_workflow(
        CreateSessionWorkflow.run, command(new_session_id()), id=new_session_id(), task_queue=queues.SESSIONS
    )
    try:
        await listed(client, 3)
        found = await looked({**encrypted, "GREENROOM_PAYLOAD_KEYS": f"p2:{key('q')},p1:{key('p')}"})
        assert found["p1"].uses == ("running workflows: 1",)
        assert "h after the last process" in sentence(found["p2"]) or found["p2"].place == 0
        blind = await looked(environ)
        assert blind["p1"].is_missing
        assert "running sessions that cannot be read here: 1" in blind["s1"].uses
    finally:
        await handle.terminate()


async def test_server_keys_count_for_tokens_and_creates(environ: dict[str, str], database: Database) -> None:
    """A session that has not ended, and a create that is remembered, need the key of their time, until a moment."""
    await database.accounts.create("acct_1", "tester")
    session_id = await database.started()
    mac = Signer({"k1": keys(SERVER)["k1"]}).body_mac(b"body")
    await database.creates.claim(
        account_id="acct_1", repeat_key="r", keyed=True, body_mac=mac, is_same_body=lambda _: True,
        session_id=session_id,
    )  # fmt: skip
    found = (await looked(environ))["k1"]
    assert len(found.uses) == 2
    assert "until 20" in sentence(found)
    removed = await looked({**environ, "GREENROOM_SERVER_KEYS": f"k2:{key('b')}"})
    assert removed["(removed)"].is_missing


async def test_webhooks_secrets_are_sealed_anew(environ: dict[str, str], database: Database) -> None:
    """`rotate` opens them with the old key and seals them with the new one; then the old key may go."""
    await database.accounts.create("acct_1", "tester")
    sealed = Sealer({"w1": keys(WEBHOOK)["w1"]}).seal("whsec_1", session_id="whep_1", field=SECRET_FIELD)
    await WebhookEndpoints(database.engine).add(
        endpoint_id="whep_1", account_id="acct_1", url="https://a.example", events=[], sealed_secret=sealed
    )
    assert (await looked(environ))["w1"].uses == ("webhook secrets: 1",)
    assert await reseal(environ) == 1
    found = await looked(environ)
    assert (found["w1"].may_go, found["w2"].uses) == (True, ("webhook secrets: 1",))
    assert await reseal(environ) == 0


@pytest.mark.parametrize("database_maker", ["SQLite"], indirect=True)
def test_the_commands_speak_of_ids_and_never_of_keys(environ: dict[str, str]) -> None:
    """A list, lines for scripts, and exit codes; a fresh key is the only one that is ever printed."""
    runner = CliRunner()
    shown = runner.invoke(main, ["secrets", "list"], env=environ)
    lines = runner.invoke(main, ["secrets", "list", "--json"], env=environ)
    rows = [json.loads(line) for line in lines.output.splitlines()]
    assert [(row["kind"], row["key_id"]) for row in rows] == [
        ("server", "k2"), ("server", "k1"), ("sealing", "s2"), ("sealing", "s1"), ("webhook", "w2"), ("webhook", "w1")
    ]  # fmt: skip
    assert "1.25 h after the last process was restarted" in shown.output
    codes = {
        words: runner.invoke(main, ["secrets", "check", *words.split()], env=environ).exit_code
        for words in ("", "sealing s1", "sealing s2", "server k1", "sealing s9", "sealing")
    }
    assert codes == {"": 0, "sealing s1": 0, "sealing s2": 1, "server k1": 0, "sealing s9": 2, "sealing": 2}
    assert not any(key(letter) in shown.output + lines.output for letter in "abcdef")
    fresh = runner.invoke(main, ["secrets", "new", "k3"]).output
    assert list(keys(fresh.strip())) == ["k3"]
    assert fresh != runner.invoke(main, ["secrets", "new", "k3"]).output
    assert runner.invoke(main, ["secrets", "new", "k:3"]).exit_code == 2
    away = runner.invoke(main, ["secrets", "list"], env={**environ, "TEMPORAL_ADDRESS": "127.0.0.1:9"})
    assert (away.exit_code, "TEMPORAL_ADDRESS" in away.output) == (1, True)


async def test_the_page_on_keys(environ: dict[str, str], database: Database) -> None:
    """The lines of keys.md, with both keys everywhere, as before its third round: the old one may go."""
    environ = {**environ, "GREENROOM_DATABASE_URL": database.url}
    new, *others = commands_in("keys.md")
    said = await asyncio.to_thread(CliRunner().invoke, main, new, env=environ)
    k2 = said.stdout.strip()
    assert list(keys(k2)) == ["k2"]
    for name in ("SERVER", "SEALING", "WEBHOOK"):
        environ[f"GREENROOM_{name}_KEYS"] = f"{k2},k1:{key('a')}"
    for words in others:
        said = await asyncio.to_thread(CliRunner().invoke, main, words, env=environ)
        assert said.exit_code == 0, (words, said.output)
