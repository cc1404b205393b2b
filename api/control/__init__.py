"""The control socket: an avatar that is told what to say by a client's WebSocket."""
