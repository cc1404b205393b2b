"""What one media process may take of its machine: memory, which its parent watches, and open files; it kills nobody."""

import contextlib
import os
import resource
from dataclasses import dataclass
from pathlib import Path

OPEN_FILES_ARGUMENT = "--open-files"


@dataclass(frozen=True, kw_only=True)
class ProcessLimits:
    """Limits of each media process."""

    memory_mb: int = 1024
    """Resident memory, 0 for no limit. A session takes about 200. Looked at each second, where there is /proc.

    The kernel's own limits do not serve: native libraries reserve gigabytes of address space that they never use.
    """
    open_files: int = 4096
    """A session takes about 60; the usual limit of 1024 is the shell's, not the machine's."""


def resident_mb(pid: int) -> float:
    """Megabytes of memory that a process occupies; 0 where that cannot be told, or the process is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def limit_open_files(most: int) -> None:
    """Allow this process so many open files, or as many as the machine lets it have, and never more from now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(OSError, ValueError):  # macOS has a further limit of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))


def raise_open_files() -> None:
    """Let this process open as many files as the machine lets it have: a server holds three for each session."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
