"""Session tokens and picture addresses: made again to be checked, and worth nothing when anything was changed."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from adapters.signing import Signer

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
SIGNER = Signer({"k1": NEW})


def signature_of(address: str) -> str:
    """The signature in an address."""
    return parse_qs(urlsplit(address).query)["signature"][0]


def test_a_session_token_is_its_own_sessions_and_stays_the_same() -> None:
    """Nothing is stored, so a repeated create answers the same token; another session's is refused."""
    token = SIGNER.session_token("sess_1")
    assert token == SIGNER.session_token("sess_1")
    assert SIGNER.is_session_token(token, "sess_1")
    assert not SIGNER.is_session_token(token, "sess_2")


@pytest.mark.parametrize("forged", ["", "k1", "k1.", "k1.AAAA", "k2.AAAA", "ä.ö", "."])
def test_a_forged_token_is_refused(forged: str) -> None:
    """Whatever it looks like; unknown keys among them."""
    assert not SIGNER.is_session_token(forged, "sess_1")
    assert not SIGNER.is_object_signature(forged, "a/b", 5)


def test_an_address_names_the_object_and_its_expiry() -> None:
    """It is a link that a browser takes as it is; strange characters in a key survive it."""
    key = "avatars/avat_1/ein bild & 4x3.jpg"
    address = SIGNER.object_address("https://api.example", key, 1_700_000_000)
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc) == ("https", "api.example")
    assert unquote(parts.path) == f"/files/{key}"
    assert parse_qs(parts.query)["expires"] == ["1700000000"]
    assert SIGNER.is_object_signature(signature_of(address), key, 1_700_000_000)


@pytest.mark.parametrize(
    ("key", "expires"), [("a/c", 5), ("a/b", 6), ("a", 5), ("a/b\n5", 5), ("A/B", 5), ("a/b", -5), ("", 5)]
)
def test_a_changed_address_is_refused(key: str, expires: int) -> None:
    """The signature covers the object and the moment, each as a whole."""
    signature = signature_of(SIGNER.object_address("", "a/b", 5))
    assert SIGNER.is_object_signature(signature, "a/b", 5)
    assert not SIGNER.is_object_signature(signature, key, expires)


def test_a_token_is_no_address_and_an_address_no_token() -> None:
    """What one was made for, the other is refused for, even where the words are the same."""
    assert not SIGNER.is_object_signature(SIGNER.session_token("a/b\n5"), "a/b", 5)
    assert not SIGNER.is_session_token(signature_of(SIGNER.object_address("", "a/b", 5)), "a/b\n5")


def test_keys_can_be_changed_while_addresses_are_out() -> None:
    """New ones are signed with the newest key; old ones hold until their key is retired."""
    before, during, after = Signer({"k1": OLD}), Signer({"k2": NEW, "k1": OLD}), Signer({"k2": NEW})
    old, new = before.session_token("sess_1"), during.session_token("sess_1")
    assert new.startswith("k2.")
    assert during.is_session_token(old, "sess_1")
    assert after.is_session_token(new, "sess_1")
    assert not after.is_session_token(old, "sess_1")


def test_another_installations_key_of_the_same_name_signs_nothing_here() -> None:
    """The id in front says which key to try, not that it is the right one."""
    assert not SIGNER.is_session_token(Signer({"k1": OTHER}).session_token("sess_1"), "sess_1")
