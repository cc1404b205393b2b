"""The line for a slot: first come, first served, each account in turn, and nobody is passed over for ever."""

import random

import pytest

from domain.line import Entry, Standing, in_turn, standing_of


def entries(text: str) -> list[Entry]:
    """A line of accounts in the order in which their creates came: `aab` are two of `a`, then one of `b`."""
    return [Entry(session_id=f"{account}{number}", account_id=account) for number, account in enumerate(text)]


@pytest.mark.parametrize(
    ("line", "turns"),
    [
        ("", []),
        ("abc", ["a0", "b1", "c2"]),
        ("aaab", ["a0", "b3", "a1", "a2"]),
        ("aabbc", ["a0", "b2", "c4", "a1", "b3"]),
    ],
)
def test_each_accounts_first_comes_before_anybodys_second(line: str, turns: list[str]) -> None:
    """Among those of the same turn whoever came first goes first."""
    assert [entry.session_id for entry in in_turn(entries(line))] == turns


def test_where_a_create_stands() -> None:
    """One that is not in the line comes after all of its turn; the length does not count the create itself."""
    line = entries("aab")
    assert standing_of("a1", "a", line) == Standing(ahead=2, length=2, waits=True)
    assert standing_of("new", "c", line) == Standing(ahead=2, length=3, waits=False)
    assert standing_of("new", "a", line) == Standing(ahead=3, length=3, waits=False)
    assert standing_of("new", "a", []) == Standing(ahead=0, length=0, waits=False)


def test_nobody_starves_however_many_others_come() -> None:
    """A second create of an account is served, although a new account comes whenever a slot is free."""
    line = entries("aa")
    chance = random.Random(7)  # noqa: S311 - no secret
    for number in range(10):
        line.append(Entry(session_id=f"other{number}", account_id=f"other{number}"))
        if chance.random() < 0.5:
            line.append(Entry(session_id=f"b{number}", account_id="b"))
        line.remove(in_turn(line)[0])
        if "a1" not in {entry.session_id for entry in line}:
            break
    assert number <= 3
