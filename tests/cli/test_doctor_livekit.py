"""The doctor's look at the LiveKit server that rooms are made on."""

import pytest

from cli.doctor import FaultError, examined
from cli.doctor_looks import look_at_livekit, looks
from runtime.settings import Settings
from support.livekit_server import LiveKitServer, free_port


def settings_for(server: LiveKitServer, **changes: str) -> Settings:
    """Settings that name the server."""
    usual = {
        "livekit_url": server.url,
        "livekit_api_key": server.api_key,
        "livekit_api_secret": server.api_secret,
        "livekit_public_url": "wss://rooms.example",
    }
    return Settings(**{**usual, **changes})


async def test_a_server_that_takes_the_key_is_found_well(livekit_server: LiveKitServer) -> None:
    """The sentence says where clients are sent; where no server is set there is nothing to look at."""
    settings = settings_for(livekit_server)
    found = await examined("LiveKit", looks(settings, {})["LiveKit"])
    assert (found.ok, "wss://rooms.example" in found.text) == (True, True)
    assert "LiveKit" not in looks(Settings(), {})


async def test_each_fault_names_the_settings_to_check(livekit_server: LiveKitServer) -> None:
    """A wrong secret, and nobody at the address; no value of a secret is shown."""
    secret = "w" * 40
    with pytest.raises(FaultError, match="GREENROOM_LIVEKIT_API_SECRET") as wrong:
        await look_at_livekit(settings_for(livekit_server, livekit_api_secret=secret))
    assert secret not in str(wrong.value)
    with pytest.raises(FaultError, match="GREENROOM_LIVEKIT_URL"):
        await look_at_livekit(settings_for(livekit_server, livekit_url=f"ws://127.0.0.1:{free_port()}"))
