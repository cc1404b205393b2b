"""Ids are recognised by their prefix only: real ones differ in length (contract, section 1)."""

import pytest

from domain import ids


@pytest.mark.parametrize(
    "text",
    ["avat_01KMZJ4WE5QCD9G3EK21QW8NJK", "avat_short", "PUBLIC/Avatars/sara-office", "avat_" + "x" * 195],
)
def test_every_form_of_an_avatars_id_is_one(text: str) -> None:
    """Uploaded ones, those of other lengths, and the path form of pre-built ones."""
    assert ids.is_avatar_id(text)


@pytest.mark.parametrize(
    "text",
    ["", "sara", "sess_01KMZJ4WE5QCD9G3EK21QW8NJK", "AVAT_1", "public/x", " avat_1", "data:image/png;base64,avat_",
     "avat_" + "x" * 196, "avat_\0", "avat_\ud800", "PUBLIC/a\nb"],
)  # fmt: skip
def test_what_is_no_id_is_not_taken_for_one(text: str) -> None:
    """Pictures as base64 and other kinds of ids among them; an id has at most 200 characters, all of them visible."""
    assert not ids.is_avatar_id(text)


@pytest.mark.parametrize("text", ["", "sess", "avat_1", "sess_\0", "sess_1\x7f", "sess_" + "x" * 196])
def test_what_is_no_id_of_a_session_is_not_asked_for(text: str) -> None:
    """Nothing that a database might refuse."""
    assert not ids.is_session_id(text)


def test_each_kind_has_its_prefix() -> None:
    """What is built is recognised, and no kind is taken for another."""
    built = [ids.session_id("1"), ids.avatar_id("1"), ids.account_id("1")]
    assert built == ["sess_1", "avat_1", "acct_1"]
    assert [ids.is_avatar_id(one) for one in built] == [False, True, False]
    assert [ids.is_session_id(one) for one in built] == [True, False, False]
