"""A gate before a Temporal server as a cluster has one: TLS by a test's own CA, client certificates, API keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from temporalio.client import Client

API_KEY = "an-api-key-of-a-test-cluster"
HEALTH = "/grpc.health.v1.Health/"


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority of a test, and the files that it makes in its folder."""

    folder: Path
    name: str = "authority of a test"
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def certificate(self) -> Path:
        """Its own certificate, which others are checked with."""
        return self._issue("ca", self._key, ca=True)

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for `name` on loopback, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = self.folder / f"{name}.key"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return self._issue(name, key, ca=False), private

    def _issue(self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> Path:
        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        others = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        made = (
            x509.CertificateBuilder()
            .subject_name(named(self.name if ca else name))
            .issuer_name(named(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(minutes=5))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(others), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        path = self.folder / f"{name}.pem"
        path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return path


@dataclass(kw_only=True)
class Gate:
    """What the gate wants, and what it saw."""

    port: int = 0
    api_key: str = ""
    """The only one that is let in; empty: none is asked for."""
    seen: list[dict[str, Any]] = field(default_factory=list)
    """The metadata of every call."""

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"localhost:{self.port}"


class _Forward(grpc.GenericRpcHandler):
    """Passes every call on as it is, if its key is right."""

    def __init__(self, gate: Gate, server: grpc.aio.Channel) -> None:
        self._gate, self._server = gate, server

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method
        passed = self._server.unary_unary(method)

        async def forward(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
            metadata = dict(context.invocation_metadata() or ())
            self._gate.seen.append({"method": method, **metadata})
            if self._gate.api_key and metadata.get("authorization") != f"Bearer {self._gate.api_key}":
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Request unauthorized.")
            kept = [(k, v) for k, v in metadata.items() if not k.startswith(("grpc-", "user-agent"))]
            try:
                return bytes(await passed(request, metadata=kept, timeout=context.time_remaining()))
            except grpc.aio.AioRpcError as error:
                context.set_trailing_metadata(tuple(error.trailing_metadata() or ()))
                await context.abort(error.code(), error.details() or "")
                raise

        return grpc.unary_unary_rpc_method_handler(forward)


@asynccontextmanager
async def gate_before(
    server: str, authority: Authority | None, *, client_certificates: bool = False, api_key: str = ""
) -> AsyncIterator[Gate]:
    """A gate on a free port before the server at an address; without an authority it speaks no TLS."""
    gate = Gate(api_key=api_key)
    async with grpc.aio.insecure_channel(server) as channel:
        listening = grpc.aio.server(handlers=[_Forward(gate, channel)])
        if authority is None:
            gate.port = listening.add_insecure_port("127.0.0.1:0")
        else:
            certificate, key = authority.issue("gate")
            credentials = grpc.ssl_server_credentials(
                [(key.read_bytes(), certificate.read_bytes())],
                root_certificates=authority.certificate.read_bytes() if client_certificates else None,
                require_client_auth=client_certificates,
            )
            gate.port = listening.add_secure_port("127.0.0.1:0", credentials)
        await listening.start()
        try:
            yield gate
        finally:
            await listening.stop(None)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whose certificates count in a test."""
    return Authority(folder=tmp_path)


@pytest.fixture
async def gate(temporal: Client, authority: Authority) -> AsyncIterator[Gate]:
    """A gate that wants everything: TLS, a client's certificate and an API key."""
    address = temporal.service_client.config.target_host
    async with gate_before(address, authority, client_certificates=True, api_key=API_KEY) as gate:
        yield gate
