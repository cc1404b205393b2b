"""Looks for secrets wherever a system writes, in every form that something might give them; it knows no secret itself.

A place is a name and its bytes. What a place holds packed (base64 in JSON, archives) is unpacked and searched as well.
"""

import base64
import binascii
import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from support.processes import marked

_HEAD = (0, 2, 3)
"""How many characters of base64 depend on what stands before, by the secret's place in a group of three bytes."""
_HALF = 24
"""Characters: so much of one end of a long secret is found as well, for what was cut or split."""
_DEPTH = 4
"""How often a text may be base64 of base64."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")


def forms(secret: str | bytes) -> set[bytes]:
    """The secret as it may be written: as it is, escaped for JSON or Python, URL-encoded, in hex, and inside base64.

    Base64 is what comes of it at each of three places, in both alphabets. Of a long secret either end is enough.
    """
    data = secret if isinstance(secret, bytes) else secret.encode()
    found = {data, data.hex().encode(), data.hex().upper().encode()}
    for place, head in enumerate(_HEAD):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            encoded = encode(b"\0" * place + data).rstrip(b"=")
            partial = (place + len(data)) % 3 != 0
            found.add(encoded[head : len(encoded) - partial])
    if isinstance(secret, str):
        found |= {one.encode() for one in _escaped(secret)}
    return found


def ends(secret: str) -> set[bytes]:
    """Either end of a long secret, as it is; none of a token, whose beginning says only how it is signed."""
    if len(secret) < 2 * _HALF or secret.startswith("eyJ"):
        return set()
    return {secret[:_HALF].encode(), secret[-_HALF:].encode()}


def _escaped(secret: str) -> Iterator[str]:
    for strict in (True, False):
        escaped = json.dumps(secret, ensure_ascii=strict)[1:-1]
        yield from (escaped, escaped.replace("/", "\\/"), json.dumps(escaped)[1:-1])
        yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", escaped)  # as Go writes it
    yield repr(secret)[1:-1]
    for quoted in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield from (quoted, re.sub("%..", lambda found: found[0].lower(), quoted))


def found_in(places: Mapping[str, bytes], secrets: Mapping[str, str | bytes]) -> dict[str, set[str]]:
    """Which secrets stand in which places, in whatever form: place -> names."""
    wanted = {
        name: forms(secret) | (ends(secret) if isinstance(secret, str) else set()) for name, secret in secrets.items()
    }
    hits = {}
    for place, content in places.items():
        whole = b"\n".join([content, *unpacked(content)])
        hits[place] = {name for name, shapes in wanted.items() if any(shape in whole for shape in shapes)}
    return {place: names for place, names in hits.items() if names}


def unpacked(content: bytes) -> Iterator[bytes]:
    """The members of a ZIP archive."""
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                yield member.filename.encode() + b"\n" + archive.read(member)


def files_below(folder: Path, *, but: Iterable[str] = ()) -> dict[str, bytes]:
    """The name and bytes of every file below a folder, by its path there."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name not in set(but))
    return {
        name: name.encode() + b"\n" + path.read_bytes() for path in paths if (name := str(path.relative_to(folder)))
    }


def rows_of(database: Path) -> bytes:
    """Every value of every row of a SQLite database: in the file itself a long one lies in pieces."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = (row for (table,) in tables for row in connection.execute(f'SELECT * FROM "{table}"'))  # noqa: S608
        return b"\n".join(map(_bytes, (value for row in rows for value in row)))


async def tables_of(engine: AsyncEngine) -> dict[str, bytes]:
    """Every value of every row of a database, by table: what a dump of it would hold."""
    found = {}
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda one: inspect(one).get_table_names())
        for name in names:
            rows = await connection.execute(text(f'SELECT * FROM "{name}"'))  # noqa: S608
            found[f"table {name}"] = b"\n".join(_bytes(value) for row in rows for value in row)
    return found


async def histories_of(client: Client) -> dict[str, bytes]:
    """All that Temporal tells of each run of a workflow, and of schedules, as JSON, and below it what is base64 in it.

    Its history; its description (pending steps with heartbeats and failures, user metadata); its row in the list.
    """
    found: dict[str, bytes] = {}
    async for listed in client.list_workflows():
        handle = client.get_workflow_handle(listed.id, run_id=listed.run_id)
        told = {
            "history": json.loads((await handle.fetch_history()).to_json()),
            "description": MessageToDict((await handle.describe()).raw_description),
            "listing": MessageToDict(listed.raw_info),
        }
        for what, value in told.items():
            place = f"{what} of {listed.id}"
            found[place] = found.get(place, b"") + told_in(value)
    async for schedule in await client.list_schedules():
        described = await client.get_schedule_handle(schedule.id).describe()
        found[f"schedule {schedule.id}"] = told_in(described.raw_description)
    return found


def told_in(value: Any) -> bytes:
    """A JSON value, or a message, as text, and every base64 in it decoded, that in those again."""
    if isinstance(value, Message):
        value = MessageToDict(value)
    whole = json.dumps(value).encode()
    return b"\n".join([whole, *_decoded(whole, _DEPTH)])


def _decoded(content: bytes, depth: int) -> Iterator[bytes]:
    if not depth:
        return
    for found in _BASE64.findall(content):
        try:
            inner = base64.b64decode(found.replace(b"-", b"+").replace(b"_", b"/"), validate=True)
        except binascii.Error:
            continue
        yield inner
        yield from _decoded(inner, depth - 1)


def processes_of(run: str) -> dict[str, tuple[bytes, bytes]]:
    """The command line and the environment of each process of a run, by its number and command."""
    found = {}
    for one in marked(run):
        try:
            folder = Path(f"/proc/{one.pid}")
            found[f"{one.pid} {one.command}"] = ((folder / "cmdline").read_bytes(), (folder / "environ").read_bytes())
        except OSError:
            continue  # it ended while we looked
    return found


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
