"""What pages show of accounts, labels, webhooks and settings does what it is shown for, line by line."""

import asyncio
import base64
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from standardwebhooks import WebhookVerificationError
from temporalio.service import TLSConfig

from adapters.webhook_sender import signed_headers
from cli.main import main
from database.accounts import Accounts
from database.engine import open_engine
from database.migrations import migrate
from domain.webhooks import parse_events
from runtime.settings import load_settings, parse_keys, payload_keys
from runtime.settings_tracing import is_traced
from runtime.temporal_client import connection
from support.databases import sqlite_url
from support.docs_commands import block_with, commands_in


def test_the_page_on_accounts(tmp_path: Path) -> None:
    """The lines of accounts.md run one after the other on a fresh database, and after them those on labels."""
    url = sqlite_url(tmp_path / "greenroom.db")
    asyncio.run(migrate(url))
    for words in [*commands_in("accounts.md"), *commands_in("operations.md", "Labels")]:
        said = CliRunner().invoke(main, words, env={"GREENROOM_DATABASE_URL": url})
        assert said.exit_code == 0, (words, said.output)


def test_the_page_on_webhooks(tmp_path: Path) -> None:
    """An endpoint is added by the line of webhooks.md; two lines come back, its id and its secret."""
    url = sqlite_url(tmp_path / "greenroom.db")
    asyncio.run(migrate(url))
    asyncio.run(an_account(url, "acct_..."))
    environ = {
        "GREENROOM_DATABASE_URL": url,
        "GREENROOM_WEBHOOK_KEYS": f"w1:{base64.b64encode(b'w' * 32).decode()}",
        "GREENROOM_WEBHOOK_HOSTS": "hooks.example.com",  # a name that nobody has, so nobody can look it up
    }
    [words] = commands_in("webhooks.md")
    said = CliRunner().invoke(main, words, env=environ)
    assert said.exit_code == 0, said.output
    assert [line.partition("_")[0] for line in said.stdout.splitlines()] == ["whep", "whsec"]
    assert len(parse_events(words[-1])) == 2


async def an_account(url: str, account_id: str) -> None:
    """One of this id."""
    engine = open_engine(url)
    await Accounts(engine).create(account_id, "Ada")
    await engine.dispose()


def shell(text: str) -> str:
    """What a shell prints that runs a block; every variable that it sets is one of the environment."""
    environ = {"PATH": os.environ["PATH"]}
    command = ["bash", "-euc", f"set -a\n{text}"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=20).stdout


def variables(block: str) -> dict[str, str]:
    """Those of ours and of OpenTelemetry that a block sets."""
    lines = [line.partition("=") for line in shell(f"{block}\nenv").splitlines()]
    return {name: value for name, _, value in lines if name.startswith(("GREENROOM_", "OTEL_"))}


@pytest.mark.parametrize(
    ("page", "beginning"),
    [("keys.md", "GREENROOM_PAYLOAD"), ("pictures.md", "GREENROOM_PICTURE"), ("watching.md", "OTEL_")],
)
def test_settings_that_a_shell_makes(page: str, beginning: str) -> None:
    """Each block of settings is one that processes start with, and switches on what it is shown for."""
    found = variables(block_with(page, beginning))
    settings = load_settings(found)
    assert [bool(payload_keys(found)), bool(settings.picture_hosts), is_traced(found)].count(True) == 1


def test_the_profile_of_temporal(tmp_path: Path) -> None:
    """The file that operations.md shows is read by whoever connects, its authority too."""
    file, authority = tmp_path / "temporal.toml", tmp_path / "ca.pem"
    authority.write_text("an authority")
    file.write_text(block_with("operations.md", "[profile").replace("/run/secrets/temporal-ca.pem", str(authority)))
    found = connection({"TEMPORAL_CONFIG_FILE": str(file)})
    assert (found["target_host"], found["namespace"]) == ("temporal.example:7233", "greenroom")
    assert isinstance(found["tls"], TLSConfig)
    assert found["tls"].server_root_ca_cert == b"an authority"


def test_a_receiver_checks_as_shown() -> None:
    """The lines of webhooks.md take what we sign, and refuse it with another body."""
    secret = f"whsec_{base64.b64encode(b's' * 32).decode()}"
    code, body = block_with("webhooks.md", "from standardwebhooks"), '{"type": "webhook.test"}'
    names = {"secret": secret, "body": body, "headers": signed_headers("evt_1", body, [secret], datetime.now(UTC))}
    exec(code, names)  # noqa: S102 - it stands in a page of ours
    assert names["event"] == {"type": "webhook.test"}
    with pytest.raises(WebhookVerificationError):
        exec(code, names | {"body": "{}"})  # noqa: S102 - as above


def test_a_key_that_a_shell_makes() -> None:
    """It is of the length that keys have."""
    assert list(parse_keys(shell(block_with("operations.md", "echo")).strip(), "KEYS")) == ["k1"]
