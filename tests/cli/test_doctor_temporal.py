"""What the doctor says of Temporal: wrong TLS, wrong keys, and what `greenroom init` would have made."""

from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, RemoveSearchAttributesRequest
from temporalio.client import Client
from ulid import ULID

from cli.doctor import examined
from cli.doctor_temporal import look_at_temporal
from cli.init_plan import carry_out
from cli.init_temporal import temporal_parts
from contracts.reconciling import SCHEDULE_ID
from runtime.temporal_client import NO_PROFILE, connect
from support.temporal_gate import API_KEY, Authority, Gate, authority, gate

__all__ = ["authority", "gate"]


CA, CERTIFICATE, PRIVATE = (f"TEMPORAL_TLS_{name}_PATH" for name in ("SERVER_CA_CERT", "CLIENT_CERT", "CLIENT_KEY"))


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """An authority that nobody trusts."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    return Authority(folder=folder, name="somebody else")


async def said(environ: dict[str, str]) -> str:
    """What the doctor says."""

    async def look() -> str:
        return await look_at_temporal(environ)

    return (await examined("Temporal", look)).text


async def test_every_way_of_being_turned_away_has_a_sentence(
    gate: Gate, authority: Authority, stranger: Authority
) -> None:
    """Each names the variable that helps; none shows a key."""
    certificate, private = authority.issue("client")
    other_certificate, other_private = stranger.issue("client")
    good = {
        **NO_PROFILE, "TEMPORAL_ADDRESS": gate.address, "TEMPORAL_API_KEY": API_KEY, CA: str(authority.certificate),
        CERTIFICATE: str(certificate), PRIVATE: str(private),
    }  # fmt: skip
    ours = {CERTIFICATE, PRIVATE}
    tls = {name: text for name, text in good.items() if name not in ours}
    cases = {
        "TEMPORAL_API_KEY": {**good, "TEMPORAL_API_KEY": "a-wrong-key"},
        f"set {CA}": {**good, CA: str(stranger.certificate)},
        "TEMPORAL_TLS_SERVER_NAME": {**good, "TEMPORAL_TLS_SERVER_NAME": "another.example"},
        "may want a certificate of ours": tls,
        "may not take our certificate": {**good, CERTIFICATE: str(other_certificate), PRIVATE: str(other_private)},
        "may speak TLS only": {**NO_PROFILE, "TEMPORAL_ADDRESS": gate.address},
        "nobody knows its name": {**good, "TEMPORAL_ADDRESS": "temporal.invalid:7233"},
        "nothing listens there": {**good, "TEMPORAL_ADDRESS": "127.0.0.1:9"},
        "No such file": {**good, CA: "missing.pem"},
        "serves namespace default": good,
    }
    for words, environ in cases.items():
        found = await said(environ)
        assert words in found or words == "serves namespace default", (words, found)
        assert API_KEY not in found
        assert "a-wrong-key" not in found


async def test_a_server_without_tls_is_told_from_one_with(temporal: Client, authority: Authority) -> None:
    """Who speaks TLS to it is told to stop that."""
    address = temporal.service_client.config.target_host
    environ = {**NO_PROFILE, "TEMPORAL_ADDRESS": address, CA: str(authority.certificate)}
    assert "it speaks no TLS, and we do" in await said(environ)


async def test_what_is_missing_is_said_one_after_the_other(temporal: Client) -> None:
    """Namespace, search attribute, one of another kind, Schedule; and that all is well in the end."""
    namespace = f"doctor-{ULID()}".lower()
    environ = {
        **NO_PROFILE,
        "TEMPORAL_ADDRESS": temporal.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": namespace,
    }
    assert f"it has no namespace {namespace}: run `greenroom init`" in await said(environ)
    outcomes = await carry_out(temporal_parts(environ, None), dry_run=False)
    assert all(one.ok for one in outcomes), outcomes
    assert await said(environ) == f"serves namespace {namespace}, which keeps closed sessions for 3 days"
    client = await connect(environ)
    await client.get_schedule_handle(SCHEDULE_ID).delete()
    assert "the Schedule that starts the reconciler is missing: run `greenroom init`" in await said(environ)
    operator = client.operator_service
    await operator.remove_search_attributes(
        RemoveSearchAttributesRequest(namespace=namespace, search_attributes=["EndReason"])
    )
    assert "search attributes are missing (EndReason): run `greenroom init`" in await said(environ)
    other = {"EndReason": IndexedValueType.INDEXED_VALUE_TYPE_INT}
    await operator.add_search_attributes(AddSearchAttributesRequest(namespace=namespace, search_attributes=other))
    assert "its search attribute EndReason is no Keyword" in await said(environ)
    outcomes = await carry_out(temporal_parts(environ, None), dry_run=False)
    assert [one.ok for one in outcomes] == [True, False, True]
