"""Labels: how they are written, whom they fit, and who in line may take which slot."""

import itertools
import random

import pytest

from domain.labels import Kind, fits, kinds_for, parse_labels

EU, GPU, BOTH, NONE = {"region": "eu"}, {"gpu": "h100"}, {"region": "eu", "gpu": "h100"}, dict[str, str]()


def kind(labels: dict[str, str]) -> Kind:
    """Labels as a kind of server."""
    return frozenset(labels.items())


def test_labels_are_pairs() -> None:
    """Blanks around them do not count; what is no pair, or stands twice, is refused."""
    assert parse_labels("gpu=h100, region=eu-west.1 ,") == {"gpu": "h100", "region": "eu-west.1"}
    assert parse_labels("") == {}
    for wrong in (
        "gpu",
        "=x",
        "gpu=",
        "Gpu=x",
        "gpu=a,gpu=b",
        "gpu='x'",
        "a=b=c",
        ",".join(f"n{n}=v" for n in range(17)),
    ):
        with pytest.raises(ValueError, match="name=value"):
            parse_labels(wrong)


def test_a_server_fits_that_has_all_that_is_required() -> None:
    """More does no harm, another value does."""
    assert fits(BOTH, EU)
    assert fits(NONE, NONE)
    assert not fits(EU, BOTH)
    assert not fits({"region": "us"}, EU)


@pytest.mark.parametrize(
    ("mine", "ahead", "free", "may"),
    [
        (NONE, [], {kind(NONE): 1}, {kind(NONE)}),
        (NONE, [NONE], {kind(NONE): 1}, set()),
        (NONE, [NONE], {kind(NONE): 2}, {kind(NONE)}),
        # Who waits for what is not free is no hindrance.
        (NONE, [GPU, GPU], {kind(EU): 1}, {kind(EU)}),
        # The slot that only the other can use is left to it.
        (NONE, [GPU], {kind(GPU): 1}, set()),
        (NONE, [GPU], {kind(GPU): 1, kind(NONE): 1}, {kind(NONE)}),
        # The other can go elsewhere, so this one may take either.
        (EU, [NONE], {kind(EU): 1, kind(NONE): 1}, {kind(EU)}),
        # A chain: the first can give way to the second, and the second's place is needed.
        (EU, [NONE, GPU], {kind(BOTH): 1, kind(EU): 1}, set()),
        (GPU, [EU], {kind(EU): 3}, set()),
    ],
)
def test_who_may_take_what(
    mine: dict[str, str], ahead: list[dict[str, str]], free: dict[Kind, int], may: set[Kind]
) -> None:
    """A slot may be taken exactly if nobody ahead misses it."""
    assert kinds_for(mine, ahead, free) == may


def most_served(ahead: list[dict[str, str]], free: dict[Kind, int]) -> int:
    """How many can have a slot, by trying every order."""
    best = 0
    for order in itertools.permutations([one for one, number in free.items() for _ in range(number)]):
        slots, served = list(order), 0
        for one in ahead:
            taken = next((slot for slot in slots if kind(one) <= slot), None)
            if taken is not None:
                slots.remove(taken)
                served += 1
        best = max(best, served)
    return best


def test_nobody_ahead_is_ever_robbed() -> None:
    """Against every assignment there is, on small lines drawn by chance."""
    chance = random.Random(3)  # noqa: S311 - no secret
    wants = (EU, GPU, BOTH, NONE)
    for _ in range(150):
        ahead = [chance.choice(wants) for _ in range(chance.randrange(4))]
        free = {kind(one): chance.randrange(1, 3) for one in chance.sample(wants, chance.randrange(1, 4))}
        mine = chance.choice(wants)
        for one, number in free.items():
            robbed = most_served(ahead, {**free, one: number - 1}) < most_served(ahead, free)
            assert (one in kinds_for(mine, ahead, free)) == (kind(mine) <= one and not robbed)
