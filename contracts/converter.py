"""How values become Temporal payloads: JSON made by msgspec, so that histories stay readable and steps stay typed."""

from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    BinaryNullPayloadConverter,
    BinaryPlainPayloadConverter,
    BinaryProtoPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    EncodingPayloadConverter,
    JSONProtoPayloadConverter,
)

ENCODING = "json/plain"
"""The encoding that Temporal's UI and CLI show as text."""


class MsgspecJSONPayloadConverter(EncodingPayloadConverter):
    """Encodes with msgspec, and decodes into the type that the handler declares."""

    @property
    def encoding(self) -> str:
        """The payload encoding's name."""
        return ENCODING

    def to_payload(self, value: Any) -> Payload | None:
        """One JSON payload."""
        return Payload(metadata={"encoding": ENCODING.encode()}, data=msgspec.json.encode(value))

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        """The value, checked against `type_hint`; unknown fields are skipped, so that old code reads new histories."""
        return msgspec.json.decode(payload.data, type=Any if type_hint is None else type_hint)


CONVERTERS = (
    BinaryNullPayloadConverter(),
    BinaryPlainPayloadConverter(),
    JSONProtoPayloadConverter(),
    BinaryProtoPayloadConverter(),
    MsgspecJSONPayloadConverter(),
)
"""Made once, for they keep no state: the SDK makes a new composite for every payload of every workflow task."""


class MsgspecPayloadConverter(CompositePayloadConverter):
    """None, bytes and protobuf as Temporal does them; everything else by msgspec."""

    def __init__(self) -> None:
        super().__init__(*CONVERTERS)


data_converter = DataConverter(payload_converter_class=MsgspecPayloadConverter)
"""The one converter that clients, workers and the Replayer share."""
