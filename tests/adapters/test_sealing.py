"""Sealed secrets open for their own session, field and key, and for nothing else."""

import base64

import pytest

from adapters.sealing import CannotOpen, Sealer

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
TOKEN = "eyJhbGciOi.room-tökèn"
HERE = {"session_id": "sess_1", "field": "room.token"}


def test_a_secret_comes_back_for_its_session_and_field() -> None:
    """The sealed text names its key, shows nothing of the secret, and is another one each time."""
    sealer = Sealer({"k1": NEW})
    first, second = (sealer.seal(TOKEN, **HERE) for _ in range(2))
    assert sealer.open(first, **HERE) == sealer.open(second, **HERE) == TOKEN
    assert first != second
    assert first.startswith("k1.")
    assert TOKEN.encode() not in base64.urlsafe_b64decode(first.partition(".")[2])


@pytest.mark.parametrize(
    "elsewhere",
    [
        {**HERE, "session_id": "sess_2"},
        {**HERE, "field": "other.token"},
        {"session_id": "room.token", "field": "sess_1"},
    ],
)
def test_a_sealed_text_does_not_open_elsewhere(elsewhere: dict[str, str]) -> None:
    """Copied into another session's history it is worth nothing."""
    sealer = Sealer({"k1": NEW})
    with pytest.raises(CannotOpen):
        sealer.open(sealer.seal(TOKEN, **HERE), **elsewhere)


def test_the_same_key_under_another_name_does_not_open() -> None:
    """The key's id is bound too, so that a text cannot be relabelled."""
    sealed = Sealer({"k1": NEW}).seal(TOKEN, **HERE)
    with pytest.raises(CannotOpen):
        Sealer({"k2": NEW}).open(sealed.replace("k1.", "k2."), **HERE)


def test_keys_can_be_changed_while_sessions_run() -> None:
    """New texts are sealed with the newest key; old ones open until their key is retired."""
    before, during, after = Sealer({"k1": OLD}), Sealer({"k2": NEW, "k1": OLD}), Sealer({"k2": NEW})
    old, new = before.seal(TOKEN, **HERE), during.seal(TOKEN, **HERE)
    assert new.startswith("k2.")
    assert during.open(old, **HERE) == during.open(new, **HERE) == after.open(new, **HERE) == TOKEN
    with pytest.raises(CannotOpen, match="not known here"):
        after.open(old, **HERE)


def test_a_wrong_key_of_the_same_name_does_not_open() -> None:
    """Two parts of a system that were given different keys find out, and the error holds no secret."""
    sealed = Sealer({"k1": NEW}).seal(TOKEN, **HERE)
    with pytest.raises(CannotOpen) as caught:
        Sealer({"k1": OTHER}).open(sealed, **HERE)
    assert TOKEN not in str(caught.value)
    assert sealed not in str(caught.value)


def test_every_changed_byte_is_noticed() -> None:
    """Nonce, text and tag are all under the seal."""
    sealer = Sealer({"k1": NEW})
    raw = base64.urlsafe_b64decode(sealer.seal(TOKEN, **HERE).partition(".")[2])
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(CannotOpen):
            sealer.open(f"k1.{base64.urlsafe_b64encode(changed).decode()}", **HERE)


@pytest.mark.parametrize("text", ["", "k1", "k1.", "k1.AAAA", "k1.!", "k1.ä", "k1.A", ".AAAA", "k9.AAAA"])
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    """Whatever the text is, the failure is the same one."""
    with pytest.raises(CannotOpen):
        Sealer({"k1": NEW}).open(text, **HERE)
