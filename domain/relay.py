"""The words between the API that holds a client's control socket and the avatar's media process, which dials it.

Commands and answers are JSON texts, sound is raw signed 16-bit little-endian mono in binary messages. Sound flows by
credit: the avatar says how many bytes it can take, so that an interruption never waits behind a long speech.
"""

from enum import StrEnum

PATH = "/relay/"
"""Below it, on the API's own port, an avatar finds its session's line: `/relay/<session id>?generation=<number>`."""

TOKEN_HEADER = "x-relay-token"  # noqa: S105 - the header's name

FIRST_CREDIT = 512 * 1024
"""Bytes that may be sent at once: 16 s at 16 kHz."""


class ToAvatar(StrEnum):
    """What the API says."""

    SPEAK = "speak"
    """`id`, `sample_rate`: the binary messages that follow are one utterance."""
    SPOKEN = "spoken"
    """`id`: it is complete."""
    INTERRUPT = "interrupt"
    """`id`: fall silent, and forget what waits."""
    GOODBYE = "goodbye"
    """The client has closed its socket in order."""


class FromAvatar(StrEnum):
    """What the avatar says."""

    CREDIT = "credit"
    """`bytes`: so many more may be sent."""
    QUEUED = "queued"
    """`id`: the utterance waits to be played, or is."""
    INTERRUPTED = "interrupted"
    """`id`: the avatar is silent."""
