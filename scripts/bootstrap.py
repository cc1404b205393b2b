"""Makes this checkout runnable: uv in the per-user cache, `.venv` from the lock file. Standard library only."""  # noqa: INP001

from __future__ import annotations  # so that an older Python gets as far as main's sentence

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
STAMP = VENV / ".greenroom-stamp"
LOCK = "requirements-dev.lock"
UV_LOCK = ROOT / "scripts" / "uv.lock"
COMPILE = (
    "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11", "--generate-hashes",
    "--no-emit-index-url", "--no-header", "--quiet",
)  # fmt: skip
OTHER_LOCKS = {"requirements.lock": "cpu", "requirements-gpu.lock": "gpu"}


def say(text: str) -> None:
    """Tell what takes a while."""
    print(f"greenroom: {text}", file=sys.stderr, flush=True)  # noqa: T201


def cache() -> Path:
    """The per-user cache; the same as `runtime.cache.cache_folder`, which cannot be imported yet."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "greenroom"  # noqa: PTH117


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Two bootstraps take turns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*command: str | Path, missing: str) -> None:
    """Run a program; where it fails, end with its own words and this sentence."""
    try:
        # Warnings of a virtual environment that is active in the shell would only confuse.
        environ = {key: value for key, value in os.environ.items() if key not in {"VIRTUAL_ENV", "PYTHONPATH"}}
        subprocess.run(command, check=True, cwd=ROOT, env=environ)  # noqa: S603
    except (subprocess.CalledProcessError, OSError) as error:
        raise SystemExit(f"greenroom: {missing} ({error})") from error


def uv() -> Path:
    """The pinned uv, made once per user and Python version from `scripts/uv.lock` with its hashes."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(UV_LOCK.read_bytes()).hexdigest()[:8]
    folder = cache() / "tools" / f"uv-{digest}-py{version}"
    if not (folder / "complete").exists():
        with locked(cache() / "tools" / ".lock"):
            if not (folder / "complete").exists():
                _make_uv(folder)
    return folder / "bin" / "uv"


def _make_uv(folder: Path) -> None:
    say("fetching uv (once per user)")
    shutil.rmtree(folder, ignore_errors=True)
    run(
        sys.executable, "-m", "venv", folder,
        missing="Python's venv and ensurepip are needed; on Debian and Ubuntu install the package python3-venv",
    )  # fmt: skip
    run(
        folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--require-hashes", "--requirement", UV_LOCK,
        missing="uv could not be fetched from the package index",
    )  # fmt: skip
    (folder / "complete").touch()


def wanted_stamp() -> str:
    """What `.venv` must have been made from."""
    digest = hashlib.sha256(f"{sys.executable} {sys.version}\n{ROOT}\n".encode())
    for name in (LOCK, "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def is_made(stamp: str) -> bool:
    """Whether `.venv` was made from that, and its Python still runs."""
    return STAMP.exists() and STAMP.read_text() == stamp and (VENV / "bin" / "python").exists()


def make_environment() -> None:
    """`.venv` with exactly what the lock file names, and this project as an editable package."""
    stamp = wanted_stamp()
    if is_made(stamp):
        return
    with locked(cache() / "tools" / f".venv-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]}.lock"):
        if is_made(stamp):
            return
        tool = uv()
        STAMP.unlink(missing_ok=True)
        say("making .venv from the lock file")
        run(
            tool, "venv", "--quiet", "--allow-existing" if _is_of_this_python() else "--clear",
            "--python", sys.executable, VENV,
            missing="the virtual environment .venv cannot be made; remove .venv and try again",
        )  # fmt: skip
        python = ("--python", str(VENV / "bin" / "python"))
        run(
            tool, "pip", "sync", "--quiet", "--require-hashes", *python, LOCK,
            missing="the packages of the lock file could not be fetched",
        )  # fmt: skip
        # After each sync: it removes what the lock file does not name, and so this project.
        run(
            tool, "pip", "install", "--quiet", *python, "--no-deps", "--no-build-isolation", "--editable", ".",
            missing="this project could not be installed into .venv",
        )  # fmt: skip
        STAMP.write_text(stamp)


def _is_of_this_python() -> bool:
    """Whether there is a .venv to go on with; another Python's is made anew."""
    version = f"version_info = {sys.version_info.major}.{sys.version_info.minor}."
    with contextlib.suppress(OSError):
        return version in (VENV / "pyvenv.cfg").read_text()
    return False


def make_locks() -> None:
    """The three lock files anew; the runtime ones hold nothing that the development one does not."""
    tool = uv()
    failed = "the lock files could not be made"
    run(tool, *COMPILE, "--extra", "cpu", "--extra", "dev", "--output-file", LOCK, missing=failed)
    for name, extra in OTHER_LOCKS.items():
        run(tool, *COMPILE, "--extra", extra, "--constraint", LOCK, "--output-file", name, missing=failed)


def main() -> None:
    """`bootstrap.py` makes .venv; `bootstrap.py lock` makes the lock files."""
    if sys.version_info < (3, 11):  # noqa: UP036 - it is here that an older Python is refused
        raise SystemExit(f"greenroom: Python 3.11 or later is needed; {sys.executable} is {sys.version.split()[0]}")
    if sys.argv[1:] == ["lock"]:
        make_locks()
    else:
        make_environment()


if __name__ == "__main__":
    main()
