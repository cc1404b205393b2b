"""Names of the task queues."""

SESSIONS = "sessions"
"""Workflows, and the steps next to the database and the object store."""

FACES = "faces"
"""Pictures: decoding, detection, alignment."""


def avatar_queue(boot_id: str) -> str:
    """The queue of one boot of one avatar server; a restarted server has a new one (design rule 8)."""
    return f"avatar-{boot_id}"
