"""uvicorn's WebSocket protocol, but pieces of a message are passed on as they come: a message may have 100 MB."""

from typing import Any

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import BytesMessage, CloseConnection, TextMessage

TOO_LARGE = 1009


class StreamingProtocol(WSProtocol):
    """Each piece is a `websocket.receive` event of its own; `more` says whether the message goes on.

    Reading pauses until the application has taken the piece: so much is held and no more.
    """

    def __init__(self, *how: Any, **named: Any) -> None:
        super().__init__(*how, **named)
        self._length = 0

    def handle_message(self, event: TextMessage | BytesMessage) -> None:
        """Pass a piece on; a message that grows too large ends the connection."""
        self._length += len(event.data)
        if self._length > self.config.ws_max_size:
            self._refuse()
            return
        field = "text" if isinstance(event, TextMessage) else "bytes"
        piece: Any = {"type": "websocket.receive", field: event.data, "more": not event.message_finished}
        self.queue.put_nowait(piece)
        if event.message_finished:
            self._length = 0
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _refuse(self) -> None:
        reason = f"a message has at most {self.config.ws_max_size} bytes"
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": TOO_LARGE, "reason": reason})
        if not self.transport.is_closing():
            self.transport.write(self.conn.send(CloseConnection(code=TOO_LARGE, reason=reason)))
            self.transport.close()
