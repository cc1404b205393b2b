"""Renderers by name: this project's own, and what other packages bring by the entry point `greenroom.renderers`."""

from importlib.metadata import entry_points

from presence.renderers.base import Renderer

GROUP = "greenroom.renderers"


class UnknownRenderer(Exception):
    """No installed package has a renderer of this name; the message says which there are."""


def find_renderer(name: str) -> Renderer:
    """A new renderer. Looking through the installed packages takes some milliseconds, and imports only the one.

    A plug-in needs no import from here: it is any object that its entry point makes when called without arguments, and
    that keeps the protocol of `presence.renderers.base`.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        raise UnknownRenderer(f"there is no renderer {name!r}; installed are: {', '.join(sorted(found)) or 'none'}")
    renderer: Renderer = found[name].load()()
    return renderer
