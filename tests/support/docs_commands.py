"""The command lines that a page of the documentation shows, to be run as they stand."""

import shlex
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def commands_in(page: str, section: str = "") -> list[list[str]]:
    """The words after `greenroom` of each line of a code block, of a page or of one of its sections."""
    text = (DOCS / page).read_text()
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks = text.split("```")[1::2]
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("greenroom ")]
    assert lines, f"{page} shows no command"
    return [shlex.split(line, comments=True)[1:] for line in lines]
