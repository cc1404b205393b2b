"""Points AgentHuman's two public clients at a server of your own. Python runs this file at its start, if it finds it.

    AGENTHUMAN_BASE_URL=http://127.0.0.1:8080/v1 PYTHONPATH=examples/point_clients_here python my_agent.py

Without the variable nothing is changed. The clients' files stay as they are: their classes are changed as they are
imported.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

VARIABLE = "AGENTHUMAN_BASE_URL"


def point(module: ModuleType, base_url: str) -> None:
    """Change the client's class, if the module has one of the two."""
    pipecats = vars(module).get("AgentHumanApi")
    if isinstance(pipecats, type) and hasattr(pipecats, "BASE_URL"):
        pipecats.BASE_URL = base_url  # one address for all of them
    livekits = vars(module).get("AgentHumanAPI")
    if isinstance(livekits, type) and not hasattr(livekits, "pointed_at"):
        livekits.pointed_at = base_url  # type: ignore[attr-defined]
        livekits.__init__ = _pointing(livekits.__init__, base_url)  # type: ignore[method-assign]


def _pointing(original: Any, base_url: str) -> Any:
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes one
        original(self, *args, **kwargs)
        self._api_url = base_url  # set by the original, for each object

    return __init__


class Pointing(importlib.abc.MetaPathFinder):
    """Finds what others find, and lets modules of the clients be changed once they have run."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A module with the service's name in its own; every other is left to the others."""
        if "agenthuman" not in name.lower():
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                _run_then(spec.loader, lambda module: point(module, self._base_url))
                return spec
        return None


def _run_then(loader: Any, then: Any) -> None:
    original = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        original(module)
        then(module)

    loader.exec_module = exec_module


if base_url := os.environ.get(VARIABLE, "").rstrip("/"):
    sys.meta_path.insert(0, Pointing(base_url))
