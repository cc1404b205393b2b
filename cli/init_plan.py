"""How an installation is brought about: part by part, look first, change what is not as it should be, and say so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from cli.doctor import FaultError

Make = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing to be done. Each is whole by itself: whoever is interrupted goes on with the next one."""

    text: str
    """In the infinitive, after "will" and "would"."""
    make: Make


Look = Callable[[], Awaitable[list[Change]]]
"""What has to change; nothing where all is well. FaultError says what stands in the way, and what helps."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that an installation needs."""

    name: str
    look: Look
    needs: str = ""
    """The part without which there is no point in looking at this one."""


@dataclass(kw_only=True)
class Outcome:
    """What came of one part."""

    part: str
    ok: bool = True
    changes: list[str] = field(default_factory=list)
    """What was done, or would be."""
    text: str = ""
    """What stands in the way."""


async def carry_out(parts: list[Part], *, dry_run: bool, tell: Callable[[str], None] = lambda _: None) -> list[Outcome]:
    """Bring every part about; a fault in one leaves only those out that need it. `tell` hears of each change."""
    outcomes: dict[str, Outcome] = {}
    for part in parts:
        outcome = outcomes[part.name] = Outcome(part=part.name)
        if part.needs and not outcomes[part.needs].ok:
            outcome.ok, outcome.text = False, f"not looked at: first {part.needs} must be as it should"
            continue
        try:
            for change in await part.look():
                tell(change.text)
                if not dry_run:
                    await change.make()
                outcome.changes.append(change.text)
        except FaultError as fault:
            outcome.ok, outcome.text = False, str(fault)
    return list(outcomes.values())
