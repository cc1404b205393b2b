"""Every service's command line as compose would start it, in compose's order, with its health checks; then one call."""

import asyncio
import base64
import json
import os
from pathlib import Path

import aiohttp
import httpx
from temporalio.client import Client

from runtime.cache import cache_folder
from runtime.external.livekit_server import find_livekit_server
from runtime.payload_codec import key_ids
from runtime.supervisor import Supervisor
from support.compose import services, write_env
from support.compose_services import STAND_INS, ComposedSystem
from support.livekit_server import LiveKitServer
from support.pictures import astronaut
from support.postgresql_server import running_postgresql
from support.processes import left_after
from support.real_system import new_room, require_real_parts
from support.room_viewer import RoomViewer
from support.tokens import avatar_token, person_token

SETTINGS = {"GREENROOM_ROOM_HOSTS": "127.0.0.1", "LIVEKIT_NODE_IP": "127.0.0.1"}
"""What an operator on a machine with this address would write into `.env`."""


async def test_services_start_as_compose_would_and_carry_a_session(tmp_path: Path) -> None:
    """All services become healthy in the file's order; a picture is uploaded, a session starts, is seen, and ends."""
    require_real_parts(os.environ)
    env = write_env(tmp_path, **SETTINGS)
    died: list[tuple[str, str]] = []
    with running_postgresql() as postgres:
        async with Supervisor(logs=tmp_path, announce=lambda part, text: died.append((part, text))) as supervisor:
            (tmp_path / "secrets" / "greenroom_payload_keys").chmod(0o600)
            (tmp_path / "secrets" / "greenroom_payload_keys").write_text(f"p1:{base64.b64encode(b'p' * 32).decode()}")
            system = ComposedSystem(services(project=tmp_path), tmp_path / "files", supervisor)
            try:
                await system.up(postgres)
                await call(system, env)
                healthy = await asyncio.gather(*(system.is_healthy(name) for name in system.services))
                await supervisor.aclose()
            finally:
                system.tidy()
        run = supervisor.run
    assert dict(zip(system.services, healthy, strict=True)) == dict.fromkeys(system.services, True)
    assert died == []
    assert set(STAND_INS) < set(system.services)
    assert left_after(run, 2) == []


async def call(system: ComposedSystem, env: dict[str, str]) -> None:
    """One session, from the upload to its end, by the key that the migration let in."""
    found = find_livekit_server(cache_folder(os.environ), os.environ)
    assert found is not None
    key, secret = env["LIVEKIT_API_KEY"], env["LIVEKIT_API_SECRET"]
    livekit = LiveKitServer(found.path, port=system.ports[7880], api_key=key, api_secret=secret)
    name = new_room()
    headers = {"x-api-key": env["GREENROOM_FIRST_API_KEY"]}
    base = f"http://127.0.0.1:{system.ports[8080]}"  # the proxy's
    viewer = RoomViewer(livekit.url, person_token(livekit, name, identity="viewer"))
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as http, viewer:
        made = await http.post("/v1/avatars/upload-face", files={"file": ("face.png", astronaut())})
        assert made.status_code == 201, made.text
        picture = await http.get(made.json()["image_url"])
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
        room = {"platform": "livekit", "url": livekit.url, "token": avatar_token(livekit, name)}
        created = await http.post("/v1/sessions", json={"avatar": made.json()["avatar_id"], "room": room})
        assert created.status_code == 201, created.text
        await viewer.wait_frames(5)
        ready = await http.get("/readyz")
        assert ready.status_code == 200, ready.text
        await counted_together(http)
        await encrypted(system, created.json()["session"]["session_id"])
        await control(base, created.json()["session"])
        ended = await http.post(f"/v1/sessions/{created.json()['session']['session_id']}/end")
        assert ended.json()["session"]["end_reason"] == "ended_by_request"


async def counted_together(http: httpx.AsyncClient) -> None:
    """Both APIs answer, and count requests together: what is left falls by one with each, whoever answers."""
    left = [int((await http.get("/v1/usage")).headers["x-ratelimit-remaining"]) for _ in range(4)]
    assert left == list(range(left[0], left[0] - 4, -1))


async def encrypted(system: ComposedSystem, session_id: str) -> None:
    """What the API has told Temporal can be read with the key of `secrets/` alone."""
    client = await Client.connect(f"127.0.0.1:{system.ports[7233]}")
    first = await anext(aiter(client.get_workflow_handle(session_id).fetch_history_events(page_size=1)))
    assert key_ids(first.workflow_execution_started_event_attributes.input.payloads) == {"p1"}


async def control(base: str, session: dict[str, str]) -> None:
    """A control socket passes the proxy to one of the APIs, and the avatar finds it there."""
    address = base.replace("http://", "ws://") + "/ws"
    said = {"session_id": session["session_id"], "session_token": session["session_token"]}
    async with aiohttp.ClientSession() as client, client.ws_connect(address) as socket:
        await socket.send_json({"type": "session.init", **said})
        assert json.loads(await socket.receive_str(timeout=15))["type"] == "connection.established"
        await socket.send_json({"type": "agent.speak", "audio": "EAAQABAA" * 800, "sample_rate": 16_000})
        assert json.loads(await socket.receive_str(timeout=15))["type"] == "agent.speak.confirmed"
        relay = await client.get(f"{base}/relay/{session['session_id']}?generation=1")
        assert relay.status == 404
