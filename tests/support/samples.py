"""A value of any wire type, with every field filled: what the version that has this type may send."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import inspect

SIMPLE: dict[type[inspect.Type], Any] = {
    inspect.StrType: "text",
    inspect.IntType: 1,
    inspect.FloatType: 1.5,
    inspect.BoolType: True,
    inspect.BytesType: b"bytes",
    inspect.NoneType: None,
    inspect.AnyType: {"any": "thing"},
    inspect.DateTimeType: datetime(2026, 11, 1, tzinfo=UTC),
    inspect.TimeDeltaType: timedelta(seconds=3),
}


def sample(of: Any) -> Any:
    """A value of a type."""
    return _made(inspect.type_info(of))


def _made(kind: Any) -> Any:
    make = COMPOSED.get(type(kind))
    return make(kind) if make else SIMPLE[type(kind)]


COMPOSED: dict[type[inspect.Type], Callable[[Any], Any]] = {
    inspect.StructType: lambda kind: kind.cls(**{field.name: _made(field.type) for field in kind.fields}),
    inspect.UnionType: lambda kind: _made(next(one for one in kind.types if not isinstance(one, inspect.NoneType))),
    inspect.EnumType: lambda kind: next(iter(kind.cls)),
    inspect.LiteralType: lambda kind: kind.values[0],
    inspect.DictType: lambda kind: {_made(kind.key_type): _made(kind.value_type)},
    inspect.VarTupleType: lambda kind: (_made(kind.item_type),),
    inspect.TupleType: lambda kind: tuple(_made(one) for one in kind.item_types),
    inspect.ListType: lambda kind: [_made(kind.item_type)],
}
