"""How much memory a process takes at most, from a moment on. Linux only."""

from pathlib import Path


class Peak:
    """The growth of a process's resident memory since this was made."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        # proc(5): 5 sets the highest resident size back to the present one.
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        self._before = self._read("VmRSS:")

    def grown_mb(self) -> float:
        """Megabytes between the highest size since then and the size then."""
        return (self._read("VmHWM:") - self._before) / 1024

    def _read(self, name: str) -> int:
        return int(self._status.read_text().partition(name)[2].split()[0])
