"""Where the host of one model on this machine is found: names in a folder that nobody else can enter; opens nothing."""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Device = Literal["auto", "cpu", "cuda"]
REFUSED: Final = 3
"""The host's exit code where the model does not fit: the last line of its log says why."""
LONGEST = 100
"""Bytes of a socket's path: Linux takes 107, macOS 103."""


@dataclass(frozen=True, kw_only=True)
class HostAddress:
    """One model on one device has one host a machine and user, so that its sessions share batches."""

    model: Path
    device: Device
    folder: Path

    @property
    def socket(self) -> Path:
        """Where the host listens while it is ready."""
        return self._named("sock")

    @property
    def lock(self) -> Path:
        """A file that the host locks from its first moment to its last. It stays, so that nobody locks another one."""
        return self._named("lock")

    @property
    def log(self) -> Path:
        """What the host has to say."""
        return self._named("log")

    def _named(self, ending: str) -> Path:
        key = hashlib.sha256(f"{self.model}\0{self.device}".encode()).hexdigest()[:12]
        return self.folder / f"lipsync-{key}.{ending}"


def address_of(model: Path, device: Device = "auto", folder: Path | None = None) -> HostAddress:
    """The address for a model's file. Makes the folder if need be; ValueError if others can enter it.

    Without a folder it is one of this user's among the temporary files.
    """
    where = folder or Path(tempfile.gettempdir()) / f"greenroom-{os.getuid()}"
    address = HostAddress(model=model.resolve(), device=device, folder=where)
    if len(os.fsencode(address.socket)) > LONGEST:
        raise ValueError(f"the path of the folder {where} is too long for a socket in it")
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = where.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ValueError(f"{where} is not a folder that only this user can enter (mode 700)")
    return address
