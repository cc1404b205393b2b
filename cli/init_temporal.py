"""What `greenroom init` makes in a Temporal cluster: namespace, search attributes, the reconciler's Schedule."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest, UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli.doctor import FaultError
from cli.doctor_temporal import REFUSED, missing_attributes, namespace_of, reach, refusal
from cli.init_plan import Change, Part
from contracts import search_attributes
from contracts.reconciling import EVERY
from worker.reconciling import ScheduleState, make_schedule, state_of

RETENTION = timedelta(hours=72)
"""How long closed sessions are kept in a new namespace."""
KNOWN_WITHIN_S = 60.0
"""A cluster's parts hear of a new namespace or search attribute after seconds."""
NOT_YET = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNAVAILABLE})
BY_HAND = "where keys may not make it, as at Temporal Cloud, make it there by hand"


def temporal_parts(environ: Mapping[str, str], retention: timedelta | None) -> list[Part]:
    """The parts, in order; `retention` of None leaves that of a namespace which is there."""
    cluster = Cluster(environ, retention)
    return [
        Part(name="namespace", look=cluster.namespace),
        Part(name="search attributes", look=cluster.attributes, needs="namespace"),
        Part(name="schedule", look=cluster.schedule, needs="namespace"),
    ]


class Cluster:
    """A Temporal cluster and what has to be made in it."""

    def __init__(self, environ: Mapping[str, str], retention: timedelta | None) -> None:
        self._environ = environ
        self._retention = retention
        self._connected: Client | None = None

    async def namespace(self) -> list[Change]:
        """The namespace, and how long it keeps closed sessions."""
        client = await self._client()
        async with explained():
            found = await namespace_of(client)
        if found is None:
            kept = self._retention or RETENTION
            text = f"make namespace {client.namespace}, which keeps closed sessions for {hours(kept)}"
            return [Change(text=text, make=partial(self._register, client, kept))]
        present = found.config.workflow_execution_retention_ttl.ToTimedelta()
        if self._retention in (None, present):
            return []
        assert self._retention is not None  # noqa: S101 - a type checker does not see it
        text = (
            f"keep closed sessions of namespace {client.namespace} for {hours(self._retention)}, not {hours(present)}"
        )
        return [Change(text=text, make=partial(self._retain, client, self._retention))]

    async def attributes(self) -> list[Change]:
        """The search attributes that sessions set."""
        client = await self._client()
        async with explained():
            there = await namespace_of(client) is not None
            missing = await missing_attributes(client) if there else [key.name for key in search_attributes.EVERY]
        return [Change(text=f"add {name}", make=partial(self._add, client, name)) for name in missing]

    async def schedule(self) -> list[Change]:
        """The Schedule of the reconciler."""
        client = await self._client()
        async with explained():
            there = await namespace_of(client) is not None
            state = await state_of(client) if there else ScheduleState.MISSING
        if state is ScheduleState.CURRENT:
            return []
        every = f"every {EVERY.total_seconds():.0f} s"
        verb = "make the Schedule that starts" if state is ScheduleState.MISSING else "renew the Schedule that starts"
        return [Change(text=f"{verb} the reconciler {every}", make=partial(self._make_schedule, client))]

    async def _client(self) -> Client:
        if self._connected is None:
            self._connected = await reach(self._environ)
        return self._connected

    async def _register(self, client: Client, kept: timedelta) -> None:
        asked = RegisterNamespaceRequest(
            namespace=client.namespace, workflow_execution_retention_period=seconds(kept), description="Greenroom"
        )
        async with explained(f"namespace {client.namespace} cannot be made; {BY_HAND}"):
            try:
                await client.workflow_service.register_namespace(asked)
            except RPCError as error:
                if error.status is not RPCStatusCode.ALREADY_EXISTS:  # somebody else was quicker
                    raise
            await known(client.count_workflows)

    async def _retain(self, client: Client, kept: timedelta) -> None:
        config = NamespaceConfig(workflow_execution_retention_ttl=seconds(kept))
        async with explained(f"the retention of namespace {client.namespace} cannot be changed"):
            await client.workflow_service.update_namespace(
                UpdateNamespaceRequest(namespace=client.namespace, config=config)
            )

    async def _add(self, client: Client, name: str) -> None:
        kind = next(key.indexed_value_type for key in search_attributes.EVERY if key.name == name)
        asked = AddSearchAttributesRequest(
            namespace=client.namespace, search_attributes={name: IndexedValueType.ValueType(kind)}
        )
        async with explained(f"search attribute {name} cannot be added; {BY_HAND}, as {kind.name.title()}"):
            try:
                await known(lambda: client.operator_service.add_search_attributes(asked))
            except RPCError as error:
                if error.status is not RPCStatusCode.ALREADY_EXISTS:
                    raise
            await known(lambda: client.count_workflows(f"{name} = 'none'"))

    async def _make_schedule(self, client: Client) -> None:
        async with explained("the Schedule cannot be made"):
            await known(lambda: make_schedule(client))


async def known(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask until the cluster knows what was made a moment ago; the last error where it does not learn of it."""
    loop = asyncio.get_running_loop()
    until = loop.time() + KNOWN_WITHIN_S
    while True:
        try:
            await ask()
        except RPCError as error:
            if error.status not in NOT_YET or loop.time() > until:
                raise
            await asyncio.sleep(0.2)
        else:
            return


@asynccontextmanager
async def explained(what: str = "") -> AsyncIterator[None]:
    """An answer that is an error as a fault in words."""
    try:
        yield
    except RPCError as error:
        about = f"{what}: " if what and error.status in {*REFUSED, RPCStatusCode.UNIMPLEMENTED} else ""
        raise FaultError(about + refusal(error)) from None


def seconds(length: timedelta) -> Duration:
    """A length of time as protobuf has it."""
    return Duration(seconds=int(length.total_seconds()))


def hours(length: timedelta) -> str:
    """A length of time in words."""
    return f"{length.total_seconds() / 3600:g} h"
