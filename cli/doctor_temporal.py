"""What can be wrong with Temporal, in words: its address, TLS, keys, namespace, search attributes and Schedule."""

from collections.abc import Mapping

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeNamespaceResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from cli.doctor import FaultError
from contracts import search_attributes
from contracts.reconciling import EVERY
from runtime.settings import SettingsError
from runtime.temporal_client import connect, connection
from worker.reconciling import ScheduleState, state_of

INIT = "run `greenroom init`"
REFUSED = (RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.PERMISSION_DENIED)
KEY_HELP = "check TEMPORAL_API_KEY, or our client certificate, and what they may do"
CA_HELP = "set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the authority's certificate"

CERTIFICATE_HELP = "set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"
TLS_HELP = "set TEMPORAL_TLS=true, and what belongs to it"
RUNS_HELP = "check TEMPORAL_ADDRESS and that it runs"

HUNG_UP = ("AlertReceived", "connection closed", "close_notify", "transport error")
TROUBLES = {
    "Unauthenticated": f"it refuses us: {KEY_HELP}",
    "PermissionDenied": f"it refuses us: {KEY_HELP}",
    "NotValidForName": "its certificate is for another name: check TEMPORAL_ADDRESS, or set TEMPORAL_TLS_SERVER_NAME",
    "InvalidCertificate(Expired": "its certificate has expired",
    "InvalidCertificate(NotValidYet": "its certificate is not valid yet: check this machine's clock",
    "InvalidCertificate": f"its certificate is not of an authority that we trust: {CA_HELP}",
    "InvalidContentType": "it speaks no TLS, and we do: unset TEMPORAL_TLS_..., or set TEMPORAL_TLS=false",
    "dns error": f"nobody knows its name: {RUNS_HELP}",
    "Connection refused": f"nothing listens there: {RUNS_HELP}",
    "": f"it does not answer: {RUNS_HELP}",
}
"""What helps, by words in the SDK's message; the first that fits counts."""


async def reach(environ: Mapping[str, str]) -> Client:
    """A client; FaultError with what is wrong, and what helps."""
    try:
        return await connect(environ)
    except SettingsError as error:
        raise FaultError(str(error)) from None
    except RuntimeError as error:
        address = connection(environ)["target_host"]
        raise FaultError(f"{address}: {_trouble(str(error), environ)}") from None


def _trouble(said: str, environ: Mapping[str, str]) -> str:
    """What the SDK's words about a failed connection mean; it has no codes for them."""
    tls = connection(environ).get("tls")
    if any(mark in said for mark in HUNG_UP):
        ours = "may not take our certificate" if getattr(tls, "client_cert", None) else "may want a certificate of ours"
        return f"it hangs up: it {ours if tls else 'may speak TLS only'}; {CERTIFICATE_HELP if tls else TLS_HELP}"
    return next(words for mark, words in TROUBLES.items() if mark in said)


async def look_at_temporal(environ: Mapping[str, str]) -> str:
    """It answers, has our namespace, knows the search attributes that sessions set, and starts the reconciler."""
    client = await reach(environ)
    try:
        described = await namespace_of(client)
        if described is None:
            raise FaultError(f"it has no namespace {client.namespace}: {INIT}, or check TEMPORAL_NAMESPACE")
        if missing := await missing_attributes(client):
            raise FaultError(f"search attributes are missing ({', '.join(missing)}): {INIT}")
        if await state_of(client, EVERY) is ScheduleState.MISSING:
            raise FaultError(f"the Schedule that starts the reconciler is missing: {INIT}, or start a sessions worker")
    except RPCError as error:
        raise FaultError(refusal(error)) from None
    kept = described.config.workflow_execution_retention_ttl.ToTimedelta()
    encrypted = "; payloads are encrypted" if client.data_converter.payload_codec else ""
    return f"serves namespace {client.namespace}, which keeps closed sessions for {kept.days} days{encrypted}"


async def namespace_of(client: Client) -> DescribeNamespaceResponse | None:
    """The client's namespace; None where there is none. RPCError."""
    try:
        return await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def missing_attributes(client: Client) -> list[str]:
    """The search attributes that the namespace lacks; FaultError where one is of another kind. RPCError."""
    asked = ListSearchAttributesRequest(namespace=client.namespace)
    known = (await client.operator_service.list_search_attributes(asked)).custom_attributes
    for key in search_attributes.EVERY:
        if known.get(key.name, key.indexed_value_type) != key.indexed_value_type:
            kind = key.indexed_value_type.name.title()
            raise FaultError(f"its search attribute {key.name} is no {kind}: remove it, or take another namespace")
    return [key.name for key in search_attributes.EVERY if key.name not in known]


def refusal(error: RPCError) -> str:
    """What an answer that is an error means."""
    if error.status in REFUSED:
        return f"it refuses us ({error.status.name.lower()}): {KEY_HELP}"
    return f"it answers {error.status.name.lower()}: {error.message}"
