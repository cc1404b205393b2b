"""What child processes inherit of their parent's environment: what they need to run, and no key or password."""

from collections.abc import Mapping
from typing import Final

_INHERITED: Final = frozenset(
    {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "VIRTUAL_ENV", "SSL_CERT_FILE", "SSL_CERT_DIR", "GREENROOM_RUN"}
)
_INHERITED_PREFIXES: Final = ("LC_", "LD_LIBRARY_", "PYTHON", "XDG_", "CUDA_", "NVIDIA_", "GREENROOM_TEST_")


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The part of an environment that a child process gets."""
    return {k: v for k, v in environ.items() if k in _INHERITED or k.startswith(_INHERITED_PREFIXES)}
