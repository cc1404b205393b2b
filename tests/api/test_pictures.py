"""Pictures in requests: told apart from ids and addresses, measured before they are decoded, staged whole."""

import base64
from pathlib import Path

import pytest

from adapters.object_store import ObjectStore, sha256_of
from api.pictures import MAX_IMAGE_BYTES, SentPicture, decode_base64, picture_in, stage
from domain.failures import FailureCode, Refused

BYTES = bytes(range(256))
BASE64 = base64.b64encode(BYTES).decode()


@pytest.mark.parametrize("avatar", ["avat_01KMZJ4WE5QCD9G3EK21QW8NJK", "avat_1", "PUBLIC/Avatars/sara-office"])
def test_an_id_is_no_picture(avatar: str) -> None:
    """Both forms of ids are looked up, not decoded."""
    assert picture_in(avatar, ()) is None


@pytest.mark.parametrize(
    "avatar", [BASE64, f"data:image/png;base64,{BASE64}", f"data:;base64,{BASE64}", f"data:image/x;a=b;base64,{BASE64}"]
)
def test_base64_and_data_uris_are_pictures(avatar: str) -> None:
    """What the prefix says of the type counts for nothing: the bytes do."""
    assert picture_in(avatar, ()) == SentPicture(data=BYTES)


@pytest.mark.parametrize(
    ("avatar", "code"),
    [
        ("http://169.254.169.254/latest", FailureCode.IMAGE_URL_NOT_ALLOWED),
        ("HTTPS://user:password@example.com/a.png", FailureCode.IMAGE_URL_NOT_ALLOWED),
        ("http://localhost:8080/a.png", FailureCode.IMAGE_URL_NOT_ALLOWED),
        ("sara", FailureCode.AVATAR_NOT_FOUND),
        ("sess_01KMZJ4WE5QCD9G3EK21QW8NJK", FailureCode.AVATAR_NOT_FOUND),
        ("file:///etc/passwd", FailureCode.AVATAR_NOT_FOUND),
        ("A" * 99, FailureCode.AVATAR_NOT_FOUND),
        ("A" * 101, FailureCode.INVALID_IMAGE_INPUT),
        ("!" * 200, FailureCode.INVALID_IMAGE_INPUT),
        ("é" * 200, FailureCode.INVALID_IMAGE_INPUT),
        ("avat_" + "A" * 400, FailureCode.INVALID_IMAGE_INPUT),
        ("data:image/png,raw", FailureCode.INVALID_IMAGE_INPUT),
        ("data:image/png;base64", FailureCode.INVALID_IMAGE_INPUT),
        ("data:image/png;base64,", FailureCode.INVALID_IMAGE_INPUT),
        ("data:image/png;base64,????", FailureCode.INVALID_IMAGE_INPUT),
    ],
)
def test_what_is_neither_is_refused_by_code(avatar: str, code: FailureCode) -> None:
    """A mistyped id is an unknown avatar; a broken picture is a broken picture."""
    with pytest.raises(Refused) as caught:
        picture_in(avatar, ())
    assert caught.value.code == code


@pytest.mark.parametrize("address", ["https://example.com/a.png?key=secret", "HTTPS://Example.com/a.png"])
async def test_an_address_is_staged_like_a_picture(tmp_path: Path, address: str) -> None:
    """It may hold a key, so only its host goes into a history; what it leads to is not known yet."""
    sent = picture_in(address, ())
    assert sent is not None
    assert (sent.host, sent.sha256) == ("example.com", None)
    store = ObjectStore(f"file://{tmp_path}")
    picture = await stage(store, "sess_1", sent)
    assert picture.host == "example.com"
    assert await store.get(picture.source.key) == address.encode()
    assert "secret" not in repr(picture)


def test_the_operators_hosts_are_fetched_from() -> None:
    """A host that the operator names may be a private one."""
    address = "http://127.0.0.1:9000/a.png"
    assert picture_in(address, {"127.0.0.1:9000"}) == SentPicture(data=address.encode(), host="127.0.0.1")


def test_ten_megabytes_are_taken_and_one_byte_more_is_not() -> None:
    """The limit is on the decoded size, to the byte."""
    most = b"x" * MAX_IMAGE_BYTES
    assert len(decode_base64(base64.b64encode(most).decode())) == MAX_IMAGE_BYTES
    with pytest.raises(Refused) as caught:
        decode_base64(base64.b64encode(most + b"x").decode())
    assert caught.value.code == FailureCode.IMAGE_TOO_LARGE
    assert caught.value.details == {"limit": MAX_IMAGE_BYTES}


def test_a_text_that_is_too_long_is_never_decoded() -> None:
    """Its size is read off its length: that it is no base64 at all does not come up."""
    with pytest.raises(Refused) as caught:
        decode_base64("!" * (MAX_IMAGE_BYTES * 2))
    assert caught.value.code == FailureCode.IMAGE_TOO_LARGE


async def test_a_staged_picture_lies_below_its_owners_prefix(tmp_path: Path) -> None:
    """The workflow gets a reference with size and hash, never the bytes."""
    store = ObjectStore(f"file://{tmp_path}")
    picture = await stage(store, "sess_1", SentPicture(data=BYTES))
    assert picture.staging_prefix == "staging/sess_1"
    assert picture.source.key.startswith("staging/sess_1/")
    assert (picture.source.size, picture.source.sha256) == (256, sha256_of(BYTES))
    assert await store.get(picture.source.key, picture.source.sha256) == BYTES
