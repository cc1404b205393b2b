"""What each running process has loaded after a full upload, create and end (design rule 24)."""

from pathlib import Path

import pytest

from support import pictures
from support.real_system import RealSystem

PICTURE_LIBRARIES = ("onnxruntime", "cv2", "PIL")
MEDIA_LIBRARIES = ("livekit",)
S3_LIBRARIES = ("wrapt",)
"""The one of them with compiled code that nothing else needs; the system's objects lie in a folder."""
UNWANTED = {
    "api": (*PICTURE_LIBRARIES, *MEDIA_LIBRARIES, *S3_LIBRARIES),
    "sessions": (*PICTURE_LIBRARIES, *MEDIA_LIBRARIES, *S3_LIBRARIES),
    "faces": (*MEDIA_LIBRARIES, *S3_LIBRARIES),
    "avatar": (*PICTURE_LIBRARIES, *MEDIA_LIBRARIES, *S3_LIBRARIES),
}


def native_packages(pid: int) -> set[str]:
    """The packages of site-packages whose compiled code a process has mapped; sees what was imported lazily too."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    paths = {line.split(maxsplit=5)[5] for line in lines if "/site-packages/" in line}
    return {path.split("/site-packages/")[1].split("/")[0] for path in paths}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what a process has mapped")
async def test_a_role_loads_only_what_its_work_needs(real_system: RealSystem) -> None:
    """After an upload and a whole session only faces holds the detector, and only media processes hold LiveKit."""
    avatar = (await real_system.upload(pictures.astronaut()))["avatar_id"]
    async with real_system.live(avatar) as live:
        await real_system.end(live.session_id)
    pids = {part: real_system.running.pid(part) for part in UNWANTED}
    loaded = {part: native_packages(pid) for part, pid in pids.items() if pid is not None}
    assert set(loaded) == set(UNWANTED)
    for part, unwanted in UNWANTED.items():
        assert not loaded[part] & set(unwanted), part
    assert "onnxruntime" in loaded["faces"]
    assert "temporalio" in loaded["sessions"]
