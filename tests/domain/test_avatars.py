"""Avatars: their shapes, and who may use them."""

from datetime import UTC, datetime

import pytest

from domain.avatars import AspectRatio, Avatar, check_access, orientation_of, parse_aspect_ratio
from domain.failures import FailureCode, Refused


def avatar(account_id: str | None) -> Avatar:
    """An avatar of an account, or a public one."""
    at = datetime(2024, 1, 15, tzinfo=UTC)
    return Avatar(avatar_id="avat_1", account_id=account_id, primary=AspectRatio.SQUARE, portraits={}, created_at=at)


@pytest.mark.parametrize(("asked", "given"), [("4:3", "4:3"), ("3:4", "3:4"), ("1:1", "1:1"), ("auto", "4:3")])
def test_the_contracts_ratios_are_taken(asked: str, given: str) -> None:
    """`auto` is 4:3 (contract, section 0)."""
    assert parse_aspect_ratio(asked) == given


@pytest.mark.parametrize("asked", ["16:9", "", "AUTO", "4x3", " 4:3", "4:3 "])
def test_any_other_ratio_is_refused_with_those_that_are_taken(asked: str) -> None:
    """Nothing is guessed: the refusal lists what can be asked for."""
    with pytest.raises(Refused) as caught:
        parse_aspect_ratio(asked)
    assert caught.value.code == FailureCode.INVALID_ASPECT_RATIO
    assert caught.value.details == {"allowed": ["4:3", "3:4", "1:1", "auto"]}


@pytest.mark.parametrize(
    ("width", "height", "ratio"),
    [
        (1150, 1000, AspectRatio.LANDSCAPE),
        (1149, 1000, AspectRatio.SQUARE),
        (1000, 1000, AspectRatio.SQUARE),
        (1000, 1149, AspectRatio.SQUARE),
        (1000, 1150, AspectRatio.PORTRAIT),
    ],
)
def test_the_primary_profile_follows_the_pictures_shape(width: int, height: int, ratio: AspectRatio) -> None:
    """From 15 % more on one side it is no square any more."""
    assert orientation_of(width, height) == ratio


@pytest.mark.parametrize("owner", [None, "acct_1"])
def test_public_and_own_avatars_can_be_used(owner: str | None) -> None:
    """Whoever asks may use a public one."""
    assert check_access(avatar(owner), "acct_1") == avatar(owner)


def test_foreign_and_unknown_avatars_are_told_apart_by_code() -> None:
    """A foreign one is denied in the documented words, an unknown one is not found."""
    with pytest.raises(Refused, match=r"^Access denied to this avatar$") as foreign:
        check_access(avatar("acct_2"), "acct_1")
    assert foreign.value.code == FailureCode.AVATAR_ACCESS_DENIED
    with pytest.raises(Refused) as unknown:
        check_access(None, "acct_1")
    assert unknown.value.code == FailureCode.AVATAR_NOT_FOUND


def test_tags_say_who_may_use_an_avatar() -> None:
    """Uploaded ones carry the contract's two tags; public ones name nobody."""
    assert avatar("acct_1").tags == ["user_exclusive", "user_acct_1"]
    assert avatar(None).tags == ["public"]
