"""What moves and speaks in the room: audio in, picture out."""
