"""The control sockets that end at this process: who may open one, and which avatar may answer it."""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from urllib.parse import parse_qs

from litestar.types import Receive, Scope, Send

from adapters.relay_tokens import RelayTokens
from adapters.signing import Signer
from api.control.line import Avatar, Line
from api.control.messages import BadMessage, Init, MessageReader
from api.control.socket import NORMAL, REFUSED, Gone, Socket
from database.control import ControlLines
from database.sessions import Sessions
from domain.failures import Unavailable
from domain.ids import is_session_id
from domain.relay import PATH, TOKEN_HEADER
from domain.session import SessionStatus

log = logging.getLogger(__name__)

INIT_WITHIN_S = 10.0
LOOK_EVERY_S = 2.0
"""While no avatar is attached nobody tells that the session has ended."""
INVALID = "Invalid session credentials"
ENDED = "Session has ended"
AWAY = "Temporarily unavailable; try again"


class ControlHub:
    """Knows the lines of this process by session; an avatar finds its line by the address that is noted here."""

    def __init__(
        self, *, signer: Signer, tokens: RelayTokens, sessions: Sessions, control: ControlLines, address: str
    ) -> None:
        """`address`: how avatar servers reach this very process, `ws://host:port`."""
        self._signer = signer
        self._tokens = tokens
        self._sessions = sessions
        self._control = control
        self._address = address
        self._lines: dict[str, Line] = {}

    async def serve_client(self, _: Scope, receive: Receive, send: Send) -> None:
        """One client, from its connection to its end."""
        socket = Socket(receive, send)
        await socket.accept()
        try:
            session_id = await self._initialised(socket)
        except Gone:
            return
        except BadMessage as wrong:
            await socket.say("error", error=str(wrong))
            await socket.close(REFUSED, str(wrong))
            return
        line = self._lines[session_id] = Line(session_id, socket)
        log.info("the control socket of %s is open", session_id)
        try:
            await socket.say("connection.established", session_id=session_id)
            await _first_of(line.read_client(), self._wait_ended(line))
        except Gone:
            pass
        finally:
            if self._lines.get(session_id) is line:
                del self._lines[session_id]
            with suppress(Exception):  # the avatar may be gone too
                await line.aclose()
            with suppress(Exception):
                await socket.close(NORMAL, ENDED)
            log.info("the control socket of %s is closed", session_id)

    async def serve_avatar(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One avatar, which dials in with its relay token."""
        socket = Socket(receive, send)
        found = self._line_for(scope)
        if found is None:
            await receive()
            await send({"type": "websocket.close", "code": REFUSED, "reason": ""})
            return
        line, generation = found
        await socket.accept()
        avatar = Avatar(socket, generation)
        with suppress(Gone, ValueError):
            async with line.avatar_there(avatar):
                await _first_of(line.read_avatar(avatar), line.feed_avatar(avatar))

    async def _initialised(self, socket: Socket) -> str:
        """The session of a client that has shown its token; BadMessage for any other."""
        reader = MessageReader(with_sound=False)
        try:
            async with asyncio.timeout(INIT_WITHIN_S):
                async for piece in socket.message():
                    reader.feed(piece.text or "")
        except TimeoutError:
            raise BadMessage("First message must be session.init") from None
        try:
            init = reader.finish()
        except BadMessage as wrong:
            known = (INVALID, "Invalid JSON")
            raise wrong if str(wrong) in known else BadMessage("First message must be session.init") from None
        if not isinstance(init, Init):
            raise BadMessage("First message must be session.init")
        if not is_session_id(init.session_id) or not self._signer.is_session_token(init.token, init.session_id):
            raise BadMessage(INVALID)
        try:
            if not await self._control.open(init.session_id, self._address):
                raise BadMessage(ENDED)
        except Unavailable:
            raise BadMessage(AWAY) from None
        return init.session_id

    def _line_for(self, scope: Scope) -> tuple[Line, int] | None:
        """The line that an avatar may answer, and its generation."""
        session_id = scope["path"].removeprefix(PATH)
        asked = parse_qs(scope["query_string"].decode(errors="replace")).get("generation", [""])[0]
        headers = {name.decode().lower(): value.decode(errors="replace") for name, value in scope["headers"]}
        generation = int(asked) if asked.isascii() and asked.isdigit() else 0
        if not self._tokens.accepts(headers.get(TOKEN_HEADER, ""), session_id, generation):
            return None
        line = self._lines.get(session_id)
        return None if line is None or line.is_overtaken(generation) else (line, generation)

    async def _wait_ended(self, line: Line) -> None:
        """Return once the session has ended, or another socket of it has been opened here."""
        while self._lines.get(line.session_id) is line:
            await asyncio.sleep(LOOK_EVERY_S)
            with suppress(Unavailable):
                session = await self._sessions.get(line.session_id)
                if session is None or session.status == SessionStatus.ENDED:
                    return


async def _first_of(*work: Awaitable[None]) -> None:
    """Run several until one of them is over; the others are cancelled, and its error is raised."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
