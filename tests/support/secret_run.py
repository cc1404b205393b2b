"""A full run of a system with every kind of secret in it, on paths that succeed and on paths that fail.

It notes each secret that went in or came out, and what was seen by the way: metrics, outputs of commands, answers that
refuse, command lines and environments of processes. What the system has stored is for the test to look at.
"""

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import httpx
from sqlalchemy import text

from adapters.relay_tokens import RelayTokens
from database.engine import writing
from runtime.settings import parse_keys
from runtime.system.plan import own_environ
from support import pictures
from support.fresh_pictures import as_avatar, fresh
from support.processes import marked
from support.real_system import Answer, RealSystem, new_room
from support.secret_search import processes_of
from support.tokens import avatar_token
from support.valkey_server import ValkeyServer
from support.webhook_receiver import WebhookReceiver, answer

ROOT = Path(__file__).parents[2]
ROLES = ("api", "sessions", "faces", "avatar")
TONE = base64.b64encode(b"\x10\x00" * 2400).decode()
BLOWS_UP = "ALTER TABLE links ADD CONSTRAINT blows_up CHECK (uses < 0) NOT VALID"
"""PostgreSQL then refuses every new link, and quotes its whole row."""


@dataclass(kw_only=True)
class SecretRun:
    """The run, and what it notes."""

    system: RealSystem
    hooks: WebhookReceiver
    valkey: ValkeyServer
    secrets: dict[str, str]
    """Every secret by name; those that the system was started with from the beginning."""
    settings: dict[str, str]
    """What an operator has in the environment of a command."""
    places: dict[str, bytes] = field(default_factory=dict)
    environments: dict[str, bytes] = field(default_factory=dict)

    async def play(self) -> None:
        """All of it, in order."""
        await self.scrape("before")
        await self.operator_begins()
        avatar = await self.uploads()
        await self.refusals(avatar)
        await self.live_session(avatar)
        await self.links(avatar)
        await self.outages()
        await asyncio.gather(*(self.operator_looks(name, **wrong) for name, wrong in LOOKS.items()))
        await self.scrape("at the end")

    async def command(self, *words: str, place: str = "", fails: bool = False, **environ: str) -> str:
        """What a command printed; noted as a place."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", *words),
            cwd=ROOT,
            env={**self.settings, **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert fails or process.returncode == 0, said.decode()
        self.places[f"output of {place or ' '.join(words[:2])}"] = said
        return said.decode()

    async def scrape(self, when: str) -> None:
        """What every role shows to Prometheus now."""
        for role in ROLES:
            port = getattr(self.system.running.site.ports, f"{role}_metrics")
            page = await self.system.http.get(f"http://127.0.0.1:{port}/metrics")
            assert page.status_code == 200
            self.places[f"metrics of {role} {when}"] = page.content

    def look_at_processes(self) -> None:
        """The command lines and environments of all processes that live now."""
        for name, (line, environ) in processes_of(self.system.running.run).items():
            self.places[f"command line of {name}"] = line
            self.environments[name] = environ

    async def refused(self, what: str, status: int, asked: Awaitable[httpx.Response]) -> None:
        """A request is refused; its answer is a place too, for it may end in a customer's log."""
        found = await asked
        assert found.status_code == status, f"{what}: {found.status_code} {found.text}"
        self.places[f"answer to {what}"] = found.content + str(found.headers).encode()

    async def operator_begins(self) -> None:
        """A second key, a webhook whose first deliveries fail, and a new secret for it."""
        key, hook = await asyncio.gather(
            self.command("keys", "create", "local", "second"),
            self.command("webhooks", "add", self.hooks.url, "--account", "local"),
        )
        self.secrets["second API key"] = key.strip()
        endpoint_id, self.secrets["webhook secret"] = hook.split()
        self.secrets["path of the webhook"] = self.hooks.url.rpartition("/")[2]
        self.hooks.answers = [answer(500), answer(410)]
        self.secrets["webhook secret after its rotation"] = (
            await self.command("webhooks", "rotate", endpoint_id)
        ).strip()

    async def uploads(self) -> str:
        """A picture as bytes, and by addresses with a secret in them: one is found, one is not. An avatar's id."""
        uploaded = await self.system.upload(pictures.astronaut(), key=self.secrets["second API key"])
        self.secrets["signature of a picture"] = uploaded["image_url"].partition("signature=")[2]
        seen = await self.system.http.get(uploaded["image_url"], headers={"referer": uploaded["image_url"]})
        assert seen.status_code == 200
        await self.refused(
            "forged address", 403, self.system.http.get(uploaded["image_url"].replace("expires=", "expires=1"))
        )
        async with self.system.picture_at(fresh(pictures.astronaut())) as url:
            fetched = await self.system.call("POST", "/v1/avatars/upload-face", json={"image_url": url})
            assert fetched.status_code == 201, fetched.text
            self.secrets["token of an address"] = uuid4().hex
            gone = url.partition("?")[0] + f"?token={self.secrets['token of an address']}"
            await self.refused(
                "address of no picture",
                400,
                self.system.call("POST", "/v1/avatars/upload-face", json={"image_url": gone}),
            )
        return str(uploaded["avatar_id"])

    async def refusals(self, avatar: str) -> None:
        """Tokens that are refused, bodies that are wrong, keys that nobody has, and an error in the midst of one."""
        system = self.system
        for what, bad in {
            "forged token": system.room(room=new_room(), secret="y" * 48),
            "weak token": system.room(avatar_token(system.livekit, new_room(), can_publish=False)),
        }.items():
            await self.refused(what, 400, system.create(avatar, bad))
        token = system.room(room=new_room())["token"]
        wrong: dict[str, Answer] = {
            "token of a wrong type": {"avatar": avatar, "room": {"platform": "livekit", "url": 1, "token": [token]}},
            "token as the avatar": {"avatar": token, "room": system.room(token)},
        }
        for what, body in wrong.items():
            found = await system.call("POST", "/v1/sessions", json=body)
            await self.refused(what, found.status_code, _done(found))
            assert 400 <= found.status_code < 500, what
        hidden = {"platform": "livekit", "url": f"{system.livekit.url}?token={token}", "token": token}
        made = await system.create(avatar, hidden)
        assert made.status_code == 201, made.text
        await system.end(made.json()["session"]["session_id"])
        await self.refused(
            "broken JSON", 400, system.call("POST", "/v1/sessions", content=f'{{"room": {{"token": "{token}"'.encode())
        )
        self.secrets["unknown API key"] = f"ah_live_{uuid4().hex}"
        await self.refused("unknown key", 401, system.call("GET", "/v1/usage", key=self.secrets["unknown API key"]))
        async with writing(system.engine) as connection:
            await connection.execute(text(BLOWS_UP))
        self.secrets["name of a link"] = f"from {uuid4().hex}"
        link = {"avatar": avatar, "name": self.secrets["name of a link"]}
        await self.refused("error in the midst", 500, system.call("POST", "/v1/links", json=link))
        async with writing(system.engine) as connection:
            await connection.execute(text("ALTER TABLE links DROP CONSTRAINT blows_up"))

    async def live_session(self, avatar: str) -> None:
        """Begun with an Idempotency-Key, watched, spoken to by a socket; its media process and worker are killed."""
        system, name = self.system, new_room()
        self.secrets["Idempotency-Key"] = uuid4().hex
        headers = {"idempotency-key": self.secrets["Idempotency-Key"], "x-api-key": self.secrets["second API key"]}
        headers["x-request-id"] = "secret-run"
        body = {"avatar": as_avatar(pictures.astronaut()), "room": system.room(room=name), "metadata": {"n": 1}}
        url = f"{system.running.api_url}/v1/sessions"
        async with system.viewer(name) as viewer:
            made = await system.http.post(url, json=body, headers=headers)
            assert made.status_code == 201, made.text
            again = await system.http.post(url, json=body, headers=headers)
            assert again.json()["session"]["session_id"] == made.json()["session"]["session_id"]
            await self.refused(
                "another body", 409, system.http.post(url, json={**body, "metadata": {}}, headers=headers)
            )
            session = made.json()["session"]
            self._note_tokens(session["session_id"], session["session_token"])
            await viewer.wait_frames(5, within_s=20)
            await self.control(session)
            await self.scrape("in a session")
            self.look_at_processes()
            for one in marked(system.running.run):
                if "worker.avatar_process" in one.command:
                    os.kill(one.pid, signal.SIGKILL)
            system.running.kill("sessions")
            await system.running.wait_ready("sessions")
            await viewer.wait_frames(len(viewer.frames) + 5, within_s=30)
            await system.end(session["session_id"])
        await system.temporal.get_workflow_handle(session["session_id"]).result()
        await system.wait_released()
        await self.hooks.came(2)

    def _note_tokens(self, session_id: str, session_token: str) -> None:
        self.secrets["session token"] = session_token
        relay = RelayTokens(parse_keys(self.system.running.site.memory.sealing_keys, "KEYS"))
        self.secrets |= {f"relay token {number}": relay.make(session_id, number) for number in (1, 2)}

    async def control(self, session: Answer) -> None:
        """The control socket: once with a token that is refused, once with the session's own."""
        self.secrets["refused session token"] = (
            f"{session['session_token'].partition('.')[0]}.{'A' * 20}{uuid4().hex[:23]}"
        )
        url = self.system.running.api_url.replace("http://", "ws://") + "/ws"
        async with aiohttp.ClientSession() as http:
            for token, wanted in (
                (self.secrets["refused session token"], "error"),
                (session["session_token"], "connection.established"),
            ):
                async with http.ws_connect(url) as socket:
                    init = {"type": "session.init", "session_id": session["session_id"], "session_token": token}
                    await socket.send_json(init)
                    said = json.loads(await socket.receive_str(timeout=15))
                    assert said["type"] == wanted, said
                    if wanted != "error":
                        await socket.send_json({"type": "agent.speak", "audio": TONE, "sample_rate": 24_000})
                        assert json.loads(await socket.receive_str(timeout=15))["type"] == "agent.speak.confirmed"
                        # Who leaves without a goodbye ends nothing for a while.
                        socket._response.connection.transport.abort()  # type: ignore[union-attr]

    async def links(self, avatar: str) -> None:
        """A session by a link, in a room of our making, ended by whoever holds its token; and links that are none."""
        system = self.system
        made = await system.call("POST", "/v1/links", json={"avatar": avatar, "name": "At the fair", "use_limit": 1})
        assert made.status_code == 201, made.text
        self.secrets["link"] = made.json()["link"]["link_id"]
        assert (await system.http.get(f"{system.running.api_url}/watch/{self.secrets['link']}")).status_code == 200
        start = f"{system.running.api_url}/v1/links/start-session"
        begun = await system.http.post(start, json={"link_id": self.secrets["link"]})
        assert begun.status_code == 201, begun.text
        session = begun.json()
        self.secrets["participant's token"] = session["participant_token"]
        self.secrets["session token by link"] = session["session_token"]
        await self.refused(
            "a link that is used up", 403, system.http.post(start, json={"link_id": self.secrets["link"]})
        )
        self.secrets["link of nobody"] = f"lnk_{uuid4().hex[:26].upper()}"
        unknown = {"link_id": self.secrets["link of nobody"]}
        await self.refused("a link of nobody", 404, system.http.post(start, json=unknown))
        end = f"{system.running.api_url}/watch/sessions/{session['session_id']}/end"
        ended = await system.http.post(end, headers={"x-session-token": session["session_token"]})
        assert ended.status_code == 200, ended.text
        proxy = await system.create(avatar, {"platform": "proxy"})
        assert proxy.status_code == 201, proxy.text
        self.secrets["participant's token of a managed room"] = proxy.json()["session"]["room"]["participantToken"]
        await system.end(proxy.json()["session"]["session_id"])
        await system.temporal.get_workflow_handle(proxy.json()["session"]["session_id"]).result()

    async def outages(self) -> None:
        """The counts of requests are away, and the API dies and comes back."""
        self.valkey.kill()
        assert (await self.system.call("GET", "/v1/usage")).status_code == 200
        self.valkey.start()
        self.system.running.kill("api", signal.SIGTERM)
        await self.system.running.wait_ready("api")
        assert (await self.system.call("GET", "/v1/usage")).status_code == 200

    async def operator_looks(self, what: str, **wrong: str) -> None:
        """A command that looks, with settings of which some are wrong."""
        changed = {name: change(self.settings[name]) for name, change in WRONG.items() if name in wrong.values()}
        await self.command(*what.split(" | ", maxsplit=1)[0].split(), place=what, fails=True, **changed)


