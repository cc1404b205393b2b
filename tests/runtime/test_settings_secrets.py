"""Which of a process's settings are secrets, one by one."""

import base64
import re
from pathlib import Path

import pytest

from runtime.settings import Settings
from runtime.settings_secrets import secrets_of

OPEN = {"storage_access_key", "livekit_api_key", "public_url", "relay_url", "livekit_url", "livekit_public_url"}
"""Ids of keys, and addresses that have no password."""
SECRET = re.compile(r"keys?$|secret|token|password")


def test_every_setting_that_is_a_secret_is_known() -> None:
    """A further setting that is called a key, token or secret must be added, or be said to be none."""
    for name in Settings.__struct_fields__:
        value = f"value-of-{name}"
        given = {f"GREENROOM_{name.upper()}": f"k1:{value}" if name.endswith("_keys") else value}
        expected = {value} if SECRET.search(name) and name not in OPEN else set()
        assert secrets_of(given) == expected, name


@pytest.mark.parametrize("name", ["DATABASE_URL", "RATE_LIMIT_URL"])
def test_passwords_of_addresses(name: str) -> None:
    """As they stand there, and as they are meant."""
    assert secrets_of({f"GREENROOM_{name}": "redis://user:pass%2Fword@host:1/0"}) == {"pass%2Fword", "pass/word"}
    assert secrets_of({f"GREENROOM_{name}": "redis://host:1/0"}) == set()
    assert secrets_of({f"GREENROOM_{name}": "redis://[host"}) == set()


def test_what_others_settings_hold(tmp_path: Path) -> None:
    """The collector's headers, Temporal's and the bucket's keys, each key of a set, and what stands in files."""
    keys = [base64.b64encode(letter * 32).decode() for letter in (b"a", b"b")]
    file = tmp_path / "keys"
    file.write_text(f"plain,k2:{keys[0]},k1:{keys[1]}\n")
    given = {
        "GREENROOM_PAYLOAD_KEYS_FILE": str(file),
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=one%20key, x-other=another-key",
        "TEMPORAL_API_KEY": "a-key-of-a-cluster",
        "PATH": "/bin",
    }
    assert secrets_of(given) == {*keys, "one%20key", "one key", "another-key", "a-key-of-a-cluster"}
