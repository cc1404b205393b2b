"""`greenroom demo`: the whole system, and a customer who gets one real session out of it."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
from livekit import api
from rich.console import Console
from rich.table import Table

from cli.console import print_whole
from cli.customer import Customer, RefusedByApiError
from cli.dev import run_until_stopped, show_system, system_options
from cli.library.builtin import astronaut
from cli.setup_command import find_parts_aloud
from cli.step_times import StepTime, step_times
from cli.viewer import Viewer, room_token, save_png
from contracts.upload_workflow import upload_workflow_id
from domain.rooms import AVATAR_IDENTITY
from runtime.system.plan import own_environ
from runtime.system.running import RunningSystem, running_system
from runtime.temporal_client import connect

FULL_SIZE = (1280, 960)
"""Of the default ratio, 4:3."""
FRAME_WITHIN_S = 20.0
CLOSED_WITHIN_S = 5.0
WATCH_S = 2.0
"""How long frames are counted after the first."""


@dataclass(kw_only=True)
class Report:
    """What the demo found; the last line of `--once` is this as JSON."""

    session_id: str = ""
    status: str = ""
    create_ms: int = 0
    """From the POST to its answer."""
    first_frame_ms: int = 0
    """From the POST to the first full-size frame at the viewer."""
    frame_width: int = 0
    frame_height: int = 0
    frames_received: int = 0
    workflow_id: str = ""
    frame_png: str = ""
    avatar_id: str = ""
    upload_ms: int = 0
    workflow_url: str = ""
    watch_url: str = ""


class Progress:
    """Says what is being done, and afterwards how long it took; on standard error, for the report is the output."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    @asynccontextmanager
    async def doing(self, what: str) -> AsyncIterator[None]:
        """Show that something is under way, then that it is done."""
        began = time.monotonic()
        with self._console.status(what):
            yield
        self._console.print(f"[green]✓[/] {what} [dim]{(time.monotonic() - began) * 1000:.0f} ms[/]")


async def play(system: RunningSystem, report: Report, progress: Progress, *, once: bool) -> None:
    """One session from a portrait to a live picture, by the public API alone."""
    room = f"demo-{datetime.now(UTC):%H%M%S}"
    key, secret = system.livekit_api_key, system.livekit_api_secret
    async with Customer(system.api_url, system.api_key) as customer:
        async with progress.doing("upload a portrait: one face is found, aligned and stored"):
            began = time.monotonic()
            avatar = await customer.upload_face(astronaut())
            report.upload_ms = _ms_since(began)
        async with progress.doing("make a LiveKit room and a token for the avatar"):
            await make_room(system, room)
        address = {
            "platform": "livekit",
            "url": system.livekit_url,
            "token": room_token(key, secret, room, AVATAR_IDENTITY, avatar=True),
        }
        async with progress.doing("create a session: the avatar joins the room"):
            began = time.monotonic()
            session = (await customer.create_session(avatar["avatar_id"], address))["session"]
            report.create_ms = _ms_since(began)
        async with progress.doing("make a link that opens a watch page"):
            report.watch_url = (await customer.create_link(avatar["avatar_id"]))["link"]["url"]
        report.session_id = report.workflow_id = session["session_id"]
        report.avatar_id = avatar["avatar_id"]
        report.status = session["status"]
        try:
            await watch(system, report, progress, began=began, token=room_token(key, secret, room, "viewer"), once=once)
        finally:
            async with progress.doing("end the session"):
                ended = await customer.end_session(report.session_id)
                await closed(system, report.workflow_id)
            report.status = ended["session"]["status"]


async def watch(
    system: RunningSystem, report: Report, progress: Progress, *, began: float, token: str, once: bool
) -> None:
    """Join as a viewer and keep what is seen; without `once`, stay until stopped."""
    async with Viewer(system.livekit_url, token, full_size=FULL_SIZE) as viewer:
        async with progress.doing("join as a viewer and wait for the first full-size frame"):
            await viewer.wait_full_frame(within_s=FRAME_WITHIN_S)
        report.first_frame_ms = round((viewer.first_full_at - began) * 1000)
        async with progress.doing(f"watch for {WATCH_S:.0f} s"):
            await asyncio.sleep(WATCH_S)
        frame = await viewer.wait_full_frame(within_s=1)
        report.frame_width, report.frame_height = frame.width, frame.height
        report.frames_received = viewer.frames
        png = system.data_dir / "demo" / "frame.png"
        await asyncio.to_thread(save_png, frame, png)
        report.frame_png = str(png)
        await show(system, report)
        if not once:
            what_next(system, report)
            await asyncio.Event().wait()


def _ms_since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


