"""Tokens and keys of whole sessions stand nowhere that lasts (design rule 18), searched by a search that finds."""

import base64
import json
import secrets
from urllib.parse import quote, quote_plus

import pytest

from runtime.system.memory import FILE
from support.planted import inside_zip, missed_of_temporal, new_plants, planted_workflow
from support.real_system import RealSystem, new_room
from support.secret_search import files_below, forms, found_in, histories_of, rows_of, told_in
from support.tokens import avatar_token

PLANTED = "planted/" + secrets.token_urlsafe(36) + '+&=" '
DATABASES = ("greenroom.db", "temporal.db")


async def everything(system: RealSystem) -> dict[str, bytes]:
    """All that the system has written, but the file that holds the keys of this machine."""
    places = files_below(system.folder, but=[FILE])
    places |= {f"rows of {name}": rows_of(system.folder / name) for name in DATABASES}
    return places | await histories_of(system.temporal)


@pytest.mark.parametrize(
    "form",
    ["plain", "quoted", "quoted by a form", "base64", "inside base64", "hex", "JSON", "Python", "in a ZIP", "half"],
)
def test_the_search_knows_every_form(form: str) -> None:
    """A secret is found as it is, escaped, URL-encoded, in hex, in base64 of something around it, packed, and cut."""
    texts = {
        "plain": PLANTED.encode(),
        "quoted": quote(PLANTED, safe="").encode(),
        "base64": base64.b64encode(PLANTED.encode()),
        "quoted by a form": quote_plus(PLANTED).encode(),
        "hex": PLANTED.encode().hex().encode(),
        "JSON": json.dumps({"token": PLANTED}).encode(),
        "Python": repr([PLANTED]).encode(),
        "half": PLANTED[: len(PLANTED) // 2].encode(),
        "inside base64": base64.urlsafe_b64encode(f'{{"token": "{PLANTED}"}}'.encode()),
    }
    place = inside_zip(PLANTED) if form == "in a ZIP" else b"<" + texts[form] + b">"
    assert found_in({"here": place}, {"planted": PLANTED}) == {"here": {"planted"}}
    assert not any(shape in place for shape in forms("planted/" + "x" * 32))


def test_base64_in_base64_is_told() -> None:
    """What a payload holds as base64 is found below the base64 that it is itself, in JSON as histories are."""
    inner = base64.b64encode(f"~~{PLANTED}~".encode()).decode()
    outer = base64.urlsafe_b64encode(json.dumps({"n": inner}).encode()).decode()
    assert PLANTED.encode() in told_in({"events": [{"payloads": [outer]}]})


async def test_every_corner_of_temporal_is_searched(real_system: RealSystem) -> None:
    """What a workflow leaks on purpose is found where it was put: markers, heartbeats, failures, memo, and more."""
    plants = new_plants()
    async with planted_workflow(real_system.temporal, plants):
        hits = found_in(await histories_of(real_system.temporal), plants)
    assert missed_of_temporal(hits) == {}


async def test_no_secret_stands_anywhere(real_system: RealSystem, astronaut: str) -> None:
    """No log, object, row, payload or history holds a room token, a session token or the API key, in any form.

    That the search sees these places is shown by a secret that is leaked on purpose: in a session's metadata, which
    are stored and cross Temporal, and in a log.
    """
    encoded = base64.b64encode(f"~{PLANTED}".encode()).decode()
    async with real_system.live(astronaut, metadata={"note": encoded}) as live:
        refused = real_system.room(room=new_room(), secret="y" * 48)
        assert (await real_system.create(astronaut, refused)).status_code == 400
        await real_system.wait_released()
        ghost = avatar_token(real_system.livekit, new_room(), can_publish=False)
        assert (await real_system.create(astronaut, real_system.room(ghost))).status_code == 400
        await real_system.get(live.session_id)
    await real_system.temporal.get_workflow_handle(live.session_id).result()
    made = (await real_system.create(astronaut, {"platform": "proxy"})).json()["session"]
    real_system.secrets["participant token"] = made["room"]["participantToken"]
    await real_system.end(made["session_id"])
    await real_system.temporal.get_workflow_handle(made["session_id"]).result()
    leak = real_system.folder / "logs" / "leak.log"
    leak.write_text(f"GET /?token={quote(PLANTED, safe='')}\n")
    tokens = dict(real_system.secrets)
    signatures = {f"signature of {name}": token.rsplit(".", 1)[-1] for name, token in tokens.items()}
    wanted = tokens | signatures | {"API key": real_system.running.api_key, "planted": PLANTED}
    wanted["LiveKit's secret"] = real_system.running.livekit_api_secret
    places = await everything(real_system)
    found = found_in(places, wanted)
    leak.unlink()
    assert live.token in wanted.values()
    assert {f"logs/{part}.log" for part in ("api", "avatar", "faces", "livekit", "sessions", "temporal")} <= set(places)
    known = {"logs/leak.log", f"history of {live.session_id}", *(f"rows of {name}" for name in DATABASES)}
    assert known <= set(found)
    assert {name for names in found.values() for name in names} == {"planted"}, found
