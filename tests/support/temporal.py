"""A real Temporal dev server for a test run, with the same search attributes as the one that `greenroom dev` starts."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from contracts import search_attributes
from contracts.converter import data_converter
from runtime.system.plan import TEMPORAL_TUNING

TEMPORAL = Path(sys.executable).with_name("temporal")
TEST_SERVER = Path(sys.executable).with_name("temporal-test-server")

APART = "apart"
"""A namespace of its own, for tests whose workers are real where those of `temporal` are stand-ins."""

ENCRYPTED = "encrypted"
"""A namespace whose workers encrypt payloads."""

DESERTED = "deserted"
"""A namespace without workers, until a test brings its own."""


VERSIONED = "versioned"
"""A namespace whose sessions workers have versions: there, workers without one are given nothing any more."""


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """A client of a fresh dev server on free loopback ports."""
    extra = ["--namespace", APART, "--namespace", DESERTED, "--namespace", ENCRYPTED, "--namespace", VERSIONED]
    for key, value in TEMPORAL_TUNING.items():
        extra += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
    environment = await WorkflowEnvironment.start_local(
        data_converter=data_converter,
        dev_server_existing_path=str(TEMPORAL),
        dev_server_extra_args=extra,
        dev_server_log_level="error",
        search_attributes=search_attributes.EVERY,
    )
    async with environment:
        yield environment.client


@pytest.fixture(scope="session")
async def temporal_apart(temporal: Client) -> Client:
    """A client of the same server in another namespace: nobody else's workers poll there."""
    return await elsewhere(temporal, APART)


@pytest.fixture
async def temporal_deserted(temporal: Client) -> Client:
    """A client of the same server in a namespace in which nobody works."""
    return await elsewhere(temporal, DESERTED)


@pytest.fixture
async def temporal_versioned(temporal: Client) -> Client:
    """A client of the same server in a namespace for workers with versions; each test has a deployment of its own."""
    return await elsewhere(temporal, VERSIONED)


async def elsewhere(client: Client, namespace: str) -> Client:
    """A client of the same server in another namespace."""
    address = client.service_client.config.target_host
    return await Client.connect(address, namespace=namespace, data_converter=data_converter)


@pytest.fixture
async def time_skipping() -> AsyncIterator[Client]:
    """A client of Temporal's test server, whose clock jumps to the next timer while no remote step runs."""
    environment = await WorkflowEnvironment.start_time_skipping(
        data_converter=data_converter, test_server_existing_path=str(TEST_SERVER)
    )
    async with environment:
        types = {key.name: key.indexed_value_type for key in search_attributes.EVERY}
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=types)
        )
        yield environment.client
