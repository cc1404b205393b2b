"""A customer of the public API: what anybody with a key could do, and nothing else."""

import asyncio
from pathlib import Path
from typing import Any, Self

import httpx

WAIT_S = 70.0
"""A create with a picture may take a minute."""


class RefusedByApiError(Exception):
    """The API answered with an error; the message is its own."""


class Customer:
    """Calls the API with one key. Use as an asynchronous context manager."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers={"x-api-key": key}, timeout=WAIT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def upload_face(self, picture: Path) -> dict[str, Any]:
        """Make an avatar of a picture."""
        content = await asyncio.to_thread(picture.read_bytes)
        return await self._call("POST", "/v1/avatars/upload-face", files={"file": (picture.name, content)})

    async def create_session(self, avatar_id: str, room: dict[str, str]) -> dict[str, Any]:
        """Put an avatar into a room; answers when its video is published."""
        body = {"avatar": avatar_id, "room": room, "metadata": {"from": "greenroom demo"}}
        return await self._call("POST", "/v1/sessions", json=body)

    async def create_link(self, avatar_id: str) -> dict[str, Any]:
        """Make a link that opens a page with the avatar, for whoever has it."""
        return await self._call("POST", "/v1/links", json={"avatar": avatar_id, "name": "A first avatar"})

    async def end_session(self, session_id: str) -> dict[str, Any]:
        """End a session."""
        return await self._call("POST", f"/v1/sessions/{session_id}/end")

    async def _call(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        response = await self._http.request(method, path, **how)
        answer: dict[str, Any] = response.json()
        if response.is_error:
            error = answer.get("error")
            raise RefusedByApiError(f"{method} {path} -> {response.status_code}: {error}")
        return answer
