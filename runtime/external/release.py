"""One file out of a published release archive, checked against the checksums beside it; an unlisted file is refused."""

import hashlib
import platform
import sys
import tarfile
import time
from pathlib import Path

import httpx

from runtime.external.found import Tell

CHUNK = 1 << 16
SILENCE_S = 20.0
"""A server that sends nothing for so long is given up."""

TOTAL_S = 600.0
"""A download that takes longer is given up."""

MOST_BYTES = 300 << 20
"""A release archive is some tens of megabytes; more is not what we asked for."""

MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "armv7"}


class ReleaseError(Exception):
    """The release could not be fetched or is not what its checksums say; the message says which."""


def archive_name(project: str, version: str) -> str | None:
    """This platform's archive as the project names it, `livekit_1.13.5_linux_amd64.tar.gz`; None if none is made."""
    machine = MACHINES.get(platform.machine().lower())
    return f"{project}_{version}_linux_{machine}.tar.gz" if sys.platform == "linux" and machine else None


def fetch_from_release(base: str, archive: str, member: str, folder: Path, *, tell: Tell) -> Path:
    """Fetch `base/archive`, check it against `base/checksums.txt`, unpack `member` into `folder`."""
    try:
        with httpx.Client(follow_redirects=True, timeout=httpx.Timeout(SILENCE_S)) as client:
            expected = _checksum(client, f"{base}/checksums.txt", archive)
            fetched = folder / archive
            digest = _download(client, f"{base}/{archive}", fetched, tell)
    except httpx.HTTPStatusError as error:
        raise ReleaseError(f"{error.request.url} answered {error.response.status_code}") from error
    except httpx.TimeoutException as error:
        raise ReleaseError(f"{base} was silent for {SILENCE_S:.0f} s") from error
    except httpx.HTTPError as error:
        raise ReleaseError(f"{base} cannot be reached: {error}") from error
    if digest != expected:
        raise ReleaseError(f"{archive} does not have the checksum that its release publishes")
    return _unpack(fetched, member, folder)


def _checksum(client: httpx.Client, url: str, archive: str) -> str:
    answer = client.get(url)
    answer.raise_for_status()
    for line in answer.text.splitlines():
        digest, _, name = line.strip().partition(" ")
        if name.strip().lstrip("*") == archive:
            return digest.lower()
    raise ReleaseError(f"{archive} is not in {url}")


def _download(client: httpx.Client, url: str, target: Path, tell: Tell) -> str:
    """Write the body to `target`; its SHA-256 in hex."""
    digest = hashlib.sha256()
    deadline = time.monotonic() + TOTAL_S
    size = 0
    with client.stream("GET", url) as answer, target.open("wb") as file:
        answer.raise_for_status()
        for chunk in answer.iter_bytes(CHUNK):
            size += len(chunk)
            if size > MOST_BYTES or time.monotonic() > deadline:
                raise ReleaseError(f"{url} is too large or too slow: {size >> 20} MB so far")
            digest.update(chunk)
            file.write(chunk)
            tell(f"downloading {target.name}: {size >> 20} MB")
    return digest.hexdigest()


def _unpack(archive: Path, member: str, folder: Path) -> Path:
    try:
        with tarfile.open(archive) as tar:
            tar.extract(member, folder, filter="data")
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise ReleaseError(f"{archive.name} holds no {member}: {error}") from error
    return folder / member
