"""Payloads that nobody reads without a key: AES-256-GCM, the key's id beside it. Plain ones pass as they are."""

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.converter import PayloadCodec as Codec

from runtime.settings import PLAIN

ENCODING: Final = b"binary/encrypted"
"""What an encrypted payload is marked with."""
KEY_ID: Final = "encryption-key-id"
CIPHER: Final = {"encryption-cipher": b"AES-256-GCM"}
NONCE_BYTES = 12


class CannotDecrypt(Exception):
    """The payload was encrypted with a key that is not known here, or was changed."""


class PayloadCodec(Codec):
    """Encrypts with the newest key and decrypts with any that is known; `keys` come newest first, 32 bytes each.

    With PLAIN as the newest it only decrypts.

    The whole payload is encrypted, its type included. What was written before encryption was switched on stays
    readable, so it may be switched on, and off, while workflows run.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._ciphers = {key_id.encode(): AESGCM(key) for key_id, key in keys.items() if key_id != PLAIN}
        self._newest = next(iter(keys)).encode()

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Each payload encrypted; what is encrypted already stays as it is."""
        if self._newest not in self._ciphers:
            return list(payloads)
        return [one if _key_of(one) else self._encrypted(one) for one in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Each payload as it was; CannotDecrypt."""
        return [self._decrypted(one) for one in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), self._newest)
        return Payload(metadata={"encoding": ENCODING, KEY_ID: self._newest, **CIPHER}, data=nonce + sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        key_id = _key_of(payload)
        if key_id is None:
            return payload
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            name = key_id.decode(errors="replace")
            raise CannotDecrypt(f"a payload was encrypted with the key {name}, which GREENROOM_PAYLOAD_KEYS lacks here")
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, key_id))
        except (InvalidTag, ValueError) as error:
            raise CannotDecrypt("a payload is not what was encrypted") from error


def encrypting(converter: DataConverter, keys: Mapping[str, bytes]) -> DataConverter:
    """The converter with the keys; with none, as it is. Of failures all but the code is hidden."""
    if not keys:
        return converter
    failures = DefaultFailureConverterWithEncodedAttributes
    return dataclasses.replace(converter, payload_codec=PayloadCodec(keys), failure_converter_class=failures)


def key_ids(payloads: Iterable[Payload]) -> set[str]:
    """The ids of the keys that payloads are encrypted with."""
    return {key_id.decode(errors="replace") for key_id in map(_key_of, payloads) if key_id}


def _key_of(payload: Payload) -> bytes | None:
    """The id of the key that a payload is encrypted with; None for a plain one."""
    return payload.metadata.get(KEY_ID, b"") if payload.metadata.get("encoding") == ENCODING else None
