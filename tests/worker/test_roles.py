"""Each process imports only what its role needs (design rule 24); seen in the modules of a fresh interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROLE = """
import sys
from importlib import import_module
import worker.__main__
from worker.registry import ROLES
role = ROLES[sys.argv[1]]
import_module(role.assembly)
role.workflow_types(), role.activity_types()
"""
API = """
import pkgutil, sys
from importlib import import_module
import api
from runtime.settings import Settings
for module in pkgutil.walk_packages(api.__path__, "api."):
    import_module(module.name)
KEY = "k1:" + "A" * 43 + "="
import_module("api.app").create_app(Settings(server_keys=KEY, sealing_keys=KEY), {}).openapi_schema.to_schema()
"""
TELL = "\nprint(*sorted({name.partition('.')[0] for name in sys.modules} | {'livekit.rtc'} & set(sys.modules)))\n"

MEDIA = {"PIL", "cv2", "insightface", "livekit.rtc", "numpy", "onnxruntime"}
S3 = {"aiobotocore", "botocore", "s3fs"}
"""Only for a store at an S3 address, and only when it is opened."""
FORBIDDEN = {
    "api": S3 | MEDIA | {"activities", "presence"},
    "sessions": S3 | MEDIA | {"api", "litestar", "presence"},
    "faces": S3 | {"api", "database", "litestar", "livekit.rtc", "presence", "sqlalchemy"},
    "avatar": S3 | MEDIA | {"api", "litestar", "workflows"},
}
NEEDED = {
    "api": {"litestar", "sqlalchemy", "workflows"},
    "sessions": {"sqlalchemy", "temporalio", "workflows"},
    "faces": {"cv2", "numpy", "temporalio"},
    "avatar": {"cryptography", "presence", "sqlalchemy", "temporalio"},
}


def imported(code: str, role: str) -> set[str]:
    """The packages that a fresh interpreter has after it ran the code."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code + TELL, role]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("role", FORBIDDEN)
def test_a_role_imports_only_what_it_needs(role: str) -> None:
    """Its assembly and steps are loaded, and none of the packages that belong to other roles."""
    found = imported(API if role == "api" else ROLE, role)
    assert NEEDED[role] <= found
    assert found & FORBIDDEN[role] == set()


def test_the_faces_role_loads_its_libraries_only_to_detect() -> None:
    """Those two take 2 s and 120 MB: they are loaded with the detector, not with the module."""
    assert imported(ROLE, "faces") & {"insightface", "onnxruntime"} == set()
