"""The documentation against the product: its commands exist, each block is run by a test, its links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from test_rooms import ROOMS

from cli.main import main
from support.docs_commands import (
    DOCS,
    PROGRAMS,
    ROOT,
    SHELL,
    Block,
    anchors,
    blocks,
    code_blocks,
    links,
    pages,
    said_inline,
    shell_blocks,
    words_of,
)
from worker.registry import ROLES

RUN_BY = {
    "README.md": "cli/test_demo.py",
    "accounts.md": "cli/test_docs.py::test_the_page_on_accounts",
    "api.md": "end_to_end/test_pages.py::test_the_page_on_the_api",
    "architecture.md: temporal workflow list": "end_to_end/test_pages.py::test_the_list_of_workflows",
    "clients.md: AGENTHUMAN_BASE_URL": "examples/test_pointing_clients.py::test_the_documented_command_does_the_same",
    "clients.md: AgentHumanApi.BASE_URL": "examples/test_pointing_clients.py::test_the_documented_lines_do_the_same",
    "clients.md: avatar._api": "examples/test_pointing_clients.py::test_the_documented_lines_do_the_same",
    "clients.md: from greenroom_client": "end_to_end/test_pages.py::test_a_client_is_generated",
    "clients.md: openapi-python-client": "end_to_end/test_pages.py::test_a_client_is_generated",
    "faces.md": "cli/test_faces.py::test_the_page_on_faces",
    "keys.md: greenroom secrets": "cli/test_secrets.py::test_the_page_on_keys",
    "keys.md: GREENROOM_PAYLOAD_KEYS": "cli/test_docs.py::test_settings_that_a_shell_makes",
    "keys.md: GREENROOM_CODEC_TOKEN": "api/test_codec_server.py::test_the_page_on_the_codec_server",
    "operations.md: make setup": "cli/test_dev.py",
    "operations.md: greenroom avatars": "cli/test_avatars.py::test_the_page_on_avatars",
    "operations.md: greenroom init": "cli/test_init.py::test_the_page_on_init",
    "operations.md: echo": "cli/test_docs.py::test_a_key_that_a_shell_makes",
    "operations.md: [profile.default]": "cli/test_docs.py::test_the_profile_of_temporal",
    "operations.md: CREATE ROLE": "database/test_avatar_role.py",
    "operations.md: greenroom plans": "cli/test_docs.py::test_the_page_on_accounts",
    "operators.md": "cli/test_verbs.py::test_every_line_of_the_page_on_verbs",
    "pictures.md": "cli/test_docs.py::test_settings_that_a_shell_makes",
    "upgrades.md: greenroom": "faults/test_upgrade.py::test_an_upgrade_under_sessions",
    "watching.md": "cli/test_docs.py::test_settings_that_a_shell_makes",
    "webhooks.md: greenroom": "cli/test_docs.py::test_the_page_on_webhooks",
    "webhooks.md: from standardwebhooks": "cli/test_docs.py::test_a_receiver_checks_as_shown",
}
"""Which test runs which block, by the beginning of the block's name. `make test` and `make setup` are run by CI itself;
`greenroom demo` and `greenroom dev`, which is what else stands in the blocks without a test's name, by these files."""

NOT_RUN = {
    "compose.md: python3 scripts/compose_env.py": "needs a container engine; test_compose.py and "
    "test_compose_services.py run the script, and every service's command line as compose would",
    "upgrades.md: docker-compose build": "needs a container engine; the page says that it was not tried",
}
"""Blocks that nobody runs, and why."""

PLACEHOLDER = re.compile(r"^[A-Z][A-Z_0-9]*$")


def test_every_block_is_run_by_a_test() -> None:
    """A block stands in the table, with a test that is there, or in the list of reasons; no line of either is stale."""
    names = [block.name for block in code_blocks()]
    told = [*RUN_BY, *NOT_RUN]
    assert [name for name in names if not any(name.startswith(one) for one in told)] == []
    assert [one for one in told if not any(name.startswith(one) for name in names)] == []
    for block, test in RUN_BY.items():
        file, _, name = test.partition("::")
        source = (ROOT / "tests" / file).read_text()
        assert not name or (f"def {name}(" in source and block.partition(":")[0] in source), test


def test_what_can_be_typed_is_marked_as_such() -> None:
    """A block that begins a line with one of our programs says `sh`; only then is it looked at here."""
    wrong = [
        f"{block.page}:{block.line}"
        for block in blocks()
        if block.language not in (*SHELL, "text", "python")
        if any(line.split(" ")[0] in PROGRAMS for line in block.text.splitlines())
    ]
    assert wrong == []


