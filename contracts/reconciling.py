"""What the reconciler's workflow answers, and what it is called."""

from datetime import timedelta

import msgspec

SCHEDULE_ID = "reconcile"
"""The Temporal Schedule, and what the ids of the workflows that it starts begin with."""

EVERY = timedelta(seconds=15)
"""How often it looks: a session is orphaned for as long as this, and the seconds that a new one has, at most."""


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What one run found and mended. All zero is the usual outcome."""

    looked: int = 0
    """Sessions whose workflow was asked for."""
    ended: int = 0
    """Sessions whose workflow was gone, and which therefore were ended."""
    released: int = 0
    """Leases of ended sessions, and servers that fell silent."""
    discarded: int = 0
    """Staged pictures that nobody works on any more."""
    undone: tuple[str, ...] = ()
    """Steps that could not be done this time; the next run does them again."""
