"""What moves and speaks in the room: sound in, picture out, one process a session; no settings, no Temporal."""