def found_in_blocks(program: str) -> Iterator[tuple[str, list[str]]]:
    """Where a program is called in a block, and with what."""
    for block in shell_blocks():
        for line in block.lines:
            if words := words_of(line, program):
                yield f"{block.page}:{block.line}", words


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words lead to, and what is left of them."""
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group) and rest and not PLACEHOLDER.match(rest[0]):
        if rest[0].startswith("-"):
            break
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, f"no command {' '.join(words)}"
        command, rest = found, rest[1:]
    return command, rest


def options_of(command: click.Command) -> set[str]:
    """Every spelling of its options."""
    parameters = command.get_params(click.Context(command))
    return {name for one in parameters for name in (*one.opts, *one.secondary_opts)}


@pytest.mark.parametrize(("where", "words"), list(found_in_blocks("greenroom")), ids=lambda one: str(one)[:60])
def test_a_command_of_a_block_parses(where: str, words: list[str]) -> None:
    """It exists, its options exist and have values of their kind, and its arguments are as many as it takes."""
    command, rest = command_of(words)
    assert not isinstance(command, click.Group), where
    context = click.Context(command)
    given, left, _ = command.make_parser(context).parse_args(rest)
    assert left == [], where
    for parameter in command.get_params(context):
        value = given.get(parameter.name or "")
        assert not parameter.required or value, (where, parameter.name)
        if isinstance(value, str) and not PLACEHOLDER.match(value) and not isinstance(parameter.type, click.Path):
            parameter.type.convert(value, parameter, context)


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.name))
def test_a_command_of_a_sentence_is_there(path: Path) -> None:
    """So are its options; arguments may be left out in a sentence, but not be more than it takes."""
    for words in said_inline(path, "greenroom"):
        command, rest = command_of(words)
        options = [word for word in rest if word.startswith("--")]
        assert set(options) <= options_of(command), words
        arguments = [one for one in command.params if isinstance(one, click.Argument)]
        before = rest[: rest.index(options[0])] if options else rest
        assert any(one.nargs == -1 for one in arguments) or len(before) <= len(arguments), words


def test_every_verb_of_make_is_there() -> None:
    """In blocks and in sentences, with nothing but variables behind it."""
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    said = [words for path in pages() for words in said_inline(path, "make")]
    said += [words for _, words in found_in_blocks("make")]
    assert len(said) > 20
    assert [words for words in said if words and words[0] not in verbs and "=" not in words[0]] == []


def test_services_of_compose_are_there() -> None:
    """Whom `docker-compose run`, `exec` or `up` names stands in the file."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    said = [words for path in pages() for words in said_inline(path, "docker-compose")]
    said += [words for _, words in found_in_blocks("docker-compose")]
    named = [named_service(words) for words in said if words[:1] in (["run"], ["exec"], ["up"])]
    assert len(named) > 4
    assert {one for one in named if one} <= set(services)


def named_service(words: list[str]) -> str:
    """The first word behind the verb that is no option, nor an option's value; empty if there is none."""
    rest = iter(words[1:])
    for word in rest:
        if word == "--scale":
            next(rest)
        elif not word.startswith("-"):
            return word
    return ""


LINKED = [*pages(), ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*/*.md"))]


@pytest.mark.parametrize("path", LINKED, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Each names a file that is there, and a heading of it where it says one."""
    for link in links(path):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), link


def test_the_picture_of_the_rooms_is_whole() -> None:
    """architecture.md has every room in its picture, and every workflow and role in its tables."""
    page = (DOCS / "architecture.md").read_text()
    picture = page.partition("```\n")[2].partition("```")[0]
    assert set(re.findall(r"(\w+)/", picture)) == set(ROOMS)
    workflows = {
        name for path in (ROOT / "workflows").glob("*.py")
        for name in re.findall(r"@workflow.defn\nclass (\w+)", path.read_text())
    }  # fmt: skip
    assert set(re.findall(r"`(\w+Workflow)`", page)) == workflows
    assert {f"| {role} worker |" in page or f"| {role} server |" in page for role in ROLES} == {True}


def test_blocks_are_found() -> None:
    """The pages are read as a reader sees them: as many blocks as there are fences, none within another."""
    fences = sum(line.startswith("```") for path in pages() for line in path.read_text().splitlines())
    assert len(blocks()) * 2 == fences
    assert Block(page="a.md", line=1, language="console", text="$ greenroom dev\nsaid\n").lines == ["greenroom dev"]
