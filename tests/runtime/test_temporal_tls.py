"""Temporal by TLS, client certificates and API keys, as its own configuration says: before a real server."""

from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from runtime.settings import SettingsError
from runtime.temporal_client import NO_PROFILE, connect
from support.temporal_gate import API_KEY, Authority, Gate, authority, gate

__all__ = ["authority", "gate"]


def variables(gate: Gate, authority: Authority) -> dict[str, str]:
    """Temporal's own variables for a gate."""
    certificate, key = authority.issue("client")
    return {
        **NO_PROFILE,
        "TEMPORAL_ADDRESS": gate.address,
        "TEMPORAL_API_KEY": API_KEY,
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(authority.certificate),
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(certificate),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(key),
    }


async def works(client: Client) -> bool:
    """Does the server answer a call about the client's namespace?"""
    asked = DescribeNamespaceRequest(namespace=client.namespace)
    return (await client.workflow_service.describe_namespace(asked)).namespace_info.name == client.namespace


async def test_every_way_in_goes_by_variables(gate: Gate, authority: Authority) -> None:
    """With all of them the gate opens, and each call shows the key in its header."""
    assert await works(await connect(variables(gate, authority)))
    assert {one.get("authorization") for one in gate.seen} == {f"Bearer {API_KEY}"}


async def test_every_way_in_goes_by_a_profile(gate: Gate, authority: Authority, tmp_path: Path) -> None:
    """A TOML file, which may be a container's secret, holds the same; a variable has precedence over it."""
    where = variables(gate, authority)
    file = tmp_path / "temporal.toml"
    file.write_text(
        f"""[profile.cluster]
address = "{gate.address}"
namespace = "elsewhere"
api_key = "{API_KEY}"
[profile.cluster.tls]
server_ca_cert_path = "{where["TEMPORAL_TLS_SERVER_CA_CERT_PATH"]}"
client_cert_path = "{where["TEMPORAL_TLS_CLIENT_CERT_PATH"]}"
client_key_path = "{where["TEMPORAL_TLS_CLIENT_KEY_PATH"]}"
"""
    )
    environ = {"TEMPORAL_CONFIG_FILE": str(file), "TEMPORAL_PROFILE": "cluster", "TEMPORAL_NAMESPACE": "default"}
    assert await works(await connect(environ))


@pytest.mark.parametrize(
    ("without", "said"),
    [
        ("TEMPORAL_API_KEY", "Unauthenticated"),
        ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "UnknownIssuer"),
        ("TEMPORAL_TLS_CLIENT_", "connection closed|transport error|close_notify"),
    ],
)
async def test_each_of_them_counts(gate: Gate, authority: Authority, without: str, said: str) -> None:
    """Without one of them the gate stays shut, so the tests above would notice if it were left out."""
    environ = {name: value for name, value in variables(gate, authority).items() if not name.startswith(without)}
    with pytest.raises(RuntimeError, match=said):
        await connect(environ)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "nowhere.pem", "nowhere.pem: No such file"),
        ("TEMPORAL_PROFILE", "missing", "'missing' not found"),
        ("TEMPORAL_ADDRESS", "not an address", "HOST:PORT"),
    ],
)
async def test_wrong_configuration_is_told_from_a_server_that_is_away(variable: str, value: str, said: str) -> None:
    """Whoever waits for a server would wait for ever; a process with such settings ends instead."""
    with pytest.raises(SettingsError, match=said):
        await connect({**NO_PROFILE, variable: value}, lazy=variable != "TEMPORAL_ADDRESS")


async def test_a_file_that_is_no_profile_is_not_quoted(tmp_path: Path) -> None:
    """An API key in a file with a mistake stays there."""
    file = tmp_path / "temporal.toml"
    file.write_text(f'[profile.default]\napi_key = "{API_KEY}\n')
    with pytest.raises(SettingsError, match="line 2") as caught:
        await connect({"TEMPORAL_CONFIG_FILE": str(file)}, lazy=True)
    assert API_KEY not in str(caught.value)
