"""The commands that the documentation shows: whole blocks of a shell, and those in the midst of a sentence."""

import re
import shlex
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SHELL = ("sh", "console")
"""Languages of a block that is meant to be typed; of `console`, the lines that begin with `$ `."""
CODE = (*SHELL, "python", "sql", "toml")
"""Languages of a block that is to be used as it stands."""
PROGRAMS = ("greenroom", "make", "docker-compose", "docker", "temporal", "curl", "python", "python3")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page. `name` is the page and what it begins with, which a table can name it by."""

    page: str
    line: int
    language: str
    text: str

    @property
    def name(self) -> str:
        """Such as `api.md: curl -s -H ...`, at most 60 characters of the block's first line."""
        first = next((one for one in self.text.splitlines() if one.strip() and not one.startswith("#")), "")
        return f"{self.page}: {first.partition(' # ')[0].strip()[:60].strip()}"

    @property
    def lines(self) -> list[str]:
        """What is typed, a command a line, without remarks."""
        joined = self.text.replace("\\\n", " ")
        if self.language == "console":
            joined = "\n".join(line[2:] for line in joined.splitlines() if line.startswith("$ "))
        return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def pages() -> list[Path]:
    """Every page whose commands are for readers to type; decisions and reports tell of the past."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def blocks(page: str = "") -> list[Block]:
    """The fenced blocks of all pages, or of one, in their order."""
    found = []
    for path in pages():
        text = path.read_text()
        found += [
            Block(page=path.name, line=text.count("\n", 0, one.start()) + 1, language=one[1], text=one[2])
            for one in _FENCE.finditer(text)
            if page in ("", path.name)
        ]
    return found


def shell_blocks(page: str = "") -> list[Block]:
    """Those that are meant to be typed."""
    return [block for block in blocks(page) if block.language in SHELL]


def code_blocks() -> list[Block]:
    """Those that are meant to be used as they stand, of all pages."""
    return [block for block in blocks() if block.language in CODE]


def commands_in(page: str, section: str = "") -> list[list[str]]:
    """The words after `greenroom` of each line of a code block, of a page or of one of its sections."""
    text = (DOCS / page).read_text()
    if section:
        text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    typed = [line for block in _FENCE.finditer(text) if block[1] == "sh" for line in block[2].splitlines()]
    lines = [line for line in typed if line.startswith("greenroom ")]
    assert lines, f"{page} shows no command"
    return [shlex.split(line, comments=True)[1:] for line in lines]


def block_with(page: str, beginning: str) -> str:
    """The text of the one block of a page that begins so."""
    (found,) = [block.text for block in blocks(page) if block.text.startswith(beginning)]
    return found


def words_of(line: str, program: str) -> list[str]:
    """The words after a program's name in a line, wherever it stands; none where it is not called."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # a quotation that goes on in the next line: no command of ours is as long
        return []
    places = [at for at, word in enumerate(words) if word.rpartition("/")[2] == program]
    return words[places[0] + 1 :] if places else []


def said_inline(path: Path, program: str) -> list[list[str]]:
    """The words after a program's name in sentences, alternatives (`a|b`) spelt out, brackets taken away.

    On a page whose sentences go on with `... word`, that word follows the first word that was said last.
    """
    text = _FENCE.sub("", path.read_text())
    found, group = [], ""
    for one in re.findall(r"`([^`\n]+)`", text):
        words = one.replace("[", "").replace("]", "").replace("...", " ... ").split()
        if program == "greenroom" and words[:1] == ["..."] and group and re.fullmatch(r"[a-z-]+", " ".join(words[1:2])):
            words = [program, group, *words[1:]]
        if program not in words:
            continue
        words = words[words.index(program) :]
        group = words[1] if len(words) > 1 else ""
        found += [list(way) for way in product(*[word.split("|") for word in words[1:] if word != "..."])]
    return found


def links(path: Path) -> list[str]:
    """Where a page's links and pictures lead, addresses of other hosts left out."""
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", path.read_text()))
    return [one for one in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", one)]


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings make, as GitHub makes them."""
    text = _FENCE.sub("", path.read_text())
    heads = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", one) for one in re.findall(r"^#+ (.+)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in heads}
