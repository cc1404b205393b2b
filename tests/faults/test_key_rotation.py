"""A whole rotation of the server's keys under a session that goes on: nothing pauses, and each step is checked."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import msgspec
import pytest

from cli.operators.hands import Drain, Hands
from cli.secret_uses import KeyUse, key_uses
from database.avatar_servers import AvatarServers
from runtime.system.plan import api_part, own_environ, worker_part
from support import pictures
from support.real_system import SLOTS, Live, RealSystem, running_real_system

NEW = f"k2:{base64.b64encode(b'n' * 32).decode()}"
TONE = base64.b64encode(b"\x10\x00" * 2400).decode()


class Operator:
    """Whoever changes the keys: each process is restarted with the sets of a phase."""

    def __init__(self, system: RealSystem) -> None:
        self.system = system
        self.old = {name: getattr(system.running.site.memory, name) for name in ("server_keys", "sealing_keys")}
        self.sets = dict(self.old)
        self.server = "avatar"

    def phase(self, order: str) -> None:
        """The order of old and new in both sets from now on."""
        for name, old in self.old.items():
            both = {"old new": f"{old},{NEW}", "new old": f"{NEW},{old}", "new": NEW}
            self.sets[name] = both[order]

    async def restart_api(self) -> None:
        """Another API process, with the keys of the phase, in the place of the one that ran."""
        supervisor, site = self.system.running.supervisor, self.system.running.site
        await supervisor.stop("api")
        await supervisor.start(api_part(replace(site, memory=msgspec.structs.replace(site.memory, **self.sets))))

    async def replace_avatar_server(self, name: str) -> None:
        """A server with the keys of the phase takes over the sessions of the one before, which is drained."""
        supervisor, site = self.system.running.supervisor, self.system.running.site
        memory = msgspec.structs.replace(site.memory, **self.sets)
        environ = {**site.environ, "GREENROOM_AVATAR_NAME": name}
        part = worker_part(replace(site, memory=memory, environ=environ), "avatar")
        beside = {**part.environ, "GREENROOM_METRICS_PORT": "0"}  # the one before still has the usual port
        await supervisor.start(replace(part, name=name, environ=beside))
        servers = AvatarServers(self.system.engine)
        [before] = [one for one in await servers.listed() if one.live and one.name != name]
        left = await Hands(servers, self.system.temporal).drain(before.boot_id, Drain(wait=True), lambda _: None)
        assert left == 0
        await supervisor.stop(self.server)
        self.server = name
        await self.system.wait_capacity(1)

    async def check(self, kind: str) -> KeyUse:
        """What `greenroom secrets check` finds of the old key of a set."""
        names = {"SERVER_KEYS": self.sets["server_keys"], "SEALING_KEYS": self.sets["sealing_keys"]}
        environ = own_environ(self.system.running.site, **names)
        key_id = self.old[f"{kind}_keys"].partition(":")[0]
        [found] = [one for one in await key_uses(environ) if (one.kind, one.key_id) == (kind, key_id)]
        return found

    async def speaks(self, live: Live) -> None:
        """The session's token is taken by the API, and the avatar dials it with a relay token that is taken, too."""
        url = self.system.running.api_url.replace("http://", "ws://") + "/ws"
        said = {"session_id": live.session_id, "session_token": live.session["session_token"]}
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as socket:
            await socket.send_json({"type": "session.init", **said})
            established = json.loads(await socket.receive_str(timeout=15))
            assert established["type"] == "connection.established", established
            await socket.send_json({"type": "agent.speak", "audio": TONE, "sample_rate": 24_000})
            confirmed = json.loads(await socket.receive_str(timeout=15))
            assert confirmed["type"] == "agent.speak.confirmed", confirmed
            # Whoever leaves without a goodbye ends nothing while the next socket comes within seconds.
            socket._response.connection.transport.abort()  # type: ignore[union-attr]


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[Operator]:
    """An operator of a system of the test's own."""
    async with running_real_system(tmp_path / "system", control_lost_s="600") as system:
        yield Operator(system)


@asynccontextmanager
async def session(operator: Operator, avatar: str) -> AsyncIterator[Live]:
    """A session that is seen, and goes on."""
    async with operator.system.live(avatar) as live:
        yield live
        assert (await operator.system.get(live.session_id))["status"] == "started"


async def test_keys_change_under_a_session(operator: Operator) -> None:
    """Known everywhere, then first everywhere, then alone: the old session fails over twice and its token is taken."""
    system = operator.system
    avatar = str((await system.upload(pictures.astronaut()))["avatar_id"])
    async with session(operator, avatar) as old:
        await operator.speaks(old)
        operator.phase("old new")
        await operator.replace_avatar_server("avatar-known")
        await operator.restart_api()
        await operator.speaks(old)
        operator.phase("new old")
        await operator.restart_api()
        await operator.speaks(old)  # its server still makes relay tokens with the old key
        await operator.replace_avatar_server("avatar-first")
        await operator.speaks(old)
        assert (await operator.check("sealing")).uses == ("running sessions' room tokens: 1",)
        assert not (await operator.check("server")).may_go
        async with session(operator, avatar) as new:
            await operator.speaks(new)
    async with session(operator, avatar) as new:
        assert (await operator.check("sealing")).may_go
        assert "tokens of sessions" not in str(await operator.check("server"))
        operator.phase("new")
        await operator.replace_avatar_server("avatar-alone")
        await operator.restart_api()
        await operator.speaks(new)
    await system.wait_capacity(SLOTS)
