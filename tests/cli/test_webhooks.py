"""`greenroom webhooks`: an operator's hands on endpoints; nothing runs but the database."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from cli.main import main
from database.accounts import Accounts
from database.engine import open_engine, reading
from database.migrations import migrate
from database.outbox import Delivery, Outbox
from database.tables import webhook_endpoints
from support.api_system import settings_in

KEYS = f"w1:{base64.b64encode(b'w' * 32).decode()}"
URL = "https://hooks.example.com/a-path?with=a-secret"


class Operator:
    """Runs commands on one database."""

    def __init__(self, folder: Path) -> None:
        self.settings = settings_in(folder, webhook_keys=KEYS)
        self._environ = {
            "GREENROOM_DATA_DIR": str(folder),
            "GREENROOM_WEBHOOK_KEYS": KEYS,
            "GREENROOM_WEBHOOK_HOSTS": "127.0.0.1",
        }

    def run(self, *words: str, **environ: str) -> Result:
        """A command's result."""
        return CliRunner().invoke(main, ["webhooks", *words], env=self._environ | environ)

    def ask(self, question: Callable[[Any], Awaitable[Any]]) -> Any:
        """What the database answers."""

        async def asked() -> Any:
            engine = open_engine(self.settings.database_address)
            try:
                return await question(engine)
            finally:
                await engine.dispose()

        return asyncio.run(asked())

    def add(self, *words: str) -> tuple[str, str]:
        """A new endpoint and its secret."""
        result = self.run("add", URL, *words)
        assert result.exit_code == 0, result.output
        endpoint_id, secret = result.output.split()
        return endpoint_id, secret


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """An operator of a database with one account."""
    one = Operator(tmp_path)
    asyncio.run(migrate(one.settings.database_address))
    one.ask(lambda engine: Accounts(engine).create("acct_1", "Ann"))
    return one


def test_an_endpoint_is_added_listed_and_removed(operator: Operator) -> None:
    """Its secret is shown once, lies sealed in the database, and is in no list; what is removed is not there."""
    endpoint_id, secret = operator.add("--events", "session.ended")
    assert endpoint_id.startswith("whep_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    listed = operator.run("list", "--account", "Ann").output
    assert endpoint_id in listed
    assert "session.ended" in listed
    assert secret not in listed

    async def rows(engine: Any) -> str:
        async with reading(engine) as connection:
            return str((await connection.execute(select(webhook_endpoints))).all())

    assert secret not in operator.ask(rows)
    assert secret.removeprefix("whsec_") not in operator.ask(rows)
    assert operator.run("remove", endpoint_id).exit_code == 0
    assert endpoint_id not in operator.run("list").output
    assert operator.run("remove", endpoint_id).exit_code == 2


def test_a_rotation_gives_a_new_secret(operator: Operator) -> None:
    """Of an endpoint that there is."""
    endpoint_id, secret = operator.add()
    rotated = operator.run("rotate", endpoint_id, "--both-for", "2h")
    assert rotated.exit_code == 0
    assert rotated.output.startswith("whsec_")
    assert rotated.output.strip() != secret
    assert operator.run("rotate", "whep_nobody").exit_code == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "http://10.0.0.1/hush"], "not on the public internet"),
        (["add", "http://localhost/hush"], "not on the public internet"),
        (["add", URL, "--events", "session.end"], "session.end"),
        (["add", URL, "--account", "Bob"], "no account Bob"),
        (["rotate", "whep_1", "--both-for", "soon"], "length of time"),
        (["redeliver"], "which event"),
        (["redeliver", "evt_1", "--since", "1h"], "which event"),
        (["redeliver", "evt_1"], "no such event"),
        (["redeliver", "--since", "1h", "--endpoint", "whep_nobody"], "not found"),
        (["test", "whep_nobody"], "not found"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(operator: Operator, words: list[str], says: str) -> None:
    """Exit code 2, no stack trace, and nothing of a URL's path."""
    result = operator.run(*words)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output
    assert "hush" not in result.output


def test_without_keys_there_is_no_secret(operator: Operator) -> None:
    """Nothing is sealed with nothing."""
    result = operator.run("add", URL, GREENROOM_WEBHOOK_KEYS="")
    assert result.exit_code == 2
    assert "GREENROOM_WEBHOOK_KEYS is not set" in result.output
    assert "Webhook endpoints: 0" in operator.run("list").output


def test_events_are_sent_again(operator: Operator) -> None:
    """By id or by time; a test that nobody delivers says so, and can be sent again when it was given up."""
    endpoint_id, _ = operator.add()
    tested = operator.run("test", endpoint_id, "--within", "1s")
    assert tested.exit_code == 1
    assert "sessions worker" in tested.output
    (delivery,) = operator.ask(lambda engine: Outbox(engine).pending())
    assert isinstance(delivery, Delivery)
    operator.ask(lambda engine: Outbox(engine).give_up(delivery, "WEBHOOK_NOT_DELIVERED"))
    again = operator.run("redeliver", delivery.event_id)
    assert (again.exit_code, again.output.strip()) == (0, "1 on its way again.")
    assert operator.run("redeliver", "--since", "1h").output.strip() == "0 on their way again."
    (second,) = operator.ask(lambda engine: Outbox(engine).pending())
    assert (second.event_id, second.round) == (delivery.event_id, 2)
