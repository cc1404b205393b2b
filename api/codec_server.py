"""A codec server as Temporal's pages and command line ask one: it encrypts and decrypts payloads, and keeps nothing."""

import base64
import hmac
from collections.abc import Mapping

import msgspec
import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.exceptions import ClientException, NotAuthorizedException
from litestar.handlers.base import BaseRouteHandler
from temporalio.api.common.v1 import Payload

from api.json_request import UNREADABLE
from runtime.payload_codec import CannotDecrypt, PayloadCodec

MAX_BODY_BYTES = 64 * 2**20
"""A page of a long history."""
REALM = 'Basic realm="Greenroom codec server", charset="UTF-8"'
HEADERS = ["authorization", "content-type", "x-namespace"]
"""What Temporal's pages send."""

Connection = ASGIConnection[object, object, object, State]


class WirePayload(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A payload as protobuf writes it in JSON: bytes as base64."""

    metadata: dict[str, bytes] = {}
    data: bytes = b""


class WirePayloads(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and what is answered."""

    payloads: list[WirePayload] = []


def codec_app(keys: Mapping[str, bytes], token: str, origins: frozenset[str]) -> Litestar:
    """The application: whoever shows the token, as a bearer's or as a password, may have payloads decrypted.

    `origins` are the pages that browsers let read the answers.
    """
    codec = PayloadCodec(keys)

    async def admit(connection: Connection, _: BaseRouteHandler) -> None:
        if not is_admitted(connection.headers.get("authorization", ""), token):
            raise NotAuthorizedException(headers={"WWW-Authenticate": REALM})

    @get("/", media_type="text/plain", sync_to_thread=False)
    def sign_in() -> str:
        """What makes a browser ask for the token, and send it from then on."""
        return "This browser may now read payloads: go back to Temporal's pages and load them again.\n"

    @post("/encode", status_code=200)
    async def encode(request: Request[object, object, State]) -> Response[bytes]:
        return answer(await codec.encode(await asked(request)))

    @post("/decode", status_code=200)
    async def decode(request: Request[object, object, State]) -> Response[bytes]:
        return answer([await decoded(codec, one) for one in await asked(request)])

    return Litestar(
        [sign_in, encode, decode],
        guards=[admit],
        # An empty list would be Litestar's word for nobody, too; credentials and `*` do not go together.
        cors_config=CORSConfig(
            allow_origins=sorted(origins), allow_methods=["GET", "POST"], allow_headers=HEADERS, allow_credentials=True
        ),
        openapi_config=None,
        logging_config=None,
        request_max_body_size=MAX_BODY_BYTES,
    )


def is_admitted(authorization: str, token: str) -> bool:
    """Does the header show the token? Basic is what browsers can send; its user name counts for nothing."""
    kind, _, shown = authorization.partition(" ")
    if kind.lower() == "basic":
        try:
            shown = base64.b64decode(shown, validate=True).decode().partition(":")[2]
        except ValueError:
            return False
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(shown.encode(), token.encode())


async def asked(request: Request[object, object, State]) -> list[Payload]:
    """The payloads of a request; 400 where it has none."""
    try:
        found = msgspec.json.decode(await request.body(), type=WirePayloads)
    except (msgspec.DecodeError, *UNREADABLE) as error:
        raise ClientException("the body is no list of payloads") from error
    return [Payload(metadata=one.metadata, data=one.data) for one in found.payloads]


async def decoded(codec: PayloadCodec, payload: Payload) -> Payload:
    """The payload decrypted; one of a key that is not known stays as it is, so that the others of a page are shown."""
    try:
        return (await codec.decode([payload]))[0]
    except CannotDecrypt:
        return payload


def answer(payloads: list[Payload]) -> Response[bytes]:
    """The payloads, not to be kept by anybody."""
    wire = WirePayloads(payloads=[WirePayload(metadata=dict(one.metadata), data=one.data) for one in payloads])
    return Response(msgspec.json.encode(wire), media_type="application/json", headers={"Cache-Control": "no-store"})


def serve(app: Litestar, host: str, port: int) -> None:
    """Serve it until the process is told to stop."""
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=2)
