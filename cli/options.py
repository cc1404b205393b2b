"""Kinds of values that several commands take. They know no feature."""

import re
from datetime import timedelta

import click

from domain.labels import parse_labels

SESSIONS_LEFT = 3
"""Exit code of a drain that left sessions behind."""
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Length(click.ParamType[timedelta]):
    """A length of time: a number and one of s, m, h, d."""

    name = "LENGTH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """The length, or click's error."""
        if isinstance(value, timedelta):
            return value
        parts = re.fullmatch(r"([0-9]{1,6})([smhd])", str(value))
        if parts is None:
            self.fail(f"{value!r} is no length of time: write 30s, 10m, 24h or 7d.", param, ctx)
        return timedelta(**{UNITS[parts[2]]: int(parts[1])})


class LabelsType(click.ParamType[dict[str, str]]):
    """Labels of avatar servers; `none` for none."""

    name = "LABELS"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """The labels, or click's error."""
        if isinstance(value, dict):
            return value
        try:
            return {} if value == "none" else parse_labels(str(value))
        except ValueError as error:
            self.fail(f"{value!r} are no labels: {error}.", param, ctx)
