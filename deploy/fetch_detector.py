"""Puts detector and built-in avatars into the image's cache; the rest of `greenroom setup` is not for images."""  # noqa: INP001

import os
import sys

from adapters.detector_file import detector_path, extract_detector, is_detector_ready
from cli.library.builtin import make_builtins
from runtime.cache import cache_folder
from runtime.external.detector import ensure_detector


def main() -> None:
    """Fill `$XDG_CACHE_HOME/greenroom` with what is not there yet; MissingPartError ends the build."""
    cache = cache_folder(os.environ)
    ensure_detector(
        detector_path(cache).parent,
        is_ready=lambda: is_detector_ready(cache),
        extract=lambda archive: extract_detector(archive, cache),
        environ=os.environ,
        tell=tell,
    )
    make_builtins(cache, tell=tell)


def tell(line: str) -> None:
    """Say what is going on."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
