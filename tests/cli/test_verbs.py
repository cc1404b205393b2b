"""The commands of operators' verbs, as they are typed, on a real database, Temporal and sessions worker."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select
from temporalio.client import Client
from ulid import ULID

from api.auth import key_hash
from cli.main import main
from database.avatar_servers import AvatarServers
from database.engine import reading
from database.tables import METADATA
from support.api_system import KEY, ROOM, ApiSystem, environment, new_picture
from support.docs_commands import commands_in
from support.eventually import staging_cleared
from support.fake_avatar_server import FakeAvatarServer


@dataclass(kw_only=True)
class Scene:
    """An API with a server of its own for these tests, and an operator's terminal."""

    api: ApiSystem
    server: FakeAvatarServer
    environ: dict[str, str]

    async def said(self, *words: str, code: int = 0) -> str:
        """What a command prints on its standard output. It has an event loop of its own, hence the thread."""
        result: Result = await asyncio.to_thread(CliRunner().invoke, main, list(words), env=self.environ)
        assert result.exit_code == code, (words, result.output, result.exception)
        return result.stdout

    async def rows(self) -> dict[str, list[Any]]:
        """Every row of every table; what renewals write is left out."""
        moving = {"renewed_at", "renewals", "last_used_at", "served_ms"}
        async with reading(self.api.engine) as connection:
            return {
                name: [
                    tuple(row)
                    for row in await connection.execute(select(*[c for c in table.c if c.name not in moving]))
                ]
                for name, table in METADATA.tables.items()
            }


@pytest.fixture
async def scene(api_system: ApiSystem, temporal_apart: Client) -> AsyncIterator[Scene]:
    """A server with many slots, so that it gets the sessions, and goes afterwards."""
    server = FakeAvatarServer(AvatarServers(api_system.engine), slots=20, name="avatar-1", version="0.1.0")
    environ = environment(temporal_apart) | {"GREENROOM_DATABASE_URL": api_system.settings.database_address}
    environ["GREENROOM_STORAGE_URL"] = api_system.settings.storage_address
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server.run(temporal_apart))
        yield Scene(api=api_system, server=server, environ=environ)


async def test_sessions_end_by_what_they_have_in_common(scene: Scene) -> None:
    """By metadata and by key; a dry run names them and changes no row, and others go on."""
    mark = str(ULID())
    first, second, other = [await scene.api.session(mark=mark, n=n) for n in (1, 1, 2)]
    chosen = ("sessions", "end", "--metadata", "n=1", "--key", key_hash(KEY)[:12])
    before = await scene.rows()
    would = json.loads(await scene.said(*chosen, "--dry-run", "--json"))
    assert (would["dry_run"], sorted(would["sessions"])) == (True, sorted([first, second]))
    assert await scene.rows() == before
    outcome = json.loads(await scene.said(*chosen, "--json"))
    assert (outcome["done"], outcome["left"]) == (2, 0)
    assert [await scene.api.reason(one) for one in (first, second, other)] == ["ended_by_operator"] * 2 + [None]
    said = await scene.said("sessions", "end", "--metadata", f"mark={mark}", "--reason", "drained")
    assert f"{other} ended as drained" in said
    assert said.startswith("workflow end-sessions-")
    assert "0 sessions ended" in await scene.said("sessions", "end", "--metadata", f"mark={mark}")
    for wrong in (("--metadata", "mark"), (), ("sess_1", "--account", "Ada")):
        await scene.said("sessions", "end", *wrong, code=2)


async def test_all_servers_of_a_version_are_emptied(scene: Scene) -> None:
    """The sessions go to the server of another version; begun without waiting, and followed afterwards."""
    session_id = await scene.api.session()
    assert (session_id, 1) in scene.server.serving
    would = json.loads(await scene.said("servers", "drain", "--version", "0.1.0", "--dry-run", "--json"))
    assert (would["servers"], would["sessions"]) == ([scene.server.boot_id], [session_id])
    assert "takes sessions  version 0.1.0" in await scene.said("servers", "list")
    await scene.said("servers", "drain", "--version", "0.1.0", "--wait", "--detach")
    followed = await scene.said("operations", "follow", "drain-version-0.1.0")
    assert f"{session_id} is on fake-1" in followed
    assert followed.strip().endswith("1 done, 0 left")
    assert (session_id, 2) in scene.api.server.serving
    await scene.said("sessions", "end", session_id)
    assert "can be stopped" in await scene.said("servers", "drain", "avatar-1")
    await scene.said("servers", "drain", "--version", "9.9", code=2)
    await scene.said("servers", "drain", code=2)


