"""The Temporal client of a process: where it connects to, and that it can wait for its server."""

from datetime import UTC, datetime

import pytest
from temporalio.client import Client

from contracts.converter import data_converter
from contracts.session_workflow import SessionEnded
from runtime.temporal_client import connect
from support.api_system import environment

NOBODY = "127.0.0.1:9"
"""Nothing listens on the discard port."""


async def test_it_connects_where_temporals_own_variables_say(temporal_apart: Client) -> None:
    """Address and namespace are read from the environment that it was given, not from the process's."""
    client = await connect(environment(temporal_apart))
    assert client.namespace == temporal_apart.namespace
    assert await client.service_client.check_health()


async def test_without_variables_it_is_the_local_server() -> None:
    """Temporal's usual port on loopback, in the namespace `default`."""
    client = await connect({}, lazy=True)
    assert client.service_client.config.target_host == "127.0.0.1:7233"
    assert client.namespace == "default"


async def test_a_lazy_client_starts_without_its_server_and_another_does_not() -> None:
    """The API serves what it can; a worker has nothing to do before the server is there."""
    assert await connect({"TEMPORAL_ADDRESS": NOBODY}, lazy=True)
    with pytest.raises(RuntimeError):
        await connect({"TEMPORAL_ADDRESS": NOBODY})


async def test_it_speaks_the_projects_payloads() -> None:
    """With Temporal's own converter a Struct could not be sent at all."""
    client = await connect({}, lazy=True)
    assert client.data_converter is data_converter
    ended = SessionEnded(session_id="sess_1", reason="expired", ended_at=datetime(2024, 1, 15, tzinfo=UTC))
    (payload,) = await client.data_converter.encode([ended])
    assert b'"2024-01-15T00:00:00Z"' in payload.data
