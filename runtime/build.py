"""Which version of the workflows this checkout or image is; it asks no server and no version control."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from temporalio.common import WorkerDeploymentVersion

from runtime.settings import Settings

ROOT = Path(__file__).parents[1]
ROOMS = ("contracts", "domain", "workflows")
"""All that a workflow's order of steps can hang on: these run in the sandbox or pass through it, nothing else does."""
LETTERS = 12


def worker_version(settings: Settings) -> WorkerDeploymentVersion:
    """The version under which this process's workflows are known to Temporal."""
    return WorkerDeploymentVersion(settings.deployment, settings.build_id or source_build_id())


@cache
def source_build_id(root: Path = ROOT) -> str:
    """Digest of the source that workflows are made of: the same in every checkout and image of the same code.

    A release whose workflows did not change is no new version: its workers go on with the running sessions. A commit's
    id would be a new one each time, and is in no image.
    """
    digest = sha256()
    for path in sorted(path for room in ROOMS for path in (root / room).rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(sha256(path.read_bytes().replace(b"\r\n", b"\n")).digest())
    return digest.hexdigest()[:LETTERS]
