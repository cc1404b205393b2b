"""Known pictures in bytes that nobody has sent before: what an account has sent is recognised, and not made again."""

import base64
import os


def fresh(data: bytes) -> bytes:
    """The same picture: what follows its end is not read."""
    return data + os.urandom(8)


def as_avatar(data: bytes) -> str:
    """The same picture as the `avatar` of a create."""
    return base64.b64encode(fresh(data)).decode()
