"""docker-compose 1.29 as Debian has it, and the compose file as it reads it; needs no engine and starts nothing."""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import yaml

from runtime.cache import cache_folder, locked
from support.real_parts import missing

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "scripts" / "compose.lock"
FILE = ROOT / "docker-compose.yml"
WANTED = "1.29."

Service = dict[str, Any]


def docker_compose() -> Path:
    """The one on PATH where it is of 1.29, else one of our own, made once per user from `scripts/compose.lock`.

    Skips the test where none can be had; with CI=true that is a failure.
    """
    found = shutil.which("docker-compose")
    if found and f"version {WANTED}" in _said(found, "--version"):
        return Path(found)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:8]
    folder = cache_folder(os.environ) / "tools" / f"docker-compose-{digest}-py{python}"
    with locked(folder):
        if not (folder / "complete").exists():
            _make(folder)
            (folder / "complete").touch()
    return folder / "env" / "bin" / "docker-compose"


def _make(folder: Path) -> None:
    """A virtual environment of its own; what it has to build is built with what the lock file names, too."""
    try:
        uv = script("bootstrap").uv()
        environment = folder / "env"
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment)
        python = environment / "bin" / "python"
        locks = ("--require-hashes", "--build-constraints", LOCK, LOCK)
        _run(uv, "pip", "sync", "--quiet", "--python", python, *locks)
    except (OSError, subprocess.CalledProcessError, SystemExit) as error:
        _unavailable(f"{error}")


def _unavailable(reason: str) -> NoReturn:
    missing(f"no docker-compose {WANTED}x: {reason}")


def script(name: str) -> ModuleType:
    """One of the programs in `scripts`, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(*command: str | Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    subprocess.run(command, check=True, env=environ)


def _said(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout


def config(*files: Path, project: Path, environ: dict[str, str] | None = None) -> dict[str, Any]:
    """What docker-compose makes of the files, with the `.env` in `project` where there is one; all paths are absolute.

    AssertionError with its own words where it refuses them.
    """
    named = [word for file in files or (FILE,) for word in ("--file", str(file))]
    ended = subprocess.run(
        [docker_compose(), *named, "--project-directory", str(project), "config"],
        cwd=project,
        env={"PATH": os.defpath, "HOME": str(project), **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    # Its output could be read as a compose file again, so a dollar is written twice.
    read = yaml.safe_load(re.sub(r"\$\$", "$", ended.stdout))
    assert isinstance(read, dict)
    return read


def services(*files: Path, project: Path, environ: dict[str, str] | None = None) -> dict[str, Service]:
    """The services of `config`, by name."""
    found: dict[str, Service] = config(*files, project=project, environ=environ)["services"]
    return found


def environment(service: Service) -> dict[str, str]:
    """A service's variables."""
    return {name: str(value) for name, value in service.get("environment", {}).items()}


def write_env(project: Path, **settings: str) -> dict[str, str]:
    """`.env` and `secrets/` in a project folder as an operator makes them, with some settings; what stands there."""
    path = project / ".env"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    subprocess.run([sys.executable, ROOT / "scripts" / "compose_env.py", path], check=True, capture_output=True)
    module = script("compose_env")
    secrets: dict[str, str] = module.read_secrets(project / "secrets")
    return {**module.read(path), **{name.upper(): value for name, value in secrets.items()}}
