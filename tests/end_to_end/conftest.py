"""What the end-to-end tests share: the avatar that most sessions show."""

import pytest

from support import pictures
from support.real_system import RealSystem


@pytest.fixture(scope="session")
async def astronaut(real_system: RealSystem) -> str:
    """The avatar of a photograph, 512x512."""
    return str((await real_system.upload(pictures.astronaut()))["avatar_id"])