async def test_every_line_of_the_page_on_verbs(scene: Scene) -> None:
    """One after the other, as an operator would who follows the page from top to bottom."""
    for words in (("accounts", "create", "Ada"), ("keys", "create", "Ada", "laptop")):
        await scene.said(*words)
    session_id = await scene.api.session()
    shown = commands_in("operators.md")
    await scene.said("servers", "drain", "--version", "0.1.0", "--no-move", "--wait", "--detach")
    for words in [words for words in shown if "stop" in words]:  # while there is one that waits
        await scene.said(*words)
    await AvatarServers(scene.api.engine).drain(scene.server.boot_id, draining=False)
    said = ""
    for words in sorted((words for words in shown if "stop" not in words), key=lambda words: words[0] == "operations"):
        receipt = re.findall(r"rcpt_\w+", said)[-1:]
        said = await scene.said(*[receipt[0] if word == "RECEIPT_ID" else word for word in words])
    await scene.said("sessions", "end", session_id)


async def test_an_account_is_deleted_with_everything(scene: Scene) -> None:
    """No row and no object leads back to it, its session has ended, its key opens nothing; twice is once."""
    api, name = scene.api, f"name-{ULID()}"
    account_id = (await scene.said("accounts", "create", name, "--plan", "pro")).strip()
    key = (await scene.said("keys", "create", name, "laptop")).strip()
    _, avatar = await api.request("POST", "/v1/avatars/upload-face", key=key, json={"image_base64": new_picture()})
    body = {"avatar": avatar["avatar_id"], "room": ROOM, "metadata": {"who": name}}
    status, answer = await api.request("POST", "/v1/sessions", key=key, json=body)
    assert status == 201, answer
    session_id = answer["session"]["session_id"]
    await staging_cleared(api.settings.data_path / "objects")
    rows, objects = await scene.rows(), objects_of(api)
    would = json.loads(await scene.said("accounts", "delete", name, "--dry-run", "--json"))
    assert (would["sessions"], would["avatars"], would["api_keys"]) == (1, 1, 1)
    assert would["objects"] == len([one for one in objects if avatar["avatar_id"] in one]) > 0
    assert (await scene.rows(), objects_of(api)) == (rows, objects)
    receipt_id = json.loads(await scene.said("accounts", "delete", name, "--yes", "--json"))["receipt_id"]
    after, traces = await scene.rows(), (account_id, name, avatar["avatar_id"], session_id, key_hash(key)[:12])
    assert not [(table, row) for table, found in after.items() for row in found if any(t in repr(row) for t in traces)]
    left = objects_of(api)
    assert not [one for one in left if any(trace in one for trace in traces)]
    assert (await api.request("GET", "/v1/avatars", key=key))[0] == 401
    proof = json.loads(await scene.said("accounts", "receipt", receipt_id))
    assert proof["object_key_sha256"] == sorted(sha256(one.encode()).hexdigest() for one in objects - left)
    assert {one: proof["deleted"][one] for one in ("sessions", "avatars", "accounts", "objects")} == {
        "sessions": 1,
        "avatars": 1,
        "accounts": 1,
        "objects": would["objects"],
    }
    told = proof.pop("sha256")
    assert told == sha256(json.dumps(proof, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    assert receipt_id in await scene.said("accounts", "delete", account_id, "--yes")
    assert json.loads(await scene.said("accounts", "receipt", account_id))["receipt_id"] == receipt_id
    await scene.said("accounts", "receipt", "rcpt_none", code=2)


def objects_of(api: ApiSystem) -> set[str]:
    """The keys of all objects, health checks left out."""
    root = api.settings.data_path / "objects"
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] != "health"}
