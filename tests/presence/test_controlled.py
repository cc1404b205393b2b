"""A control socket does not disturb the picture: what it needs is loaded beside it."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPENS = """
import asyncio, json, sys, time
from presence.processes.protocol import Control
from presence.speech.controlled import ControlledSpeech
from presence.speech.speech_queue import SpeechQueue

async def main():
    assert "aiohttp" not in sys.modules
    controlled = ControlledSpeech(None)
    began = last = time.monotonic()
    stall = 0.0
    controlled.told(Control(url="ws://127.0.0.1:9/", token="t", number=1, grace_ms=1000))
    while controlled._line is None:
        await asyncio.sleep(0.001)
        now = time.monotonic()
        last, stall = now, max(stall, now - last)
    took = time.monotonic() - began
    await controlled.aclose()
    print(json.dumps({"took": took, "stall": stall}))

asyncio.run(main())
"""


def test_the_first_socket_stalls_nothing() -> None:
    """The libraries of a control line are loaded in pieces between which frames can be made."""
    done = subprocess.run(
        [sys.executable, "-c", OPENS], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=True
    )
    said = json.loads(done.stdout)
    assert said["stall"] < said["took"] / 2, said
