"""Minutes: reserved in slices while a session runs, billed once by what was served (design rule 17)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from domain.plans import UNLIMITED

SLICE_MINUTES = 10
"""What is reserved at a time; the last slice is whatever is left."""

MOST_SLICES = 3
"""That a session which lasts takes at once..."""
PLENTY_MINUTES = 100
"""...where so many minutes can still be reserved: seven further sessions find theirs."""

_MS = 60_000


@dataclass(frozen=True, kw_only=True)
class Minutes:
    """An account's minutes as they stand in its period."""

    included: int | None
    """What the plan includes; None: no limit."""
    included_used: int = 0
    """Billed in this period."""
    purchased: int = 0
    """Left of what was bought, oldest first."""
    purchased_total: int = 0
    """What was bought and has neither been used up nor expired, as it was when it was bought."""
    reserved: int = 0
    """Held by sessions that have not ended."""
    active: int = 0
    """What the running sessions would be billed if they ended now; never more than they hold."""

    @property
    def included_left(self) -> int:
        """What is left of the plan's, running sessions not counted."""
        return UNLIMITED if self.included is None else max(self.included - self.included_used, 0)

    @property
    def free(self) -> int:
        """What can still be reserved."""
        if self.included is None:
            return UNLIMITED
        return max(self.included_left + self.purchased - self.reserved, 0)

    @property
    def active_included(self) -> int:
        """The part of the running sessions' minutes that the plan would bear."""
        return min(self.active, self.included_left)

    @property
    def included_remaining(self) -> int:
        """What is left of the plan's once the running sessions were billed."""
        return UNLIMITED if self.included is None else self.included_left - self.active_included

    @property
    def purchased_remaining(self) -> int:
        """What is left of what was bought once the running sessions were billed."""
        if self.included is None:
            return self.purchased
        return max(self.purchased - (self.active - self.active_included), 0)

    @property
    def total_remaining(self) -> int:
        """What a client is shown as left."""
        return UNLIMITED if self.included is None else self.included_remaining + self.purchased_remaining


def next_slice(free: int, *, held: int = 0, longest_s: float | None = None) -> int:
    """How many minutes to reserve next for a session that holds some already; 0 where none is left.

    No more than a session of `longest_s` can use. A session that lasts takes two and then three slices at once where
    the account has plenty: each question costs the workflow's history six events, and an hour is to stay under 100.
    """
    wanted = min(SLICE_MINUTES + held, MOST_SLICES * SLICE_MINUTES) if free >= PLENTY_MINUTES else SLICE_MINUTES
    usable = free if longest_s is None else min(free, minutes_of(round(longest_s * 1000)))
    return max(min(wanted, usable), 0)


def minutes_of(served_ms: int) -> int:
    """Milliseconds rounded up to minutes, once."""
    return -(-served_ms // _MS)


@dataclass(frozen=True, kw_only=True)
class Pack:
    """Minutes that were bought together."""

    pack_id: str
    left: int


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What one session costs."""

    served_ms: int
    minutes: int
    included: int
    packs: Mapping[str, int] = field(default_factory=dict)
    """Minutes taken from each pack."""

    @property
    def purchased(self) -> int:
        """Minutes that had been bought."""
        return sum(self.packs.values())


def charge(served_ms: int, *, included_left: int | None, packs: Sequence[Pack], reserved: int | None) -> Charge:
    """The bill of a session: the plan's minutes first, then packs, the first in `packs` first.

    `included_left` None: the plan has no limit. What neither covers, since the plan was lowered meanwhile, the plan
    bears. It is never more than what was reserved: the seconds after a slice's end, in which the avatar leaves, are
    ours. `reserved` None: the session began without a limit.
    """
    minutes = minutes_of(served_ms)
    if included_left is None:
        return Charge(served_ms=served_ms, minutes=minutes, included=minutes)
    minutes = minutes if reserved is None else min(minutes, reserved)
    open_ = max(minutes - included_left, 0)
    taken: dict[str, int] = {}
    for pack in packs:
        part = min(pack.left, open_ - sum(taken.values()))
        if part > 0:
            taken[pack.pack_id] = part
    return Charge(served_ms=served_ms, minutes=minutes, included=minutes - sum(taken.values()), packs=taken)
