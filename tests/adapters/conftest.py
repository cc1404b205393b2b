"""Object stores of every kind, for the tests of whatever uses one."""

from support.object_stores import reopen, store
from support.s3_server import s3_address

__all__ = ["reopen", "s3_address", "store"]
