"""Encrypted payloads: what is hidden, whose key opens it, and that plain ones pass."""

import base64
import os

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from contracts.converter import data_converter
from runtime.payload_codec import ENCODING, CannotDecrypt, PayloadCodec, encrypting, key_ids
from runtime.settings import SettingsError, payload_keys

K1, K2 = os.urandom(32), os.urandom(32)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"sara"')


async def test_nothing_of_a_payload_is_readable() -> None:
    """Neither its data nor its type; the id of the key stands beside it, and each time it looks different."""
    codec = PayloadCodec({"k1": K1})
    first, second = await codec.encode([PLAIN, PLAIN])
    assert b"sara" not in first.SerializeToString()
    assert b"json/plain" not in first.SerializeToString()
    assert first.data != second.data
    assert (first.metadata["encoding"], key_ids([first, PLAIN])) == (ENCODING, {"k1"})
    assert await codec.decode([first, second]) == [PLAIN, PLAIN]


async def test_what_was_written_plain_stays_readable() -> None:
    """Encryption may be switched on while workflows run; and twice is as once."""
    codec = PayloadCodec({"k1": K1})
    assert await codec.decode([PLAIN]) == [PLAIN]
    once = await codec.encode([PLAIN])
    assert await codec.encode(once) == once


async def test_keys_may_change() -> None:
    """The first of several encrypts, each decrypts; without its key a payload stays shut, and the key is named."""
    old = await PayloadCodec({"k1": K1}).encode([PLAIN])
    both = PayloadCodec({"k2": K2, "k1": K1})
    assert await both.decode(old) == [PLAIN]
    assert key_ids(await both.encode([PLAIN])) == {"k2"}
    with pytest.raises(CannotDecrypt, match="the key k1"):
        await PayloadCodec({"k2": K2}).decode(old)


async def test_keys_may_be_there_before_they_are_used() -> None:
    """With `plain` in front nothing is encrypted yet, or any more, but all can be read: so it goes on and off."""
    key = base64.b64encode(K1).decode()
    keys = payload_keys({"GREENROOM_PAYLOAD_KEYS": f"plain, k1:{key}"})
    codec = PayloadCodec(keys)
    assert await codec.encode([PLAIN]) == [PLAIN]
    assert await codec.decode(await PayloadCodec({"k1": K1}).encode([PLAIN])) == [PLAIN]
    with pytest.raises(SettingsError, match="GREENROOM_PAYLOAD_KEYS"):
        payload_keys({"GREENROOM_PAYLOAD_KEYS": "plain"})


@pytest.mark.parametrize("change", ["data", "key", "short"])
async def test_a_changed_payload_is_refused(change: str) -> None:
    """Neither another text, nor another key under the same id, nor a stump is taken."""
    codec = PayloadCodec({"k1": K1})
    (sealed,) = await codec.encode([PLAIN])
    if change == "data":
        sealed.data = sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])
    elif change == "short":
        sealed.data = sealed.data[:5]
    else:
        codec = PayloadCodec({"k1": K2})
    with pytest.raises(CannotDecrypt, match="not what was encrypted"):
        await codec.decode([sealed])


async def test_a_failure_hides_its_words_and_shows_its_code() -> None:
    """Operators still see why a step failed, by its code; the message, the details and the trace need the key."""
    converter = encrypting(data_converter, {"k1": K1})
    failure = Failure()
    await converter.encode_failure(ApplicationError("the face of sara", {"who": "sara"}, type="NO_FACE"), failure)
    assert failure.application_failure_info.type == "NO_FACE"
    assert b"sara" not in failure.SerializeToString()
    back = await converter.decode_failure(failure)
    assert isinstance(back, ApplicationError)
    assert (back.message, back.details[0]) == ("the face of sara", {"who": "sara"})


def test_without_keys_nothing_changes() -> None:
    """Off by default: the very same converter."""
    assert encrypting(data_converter, {}) is data_converter
