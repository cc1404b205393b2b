"""A shell that is typed what a page shows, with what is this system's own in the place of the page's examples."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

ID = re.compile(r"\b(?:avat|sess|lnk)_[0-9A-Z]{26}\b")
OPAQUE = ".metadata"
"""A value whose form is the caller's own."""
CURL = "curl() { command curl -w '\\n%{stderr}%{http_code}\\n' \"$@\"; }"


@dataclass(frozen=True, kw_only=True)
class Said:
    """What came of a block: the JSON that was answered, the other lines, and the status of each call."""

    answers: list[Any]
    lines: list[str]
    statuses: list[int]


@dataclass(kw_only=True)
class PageShell:
    """One shell for a whole page: what a block sets, the next one has. `places`: text of the page, and ours."""

    process: asyncio.subprocess.Process
    places: dict[str, str] = field(default_factory=dict)

    @classmethod
    async def open(cls, folder: Path, environ: Mapping[str, str], places: dict[str, str]) -> Self:
        """A shell in a folder; close it."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "bash", "--norc", stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=dict(environ), limit=2**24
        )
        shell = cls(process=process, places=places)
        await shell.typed(CURL)
        return shell

    async def typed(self, text: str) -> Said:
        """What a block says, once all its calls have ended."""
        for shown, here in self.places.items():
            text = text.replace(shown, here)
        assert self.process.stdin is not None
        end = f"end-{uuid4().hex}"
        self.process.stdin.write(f"{text}\nprintf '\\n{end}\\n'; printf '\\n{end}\\n' >&2\n".encode())
        await self.process.stdin.drain()
        async with asyncio.timeout(90):
            said, told = await asyncio.gather(
                self._until(self.process.stdout, end), self._until(self.process.stderr, end)
            )
        assert all(re.fullmatch(r"\d{3}", line) for line in told), (text, told)
        return Said(
            answers=[json.loads(line) for line in said if line.startswith("{")],
            lines=[line for line in said if not line.startswith("{")],
            statuses=[int(line) for line in told],
        )

    async def _until(self, stream: asyncio.StreamReader | None, end: str) -> list[str]:
        assert stream is not None
        lines: list[str] = []
        while (line := (await stream.readline()).decode().strip()) != end:
            assert not stream.at_eof(), lines
            lines += [line] if line else []
        return lines

    def note(self, shown: Any, answered: Any) -> None:
        """From now on an id that the page shows is the one that was answered in its place."""
        if isinstance(shown, dict) and isinstance(answered, dict):
            for name in shown.keys() & answered.keys():
                self.note(shown[name], answered[name])
        elif isinstance(shown, list) and isinstance(answered, list):
            for one, other in zip(shown, answered, strict=False):
                self.note(one, other)
        elif isinstance(shown, str) and isinstance(answered, str) and ID.fullmatch(shown) and ID.fullmatch(answered):
            self.places[shown] = answered

    async def aclose(self) -> None:
        """End it, and whatever it began."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await self.process.wait()


def shown_json(text: str) -> list[Any]:
    """The values of a block of JSON as the pages show it: `...` stands for more, a member may stand without braces."""
    text = re.sub(
        r",\s*\.\.\.(?=\s*[{,\]])", lambda one: "," if text[one.end() :].lstrip().startswith("{") else "", text
    )
    if text.startswith('"'):
        text = f"{{{text}}}"
    values, rest = [], text.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        values.append(value)
        rest = rest[end:].strip()
    return values


def differences(shown: Any, answered: Any, where: str = "") -> list[str]:
    """Names that only one of both has, with their paths; of lists the first values are compared."""
    if isinstance(shown, dict) and isinstance(answered, dict) and not where.endswith(OPAQUE):
        if "..." in shown:  # "and so on"
            return [f"{where}.{name}" for name in shown.keys() - {"...", *answered}]
        both = [one for name in shown.keys() & answered.keys()
                for one in differences(shown[name], answered[name], f"{where}.{name}")]  # fmt: skip
        return [*both, *(f"{where}.{name}" for name in shown.keys() ^ answered.keys())]
    if isinstance(shown, list) and isinstance(answered, list) and shown and answered:
        return differences(shown[0], answered[0], where)
    return []
