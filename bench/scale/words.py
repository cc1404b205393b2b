"""A hold in words: tables of Markdown, as docs/scale.md has them."""

from collections.abc import Sequence

from bench.scale.held import Held

COUNTED = {
    "heartbeats": "heartbeats taken by Temporal",
    "transitions": "state transitions of Temporal (its page of metrics is late by some seconds)",
    "requests": "requests to Temporal",
    "store requests": "requests of Temporal to its store",
    "temporal bytes": "growth of Temporal's store, bytes",
    "renewals": "renewals (statements)",
    "renewed leases": "renewed leases (rows)",
    "commits": "transactions of the database",
    "rows": "rows written by the database",
    "database bytes": "bytes written by the database (PostgreSQL: its log; SQLite: growth of the file)",
}

FOUR_DIGITS = 1000


def markdown(held: Held) -> str:
    """The three tables, with what they are of."""
    head = f"{held.sessions} sessions held for {held.seconds / 60:.1f} minutes, {held.database}, heartbeats within "
    head += f"{held.heartbeat_within:g} s, created in "
    return "\n\n".join(
        [f"{head}{held.creating_s:.0f} s.", _parts(held), _counters(held), _history(held), _verdict(held)]
    )


def _parts(held: Held) -> str:
    head = ("part", "idle", "begin", "each minute", "end", "a session", "MB a minute (95 %)", "")
    memory = [
        (
            name,
            f"{one.idle_mb:.0f} MB",
            f"{one.begin_mb:.0f}",
            " ".join(f"{number:.0f}" for number in one.minutes_mb),
            f"{one.end_mb:.0f}",
            f"{one.kb_per_session:.0f} kB",
            f"{one.slope_mb.per_minute:+.2f} ({one.slope_mb.low:+.2f} to {one.slope_mb.high:+.2f})",
            one.verdict,
        )
        for name, one in held.parts.items()
    ]
    work = ("part", "idle", "each minute", "a session", "one create", "one end")
    cpu = [
        (
            name,
            f"{one.idle_cores * 100:.1f} % of a core",
            " ".join(f"{number * 100:.1f}" for number in one.minutes_cores),
            f"{one.core_ms_per_session_s / 10:.3f} %",
            f"{one.create_ms:.1f} ms",
            f"{one.end_ms:.1f} ms",
        )
        for name, one in held.parts.items()
    ]
    return f"Memory:\n\n{_table(head, memory)}\n\nCPU:\n\n{_table(work, cpu)}"


def _counters(held: Held) -> str:
    head = ("counted", "idle, a second", "held, a second", "of it a session", "one create", "one end")
    rows = []
    for name, words in COUNTED.items():
        if name in held.per_second:
            idle, now = held.idle_per_second[name], held.per_second[name]
            share = (now - idle) / held.sessions
            numbers = (idle, now, share, held.per_create[name], held.per_end[name])
            rows.append((words, *(digits(number) for number in numbers)))
    return _table(head, rows)


def _history(held: Held) -> str:
    rows = [
        (words, f"{one.events:.1f}", f"{one.bytes:,.0f}", f"{one.transitions:.1f}", f"{one.seconds:.0f}")
        for words, one in (("held", held.held), ("ended", held.closed))
    ]
    return _table(("history of a session", "events", "bytes", "state transitions", "seconds"), rows)


def _verdict(held: Held) -> str:
    if held.growing:
        return f"Not flat: {', '.join(held.growing)}."
    unclear = [name for name, one in held.parts.items() if one.verdict == "unclear"]
    if len(unclear) == len(held.parts):
        return "Too short, or too noisy, to say whether memory is flat."
    return f"Unclear: {', '.join(unclear)}; the others are flat." if unclear else "Flat, every part."


def digits(number: float) -> str:
    """Four digits, and as many more as stand before the point."""
    return f"{number:,.0f}" if abs(number) >= FOUR_DIGITS else f"{number:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *(["---:"] * (len(head) - 1))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))
