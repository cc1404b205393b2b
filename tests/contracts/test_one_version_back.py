"""Steps between processes of one version before and after: what either sends, the other reads.

Faces workers and avatar servers have no version: while an upgrade is under way, they do steps of workflows that are one
version older or newer. `shapes/` holds what the version before says and reads; it is renewed with each release.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts import queues
from contracts.converter import data_converter
from contracts.steps import Step
from support.samples import sample
from workflows.step_options import LEASED, OPTIONS

SHAPES = Path(__file__).parent / "shapes"
RENEW = "GREENROOM_TEST_RENEW_SHAPES"
REMOTE = [step for step, options in OPTIONS.items() if options.queue in (LEASED, queues.FACES)]
TYPES = [(step, side) for step in REMOTE for side in ("takes", "gives")]

Shape = dict[str, Any]


def shape(of: type) -> Shape:
    """How a type looks on the wire: the fields of each struct in it, and a value with every field."""
    _, structs = msgspec.json.schema_components([of], ref_template="{name}")
    return {"structs": structs, "sample": msgspec.to_builtins(sample(of))}


def committed(step: Step[Any, Any], side: str) -> Shape:
    """What the version before had."""
    found: Shape = json.loads((SHAPES / f"{step.name}.json").read_text())[side]
    return found


def breaches(before: Shape, now: Shape) -> Iterator[str]:
    """Why the version before would not understand this one: what it needs is gone, or is something else."""
    for name, struct in before["structs"].items():
        fields = struct.get("properties", {})
        today = now["structs"].get(name, {})
        if "enum" in struct and struct["enum"] != today.get("enum"):
            yield f"{name} has other values"
        for field in struct.get("required", ()):
            if field not in today.get("properties", {}):
                yield f"{name}.{field} is gone, and the version before needs it"
        for field, kind in today.get("properties", {}).items():
            if field in fields and _bare(fields[field]) != _bare(kind):
                yield f"{name}.{field} is of another type"


def _bare(kind: Any) -> Any:
    """A type without its words and defaults."""
    if isinstance(kind, dict):
        return {key: _bare(value) for key, value in kind.items() if key not in ("description", "title", "default")}
    return kind


async def read(value: Any, of: type) -> Any:
    """Through the converter, as between two processes."""
    return (await data_converter.decode(await data_converter.encode([value]), [of]))[0]


def without(of: Any, field: str) -> type:
    """The same struct from before it had a field."""
    fields = [(one.name, one.type, one.default) for one in msgspec.structs.fields(of) if one.name != field]
    defined = [
        (name, kind) if default is msgspec.NODEFAULT else (name, kind, default) for name, kind, default in fields
    ]
    return msgspec.defstruct(of.__name__, defined, frozen=True, kw_only=True)


def newest(of: type) -> list[str]:
    """The fields that a version may not have known: those with a default."""
    return [one.name for one in msgspec.structs.fields(of) if not one.required]


@pytest.mark.parametrize("step", REMOTE, ids=lambda step: step.name)
def test_the_version_before_is_committed(step: Step[Any, Any]) -> None:
    """Each step that another process does has its shape; a step that is new is added by the renewal."""
    path = SHAPES / f"{step.name}.json"
    if os.environ.get(RENEW):
        path.write_text(json.dumps({"takes": shape(step.takes), "gives": shape(step.gives)}, indent=1) + "\n")
    assert path.is_file(), f"run these tests with {RENEW}=1"


@pytest.mark.parametrize(("step", "side"), TYPES, ids=lambda value: value if isinstance(value, str) else value.name)
async def test_what_the_version_before_sends_is_read(step: Step[Any, Any], side: str) -> None:
    """An older workflow's input reaches a newer avatar server, and an older server's result a newer workflow."""
    await read(committed(step, side)["sample"], getattr(step, side))


@pytest.mark.parametrize(("step", "side"), TYPES, ids=lambda value: value if isinstance(value, str) else value.name)
def test_the_version_before_reads_what_is_sent(step: Step[Any, Any], side: str) -> None:
    """A newer workflow's input reaches an older avatar server, and a newer server's result an older workflow."""
    assert list(breaches(committed(step, side), shape(getattr(step, side)))) == []


@pytest.mark.parametrize(
    ("of", "field"),
    [(of, field) for of in dict.fromkeys(getattr(step, side) for step, side in TYPES) for field in newest(of)],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
async def test_a_field_that_only_one_side_knows(of: Any, field: str) -> None:
    """Unknown to an older reader it is skipped; missing from an older writer it is its default."""
    older, whole = without(of, field), sample(of)
    seen = await read(whole, older)
    assert msgspec.structs.asdict(seen).keys() == msgspec.structs.asdict(whole).keys() - {field}
    again = await read(seen, of)
    default = next(one for one in msgspec.structs.fields(of) if one.name == field)
    assert getattr(again, field) == (
        default.default if default.default is not msgspec.NODEFAULT else default.default_factory()
    )


class Before(msgspec.Struct, frozen=True, kw_only=True):
    """As the version before had it."""

    name: str
    size: int = 0


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([("name", str), ("size", int, 0), ("new", str, "")], []),
        ([("name", str)], []),
        ([("size", int, 0)], ["Before.name is gone, and the version before needs it"]),
        ([("name", str), ("size", str, "")], ["Before.size is of another type"]),
    ],
    ids=["a new field", "a field that nobody needs is gone", "one that is needed is gone", "another type"],
)
def test_a_breach_is_found(fields: list[Any], found: list[str]) -> None:
    """A comparison that could not fail would prove nothing."""
    after = msgspec.defstruct("Before", fields, frozen=True, kw_only=True)
    assert list(breaches(shape(Before), shape(after))) == found


async def test_a_new_field_without_a_default_is_found() -> None:
    """The version before does not send it."""
    after = msgspec.defstruct("Before", [("name", str), ("new", str)], frozen=True, kw_only=True)
    with pytest.raises((msgspec.ValidationError, RuntimeError)):
        await read(shape(Before)["sample"], after)