WRONG: dict[str, Callable[[str], str]] = {
    "GREENROOM_DATABASE_URL": lambda url: url.replace("@", "x@", 1),
    "GREENROOM_STORAGE_SECRET_KEY": lambda key: f"{key}x",
    "GREENROOM_LIVEKIT_API_SECRET": lambda key: f"{key}x",
    "GREENROOM_SERVER_KEYS": lambda keys: f"{keys}x",
    "TEMPORAL_TLS": lambda _: "true",
}
LOOKS: dict[str, dict[str, str]] = {
    "doctor": {},
    "init --dry-run": {},
    "secrets list": {},
    "webhooks list": {},
    "keys list local": {},
    "doctor | and everything refuses it": {
        str(place): name for place, name in enumerate(WRONG) if "SERVER" not in name
    },
    "secrets list | with a key that is none": {"0": "GREENROOM_SERVER_KEYS"},
}


async def _done(found: httpx.Response) -> httpx.Response:
    return found


def command_settings(system: RealSystem, folder: Path, **more: str) -> dict[str, str]:
    """The environment of an operator's commands: the settings of all processes together, in a folder without a run."""
    memory, site = system.running.site.memory, system.running.site
    keys = {
        "SERVER_KEYS": memory.server_keys,
        "SEALING_KEYS": memory.sealing_keys,
        "WEBHOOK_KEYS": memory.webhook_keys,
        "LIVEKIT_URL": system.livekit.url,
        "LIVEKIT_API_KEY": memory.livekit_api_key,
        "LIVEKIT_API_SECRET": memory.livekit_api_secret,
        "METRICS_PORT": "0",
    }
    return {**own_environ(site, **keys), "GREENROOM_DATA_DIR": str(folder), **more}
