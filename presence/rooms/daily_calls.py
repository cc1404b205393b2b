"""The native library of Daily, as an event loop can use it; calls nothing by itself but `Daily.init`, once."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

_MUTEX = threading.Lock()
_STARTED: set[str] = set()
_Happened = Callable[..., None]


class Happenings(Protocol):
    """What a room wants to hear of; always called by the event loop."""

    def on_state(self, state: str) -> None:
        """The call's state: `joining`, `joined`, `leaving`, `left`."""

    def on_error(self, message: str) -> None:
        """An error, of the whole call or of one request."""

    def on_network(self, status: Mapping[str, Any]) -> None:
        """The connection was interrupted, or is there again."""

    def on_present(self, participant: Mapping[str, Any]) -> None:
        """Somebody came, or is otherwise than before."""

    def on_absent(self, participant: Mapping[str, Any]) -> None:
        """Somebody left, or hides."""


def open_library(library: Any = None) -> Any:
    """The library, initialised: a second `Daily.init` would abort the process. ImportError where it is missing."""
    if library is None:
        import daily  # noqa: PLC0415 - an extra: most servers do not have it

        library = daily
    with _MUTEX:
        if library.__name__ not in _STARTED:
            _STARTED.add(library.__name__)
            library.Daily.init(log_level=library.LogLevel.Error)
    return library


def on_loop(loop: asyncio.AbstractEventLoop, happened: _Happened) -> _Happened:
    """`happened`, to be called by foreign threads, which must not wait: they hold the library meanwhile."""

    def tell(*values: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            loop.call_soon_threadsafe(happened, *values)

    return tell


async def completed(request: Callable[..., None], *values: Any, **named: Any) -> tuple[Any, ...]:
    """What a request of the call client is completed with. Who gives up waiting does not stop it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[Any, ...]] = loop.create_future()

    def complete(*result: Any) -> None:
        if not done.done():
            done.set_result(result)

    request(*values, **named, completion=on_loop(loop, complete))
    return await done


def listener(library: Any, loop: asyncio.AbstractEventLoop, told: Happenings) -> Any:
    """An event handler of the library that passes on what a room wants to hear of."""
    methods = {
        "on_call_state_updated": on_loop(loop, told.on_state),
        "on_error": on_loop(loop, told.on_error),
        "on_network_connection_status_updated": on_loop(loop, told.on_network),
        "on_participant_joined": on_loop(loop, told.on_present),
        "on_participant_updated": on_loop(loop, told.on_present),
        "on_participant_left": on_loop(loop, lambda participant, _reason=None: told.on_absent(participant)),
    }
    return type("Listener", (library.EventHandler,), {name: staticmethod(tell) for name, tell in methods.items()})()
