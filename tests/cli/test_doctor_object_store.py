"""The doctor on an S3 store: one sentence a fault, which names what to change and shows no secret."""

from pathlib import Path
from typing import Any

import pytest

from cli import doctor_looks
from cli.doctor import Finding, examined
from cli.doctor_looks import look_at_store
from runtime.settings import Settings
from support.gate import Gate
from support.s3_server import READER, SECRET_KEY, S3Server, s3_address

__all__ = ["s3_address"]


async def found(server: S3Server, address: str, **changes: str) -> Finding:
    """What the doctor finds of a store on the test's server, with some settings changed."""
    settings: dict[str, Any] = server.settings(address, **changes)
    return await examined("object store", lambda: look_at_store(Settings(**settings)))


async def test_a_store_that_works_is_found_well(s3_server: S3Server, s3_address: str) -> None:
    """It was written to."""
    finding = await found(s3_server, s3_address)
    assert (finding.ok, finding.text) == (True, "can be written to")


@pytest.mark.parametrize(
    ("address", "changes", "words"),
    [
        ("s3://no-such-bucket", {}, ["has no bucket no-such-bucket", "GREENROOM_STORAGE_URL"]),
        ("", {"endpoint": "http://127.0.0.1:9"}, ["http://127.0.0.1:9 does not answer", "GREENROOM_STORAGE_ENDPOINT"]),
        ("", {"secret_key": "wrong-secret"}, ["SignatureDoesNotMatch", "GREENROOM_STORAGE_SECRET_KEY"]),
        ("", {"access_key": "unknown"}, ["InvalidAccessKeyId", "GREENROOM_STORAGE_ACCESS_KEY"]),
        ("", READER, ["AccessDenied", "policy"]),
    ],
    ids=["no bucket", "nobody there", "wrong secret", "unknown key", "may only read"],
)
async def test_each_fault_has_a_sentence_that_helps(
    s3_server: S3Server, s3_address: str, address: str, changes: dict[str, str], words: list[str]
) -> None:
    """What is wrong, and which setting to look at."""
    finding = await found(s3_server, address or s3_address, **changes)
    assert not finding.ok
    for word in words:
        assert word in finding.text
    assert changes.get("secret_key", SECRET_KEY) not in finding.text
    assert SECRET_KEY not in finding.text


async def test_a_server_that_says_nothing_is_given_up(
    s3_server: S3Server, s3_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the doctor's own patience is over, which would say less."""
    monkeypatch.setattr(doctor_looks, "STORE_WITHIN_S", 0.5)
    async with Gate(s3_server.ports["s3.port"]) as gate:
        gate.hold()
        finding = await found(s3_server, s3_address, endpoint=gate.endpoint)
    assert "does not answer within 0.5 s" in finding.text
    assert "GREENROOM_STORAGE_ENDPOINT" in finding.text


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The embedded store has no server to look at."""
    (tmp_path / "objects").write_text("a file where the folder should be")
    finding = await examined("object store", lambda: look_at_store(Settings(data_dir=str(tmp_path))))
    assert not finding.ok
    assert f"{tmp_path}/objects" in finding.text
    assert "GREENROOM_STORAGE_URL" in finding.text
