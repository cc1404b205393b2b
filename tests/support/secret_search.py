"""Looks for secrets wherever a system writes: files, rows, histories; plain, URL-encoded and inside any base64."""

import base64
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from temporalio.client import Client

_HEAD = (0, 2, 3)
"""How many characters of base64 depend on what stands before, by the secret's place in a group of three bytes."""


def forms(secret: str) -> set[bytes]:
    """The secret as it may be written: as it is, URL-encoded, and what base64 makes of it at each of three places."""
    data = secret.encode()
    found = {data, quote(secret, safe="").encode()}
    for place, head in enumerate(_HEAD):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * place + data).rstrip(b"=")
            partial = (place + len(data)) % 3 != 0
            found.add(text[head : len(text) - partial])
    return found


def found_in(places: Mapping[str, bytes], secrets: Mapping[str, str]) -> dict[str, set[str]]:
    """Which secrets stand in which places, in whatever form: place -> names."""
    wanted = {name: forms(secret) for name, secret in secrets.items()}
    hits = {
        place: {name for name, shapes in wanted.items() if any(shape in content for shape in shapes)}
        for place, content in places.items()
    }
    return {place: names for place, names in hits.items() if names}


def files_below(folder: Path, *, but: Iterable[str] = ()) -> dict[str, bytes]:
    """The bytes of every file below a folder, by its path there."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in set(but))
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def rows_of(database: Path) -> bytes:
    """Every value of every row of a SQLite database: in the file itself a long one lies in pieces."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = (row for (table,) in tables for row in connection.execute(f'SELECT * FROM "{table}"'))  # noqa: S608
        return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)


async def histories_of(client: Client) -> dict[str, bytes]:
    """Each workflow's description and history as JSON, and below it everything in it that is base64, decoded."""
    found = {}
    async for listed in client.list_workflows():
        handle = client.get_workflow_handle(listed.id)
        history = json.loads((await handle.fetch_history()).to_json())
        about = str((await handle.describe()).raw_description)
        texts = [json.dumps(history), about]
        found[f"history of {listed.id}"] = b"\n".join([*(text.encode() for text in texts), *_decoded(history)])
    return found


def _decoded(value: Any) -> Iterator[bytes]:
    """What every text in a JSON value is as base64, where it is that."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from _decoded(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _decoded(inner)
    elif isinstance(value, str):
        try:
            yield base64.b64decode(value, validate=True)
        except ValueError:
            return
