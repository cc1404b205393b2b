"""docs/images/temporal-ui.png: a session with a picture, from its create to its end, on Temporal's own page.

`python -m support.temporal_page`, with the repository and tests/ on the path, makes it anew; it needs Chromium, and
opens the page of a real system.
"""

import asyncio
import base64
import sys
import tempfile
from pathlib import Path

from PIL import Image

from support import pictures
from support.chromium import Page, chromium_page
from support.docs_commands import DOCS
from support.fresh_pictures import fresh
from support.real_system import RealSystem, new_room, running_real_system

PICTURE = DOCS / "images" / "temporal-ui.png"
WIDTH, HEIGHT = 1360, 2400
SCROLLBAR, MARGIN = 16, 24
ALONE = """[...document.querySelectorAll('nav, header')].filter(one => !one.textContent.includes('sess_'))
.forEach(one => one.style.display = 'none')"""
BOTTOM = "Math.max(...[...document.querySelectorAll('select')].map(one => one.getBoundingClientRect().bottom))"
CLICK = "[...document.querySelectorAll('button')].filter(b => b.textContent.trim() === '{}').forEach(b => b.click())"
TALKS_S = 3


async def session_with_a_picture(system: RealSystem) -> str:
    """Created with a picture, watched for a while, and ended; its id."""
    name = new_room()
    picture = base64.b64encode(fresh(pictures.astronaut())).decode()
    answer = await system.create(f"data:image/png;base64,{picture}", system.room(room=name), aspect_ratio="4:3")
    assert answer.status_code == 201, answer.text
    session_id = str(answer.json()["session"]["session_id"])
    async with system.viewer(name) as viewer:
        await viewer.wait_frames(5)
        await asyncio.sleep(TALKS_S)
        await system.end(session_id)
    await system.temporal.get_workflow_handle(session_id).result()
    return session_id


async def photograph(page: Page, address: str, image: Path) -> None:
    """Its whole history, oldest first, a row a step; without the site's own frame."""
    await page.resize(WIDTH, HEIGHT)
    await page.open(address)
    await page.until("document.body.innerText.includes('admit_session')")
    await page.js(CLICK.format("Compact"))
    await page.js(CLICK.format("Descending"))
    await page.until("document.body.innerText.includes('Ascending')")
    await page.js(ALONE)
    await asyncio.sleep(2)  # rows come in as they are drawn
    bottom = await page.js(BOTTOM)
    await page.screenshot(image)
    with Image.open(image) as whole:
        whole.crop((0, 0, WIDTH - SCROLLBAR, round(bottom) + MARGIN)).save(image, optimize=True)


async def main() -> None:
    """Run a system, play a session, look at it, and write the picture to the first argument or into the docs."""
    image = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with running_real_system(Path(folder), avatar_name="avatar-1") as system, chromium_page() as page:
            session_id = await session_with_a_picture(system)
            run = (await system.temporal.get_workflow_handle(session_id).describe()).run_id
            address = f"{system.running.temporal_ui_url}/namespaces/default/workflows/{session_id}/{run}/history"
            await photograph(page, address, image)


if __name__ == "__main__":
    asyncio.run(main())
