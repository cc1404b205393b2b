"""Every command line that the pages on accounts and on operators' verbs show does what it is shown for."""

import asyncio
from pathlib import Path

from click.testing import CliRunner

from cli.main import main
from database.migrations import migrate
from support.databases import sqlite_url
from support.docs_commands import commands_in


def test_the_page_on_accounts(tmp_path: Path) -> None:
    """Its lines run one after the other on a fresh database, and those on freezing and on labels after them."""
    url = sqlite_url(tmp_path / "greenroom.db")
    asyncio.run(migrate(url))
    freezing = [words for words in commands_in("operations.md", "Operators' verbs") if words[0] == "admissions"]
    labels = commands_in("operations.md", "Labels")
    for words in [*commands_in("accounts.md"), *freezing, *labels]:
        said = CliRunner().invoke(main, words, env={"GREENROOM_DATABASE_URL": url})
        assert said.exit_code == 0, (words, said.output)
