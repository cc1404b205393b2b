"""The floor of every read here: a bare Litestar route that answers a given body, served as the API is served."""

import asyncio
import sys

import msgspec
import uvicorn
from litestar import Litestar, get

from bench.floors.processes import commands, say
from contracts.http import SessionFound


def bare_app(body: bytes) -> Litestar:
    """One route, which encodes the body's struct anew for each request, as ours must."""
    found = msgspec.json.decode(body, type=SessionFound)

    @get("/v1/sessions/{session_id:str}")
    async def get_session(session_id: str) -> SessionFound:
        del session_id
        return found

    return Litestar([get_session], openapi_config=None, logging_config=None)


async def main(port: str) -> None:
    """Serve until the input ends; the first command brings the body."""
    say(ready=True)
    serving: asyncio.Task[None] | None = None
    server: uvicorn.Server | None = None
    async for command in commands():
        app = bare_app(command["body"].encode())
        server = uvicorn.Server(uvicorn.Config(app, port=int(port), log_config=None, access_log=False))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        say(serving=True)
    if server is not None and serving is not None:
        server.should_exit = True
        await serving


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