async def make_room(system: RunningSystem, name: str) -> None:
    """What a customer does on their own LiveKit server."""
    address = system.livekit_url.replace("ws", "http", 1)
    async with api.LiveKitAPI(address, system.livekit_api_key, system.livekit_api_secret) as livekit:
        await livekit.room.create_room(api.CreateRoomRequest(name=name, empty_timeout=60))


async def closed(system: RunningSystem, workflow_id: str) -> None:
    """Wait a moment for the workflow to close: the end is answered before the avatar has left the room."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CLOSED_WITHIN_S):
            await (await connect(temporal_of(system))).get_workflow_handle(workflow_id).result()


def temporal_of(system: RunningSystem) -> dict[str, str]:
    """What connects to this system's Temporal."""
    return own_environ(system.site)


async def show(system: RunningSystem, report: Report) -> None:
    """Print the session and where its time went."""
    client = await connect(temporal_of(system))
    run_id = (await client.get_workflow_handle(report.workflow_id).describe()).run_id
    report.workflow_url = f"{system.temporal_ui_url}/namespaces/default/workflows/{report.workflow_id}/{run_id}/history"
    print_whole(session_table(report))
    upload = await step_times(client, upload_workflow_id(report.avatar_id))
    print_whole(steps_table("The steps of the upload's workflow, from its history", upload))
    session = await step_times(client, report.workflow_id)
    print_whole(steps_table("The steps of the session's workflow, so far", session))


def session_table(report: Report) -> Table:
    """What the customer saw."""
    table = Table(title="The session, as its customer saw it", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    size = f"{report.frame_width}x{report.frame_height}"
    rows = {
        "session": report.session_id,
        "upload of the portrait": f"{report.upload_ms} ms",
        "POST /v1/sessions to 201": f"{report.create_ms} ms",
        "POST to the first full frame": f"{report.first_frame_ms} ms",
        "frames seen": f"{report.frames_received} of {size} in {WATCH_S:.0f} s",
        "what the viewer saw": report.frame_png,
        "watch page, for a browser": report.watch_url,
        "workflow in the Temporal UI": report.workflow_url,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def steps_table(title: str, steps: list[StepTime]) -> Table:
    """A workflow's steps with their times."""
    table = Table(title=title, title_justify="left")
    for name in ("step", "worker", "done at", "took"):
        table.add_column(name, justify="left" if name in ("step", "worker") else "right", no_wrap=True)
    longest = max((step.took_ms or 0 for step in steps), default=0) or 1
    table.add_column("")
    for step in steps:
        took = "" if step.took_ms is None else f"{step.took_ms} ms"
        bar = "█" * round(24 * (step.took_ms or 0) / longest)
        worker = step.queue.split("-")[0] if step.queue else "workflow's own"
        table.add_row(step.name, worker, f"{step.done_ms} ms", took, f"[cyan]{bar}[/]")
    return table


def what_next(system: RunningSystem, report: Report) -> None:
    """Print what a newcomer can try while the session runs."""
    key, url = system.api_key, system.api_url
    click.echo(f"""
Talk to the avatar yourself, in a session of your own, in a browser on this machine:
  {report.watch_url}
The session runs until you press Ctrl-C. Meanwhile, in another terminal:
  curl -s -H 'x-api-key: {key}' {url}/v1/sessions/{report.session_id}
  curl -s -H 'x-api-key: {key}' {url}/v1/avatars
  curl -s -H 'x-api-key: {key}' -F file=@YOUR_PICTURE.jpg {url}/v1/avatars/upload-face
  curl -s -X POST -H 'x-api-key: {key}' {url}/v1/sessions/{report.session_id}/end
Read the session's story in the Temporal UI:
  {report.workflow_url}
""")


@click.command("demo")
@click.option("--once", is_flag=True, help="End the session, stop everything, and print a last line of JSON.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of all that it keeps  [default: .greenroom]")
@click.option("--ports", type=click.Choice(["usual", "free"]), default="usual", show_default=True, help="As for dev.")
def demo_command(*, once: bool, data_dir: Path | None, ports: str) -> None:
    """Run the whole system, and play a customer who sees one real avatar in one real room."""
    find_parts_aloud(os.environ)
    options = system_options(os.environ, data_dir=data_dir, free_ports=ports == "free", asked={})
    report, progress = Report(), Progress()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            async with progress.doing("start Temporal, LiveKit, the API and three workers"):
                system = await stack.enter_async_context(running_system(options))
            if not once:
                show_system(system)
            await play(system, report, progress, once=once)

    try:
        run_until_stopped(serve)
    except (RefusedByApiError, TimeoutError) as error:
        raise click.ClickException(f"the demo failed: {error or 'no frame came in time'}") from error
    if once:
        click.echo(json.dumps(asdict(report)))
