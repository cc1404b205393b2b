"""What an operator sees of a system that runs: logs, metrics and traces of whole sessions, in real parts."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

import telemetry.metrics  # noqa: F401 - makes them
from support import pictures
from support.agent_peer import AgentPeer, agent_token
from support.eventually import eventually
from support.otlp_receiver import Kept, OtlpReceiver, otlp_receiver
from support.real_system import RealSystem, new_room, running_real_system
from telemetry.instruments import SPECS

ROLES = ("api", "sessions", "faces", "avatar")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
OF_THE_SDK = {
    "temporal_activity_schedule_to_start_latency": "faces",
    "temporal_request_latency": "api",
}


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    """A collector for spans."""
    with otlp_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
async def system(collector: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealSystem]:
    """A system whose spans go to the collector, and whose logs are JSON."""
    async with AsyncExitStack() as stack:
        # Only while it starts: in this process livekit-agents would take the variables up, too.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
            patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
            made = running_real_system(tmp_path_factory.mktemp("watched"), log_format="json")
            running = await stack.enter_async_context(made)
        yield running


@pytest.fixture(scope="module")
async def told(system: RealSystem) -> dict[str, str]:
    """Ids of one session that was watched, spoke, lost its workflow's worker meanwhile, and was ended."""
    avatar = (await system.upload(pictures.astronaut()))["avatar_id"]
    name = new_room()
    headers = {
        "traceparent": f"00-{TRACE}-{CALLER}-01",
        "x-request-id": "watched-1",
        "x-api-key": system.running.api_key,
    }
    body = {"avatar": avatar, "room": system.room(room=name)}
    async with system.viewer(name) as viewer:
        answer = await system.http.post(f"{system.running.api_url}/v1/sessions", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        session = answer.json()["session"]
        system.secrets["session token"] = session["session_token"]
        await viewer.wait_frames(50, within_s=20)
        async with AgentPeer(system.livekit.url, agent_token(system.livekit, name)) as agent:
            await agent.say(np.full(8_000, 3_000, np.int16))
            await agent.wait_finished(1, within_s=10)
        # Its next workflow task is a replay, on a worker that knows nothing of it.
        system.running.kill("sessions")
        await system.running.wait_ready("sessions")
        await system.end(session["session_id"])
    await system.temporal.get_workflow_handle(session["session_id"]).result()
    refused = await system.create(avatar, system.room(room=new_room(), secret="y" * 48))
    assert refused.status_code == 400
    return {"session_id": session["session_id"], "avatar_id": avatar, "room": name}


async def scraped(system: RealSystem, role: str) -> str:
    """What a role shows to Prometheus."""
    port = getattr(system.running.site.ports, f"{role}_metrics")
    answer = await system.http.get(f"http://127.0.0.1:{port}/metrics")
    assert answer.status_code == 200
    return answer.text


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a name, by the values of their labels in the order of the labels' names."""
    families = text_string_to_metric_families(text)
    return {
        tuple(sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def logged(folder: Path, role: str) -> list[dict[str, Any]]:
    """The lines of JSON in a role's log; the supervisor's own, and what native code prints, are none."""
    lines = re.findall(r"^\S+ (\{.*\})$", (folder / "logs" / f"{role}.log").read_text(), re.MULTILINE)
    return [json.loads(line) for line in lines]


async def test_trace_goes_from_the_request_into_the_media_process(
    told: dict[str, str], collector: OtlpReceiver, measured: Callable[[str], None]
) -> None:
    """One trace id, the caller's own, from API to avatar; each span below the one that caused it."""
    await eventually(lambda: bool(collector.named("RunActivity:stay_in_room", TRACE)), within_s=20)
    await eventually(lambda: bool(collector.named("CompleteWorkflow:CreateSessionWorkflow", TRACE)), within_s=20)
    await eventually(lambda: bool(collector.named("avatar.first_frame", TRACE)), within_s=20)

    def one(name: str) -> Kept:
        [found] = collector.named(name, TRACE)
        return found

    request = one("POST /v1/sessions")
    assert (request.parent, request.service) == (CALLER, "greenroom-api")
    start = one("StartUpdateWithStartWorkflow:CreateSessionWorkflow")
    assert (start.parent, start.service) == (request.span, "greenroom-api")
    run = one("RunWorkflow:CreateSessionWorkflow")
    assert (run.parent, run.service) == (start.span, "greenroom-sessions")
    ordered, joined = one("StartActivity:join_room"), one("RunActivity:join_room")
    assert (ordered.parent, joined.parent) == (start.span, ordered.span)
    join = one("avatar.join")
    assert (join.parent, join.service) == (joined.span, "greenroom-avatar")
    parts = [one(f"avatar.{name}") for name in ("connect", "first_frame", "publish", "speak")]
    assert {part.parent for part in parts} == {join.span}
    media = {part.attributes["process.pid"] for part in (join, *parts)}
    assert len(media) == 1
    assert all(request.began <= span.began <= span.ended for span in (start, joined, join, *parts))
    assert join.ended <= joined.ended <= request.ended
    assert parts[-1].attributes["latency_ms"] < 1000
    assert join.attributes["session_id"] == told["session_id"]
    measured(f"{len([span for span in collector.spans if span.trace == TRACE])} spans")


async def test_replay_makes_no_span_again(told: dict[str, str], collector: OtlpReceiver) -> None:
    """The worker that took the workflow over replayed it: what it had done before is there once."""
    await eventually(lambda: bool(collector.named("CompleteWorkflow:CreateSessionWorkflow", TRACE)), within_s=20)
    mine = [span for span in collector.spans if span.trace == TRACE]
    # What the workflow itself did; a step may have run in several attempts.
    once = [span.name for span in mine if span.name.startswith(("RunWorkflow:", "StartActivity:", "HandleUpdate:"))]
    assert {name for name in once if once.count(name) > 1} <= {"StartActivity:stay_in_room"}  # attached anew
    assert {"StartActivity:admit_session", "StartActivity:join_room", "StartActivity:record_ended"} <= set(once)
    assert len({span.span for span in mine}) == len(mine)


async def test_every_metric_is_exposed(told: dict[str, str], system: RealSystem) -> None:
    """Each role shows the metrics that are said to be its, and Temporal's SDK its own; Prometheus can read the page."""
    for role in ROLES:
        text = await scraped(system, role)
        kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
        wanted = {spec.name: spec.kind for spec in SPECS.values() if role in spec.roles}
        assert {name: kinds.get(name) for name in wanted} == wanted
        assert {"process_cpu_seconds_total", "process_resident_memory_bytes"} <= kinds.keys()
        for name, of in OF_THE_SDK.items():
            assert (name in kinds) >= (role == of), name
        assert len(values(text, "greenroom_process_info")) == 1
    nobody = await system.http.get(f"http://127.0.0.1:{system.running.site.ports.api_metrics}/")
    assert nobody.status_code == 404


async def test_metrics_count_what_happened(told: dict[str, str], system: RealSystem) -> None:
    """One session that started, spoke and was ended, and one create that was refused, are found in the numbers."""
    api, avatar = await scraped(system, "api"), await scraped(system, "avatar")
    assert values(api, "greenroom_creates_total") == {("started", ""): 1, ("ROOM_TOKEN_REFUSED", "join_room"): 1}
    assert values(api, "greenroom_create_seconds_count") == {(): 1}
    requests = values(api, "greenroom_http_request_seconds_count")
    assert {count for labels, count in requests.items() if set(labels) == {"POST", "/v1/sessions", "201"}} == {1}
    assert values(avatar, "greenroom_first_frame_seconds_count")[()] == 1
    assert values(avatar, "greenroom_speech_latency_seconds_count")[()] == 1
    assert values(avatar, "greenroom_utterances_total") == {("played",): 1}
    assert values(avatar, "greenroom_frames_total")[("shown",)] > 50
    assert values(avatar, "greenroom_frame_rate_count")[()] > 1
    assert values(avatar, "greenroom_lease_silence_seconds")[()] < 5
    assert values(avatar, "greenroom_media_ends_total")[("left",)] == 1
    # The sessions worker was killed in between: what it counted before is gone, the database's state is not.
    async with asyncio.timeout(20):
        while not (state := values(text := await scraped(system, "sessions"), "greenroom_fleet_slots")):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    assert sum(state.values()) == sum((await system.capacity(),), ())[1]
    assert values(text, "greenroom_sessions_ended_total") == {("ended_by_request",): 1, ("ROOM_TOKEN_REFUSED",): 1}
    assert values(text, "greenroom_billed_seconds_total")[()] >= 60
    assert values(text, "greenroom_served_seconds_total")[()] > 1
    assert values(text, "greenroom_line_wait_seconds_count")[()] == 1
    steps = values(text, "greenroom_step_seconds_count")
    assert steps[("ok", "record_ended")] == 2
    assert values(avatar, "greenroom_step_seconds_count")[("refused", "join_room")] == 1
    assert values(avatar, "greenroom_step_refusals_total") == {("ROOM_TOKEN_REFUSED", "join_room"): 1}


async def test_logs_say_whose_each_line_is(told: dict[str, str], system: RealSystem) -> None:
    """Every line of JSON names its process; a request's, a step's and a media process's lines say what they are of."""
    for role in ROLES:
        lines = logged(system.folder, role)
        assert {line["role"] for line in lines} <= {role}
        assert all(line["boot_id"] and line["time"] and line["level"] for line in lines)
    [posted] = [line for line in logged(system.folder, "api") if line.get("request_id") == "watched-1"]
    assert posted["message"].startswith("POST /v1/sessions 201 in ")
    assert (posted["session_id"], posted["trace_id"]) == (told["session_id"], TRACE)
    assert posted["account_id"]
    media = [line for line in logged(system.folder, "avatar") if line.get("pid")]
    mine = [line for line in media if line.get("session_id") == told["session_id"]]
    assert all((line["generation"], line["trace_id"]) == ("1", TRACE) for line in mine)


async def test_no_secret_is_counted_or_traced(
    told: dict[str, str], system: RealSystem, collector: OtlpReceiver
) -> None:
    """Neither a token, nor a key, nor an address of a room stands in a metric, a span or a line of the log."""
    exposed = "".join([await scraped(system, role) for role in ROLES])
    logs = "".join((system.folder / "logs" / f"{role}.log").read_text() for role in ROLES)
    sent = b"".join(collector.bodies).decode("latin-1")
    secrets = {**system.secrets, "api key": system.running.api_key}
    assert len(secrets) >= 3
    for what, secret in secrets.items():
        assert secret not in exposed + logs + sent, what
    for known in (told["session_id"], told["room"], told["avatar_id"]):
        assert known not in exposed


def test_tracing_is_off_here() -> None:
    """This process names no endpoint, so that nothing above comes from the tests themselves."""
    assert not [name for name in os.environ if name.startswith("OTEL_")]
