"""After a full run on PostgreSQL, S3 and Valkey, traced and watched: where each secret that went in stands.

docs/secrets.md has the table of where each is kept; what this test finds elsewhere is a leak.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from prometheus_client import CollectorRegistry, Counter, generate_latest
from redis import Redis

from runtime.system.memory import FILE
from support.databases import PostgreSQLMaker
from support.otlp_receiver import OtlpReceiver, otlp_receiver
from support.planted import OTHERS, inside_zip, missed_of_temporal, new_plants, planted_workflow
from support.postgresql_server import PostgreSQLServer
from support.processes import MARK
from support.real_system import RealSystem, running_real_system
from support.s3_server import BUCKET, SECRET_KEY, S3Server
from support.secret_run import SecretRun, command_settings
from support.secret_search import files_below, found_in, histories_of, rows_of, tables_of
from support.valkey_server import PASSWORD, ValkeyServer, valkey
from support.webhook_receiver import webhook_receiver
from telemetry.otel import OtelTracing

__all__ = ["valkey"]

OURS = {
    "OTLP key": "an-otlp-key-of-a-test-collector",
    "Temporal API key": "an-api-key-of-a-test-cluster",
    "payload key": "cGF5bG9hZCBrZXkgb2YgYSB0ZXN0IQpzZWNyZXQhISE=",
    "S3 secret key": SECRET_KEY,
    "Valkey password": PASSWORD,
}
"""Secrets that a system is started with, besides those that it makes."""
MAY_BE: dict[str, set[str]] = {
    "output of keys create": {"second API key"},
    "output of webhooks add": {"webhook secret"},
    "output of webhooks rotate": {"webhook secret after its rotation"},
    "output of webhooks list": {"path of the webhook"},
    "table webhook_endpoints": {"path of the webhook"},
    "table links": {"link"},
}
"""Where a secret has to be, as docs/secrets.md says."""
HOLDERS = {
    "server keys": {"api"},
    "sealing keys": {"api", "worker avatar"},
    "webhook keys": {"worker sessions"},
    "LiveKit's secret": {"api", "worker sessions", "livekit-server"},
}
"""Which processes have a key in their environment; children have none at all."""
CHILDREN = ("avatar_process", "image_decoding_child", "bank_process")


@dataclass(kw_only=True)
class Found:
    """The run, and all places after it."""

    run: SecretRun
    plants: Mapping[str, str]
    collector: OtlpReceiver
    places: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture(scope="module")
async def found(
    postgresql_server: PostgreSQLServer,
    s3_server: S3Server,
    valkey: ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Found]:
    """The whole run, played once."""
    folder = tmp_path_factory.mktemp("secrets-everywhere")
    maker = PostgreSQLMaker(postgresql_server)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(maker.aclose)
        database = await maker.empty(folder)
        stack.push_async_callback(maker.drop, database)
        collector = stack.enter_context(otlp_receiver())
        hooks = await stack.enter_async_context(webhook_receiver())
        with traced_to(collector):
            store = s3_server.settings(f"s3://{BUCKET}/{folder.name}")
            started = running_real_system(
                folder / "system",
                database_url=database,
                rate_limit_url=valkey.url,
                payload_keys=f"plain,p1:{OURS['payload key']}",
                webhook_first_pause_s="0.2",
                log_format="json",
                log_level="DEBUG",
                **store,
            )
            system = await stack.enter_async_context(started)
        memory = system.running.site.memory
        secrets = {
            **OURS,
            "database password": postgresql_server.password,
            "first API key": memory.api_key,
            "LiveKit's secret": memory.livekit_api_secret,
            **{
                f"{name} keys": getattr(memory, f"{name}_keys").partition(":")[2]
                for name in ("server", "sealing", "webhook")
            },
        }
        otel = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-otlp-key={OURS['OTLP key']}",
        }
        cluster = {"TEMPORAL_API_KEY": OURS["Temporal API key"], "TEMPORAL_TLS": "false"}
        run = SecretRun(
            system=system,
            hooks=hooks,
            valkey=valkey,
            secrets=secrets,
            settings=command_settings(system, folder / "none", **otel, **cluster),
        )
        await run.play()
        yield await everything(Found(run=run, plants=new_plants(), collector=collector), s3_server, folder.name)


@contextmanager
def traced_to(collector: OtlpReceiver) -> Iterator[None]:
    """What starts here sends its spans there. Not longer: libraries in this process would take the variables up."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-otlp-key={OURS['OTLP key']}")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        yield


async def everything(found: Found, s3: S3Server, prefix: str) -> Found:
    """Leak a secret on purpose in each place, and then gather all of them."""
    system, plants = found.run.system, found.plants
    with ExitStack() as stack:
        objects = stack.enter_context(s3_objects(s3, prefix))
        stack.enter_context(command_that_shows(plants["planted command line"], system))
        objects.put("planted/object.zip", inside_zip(plants["planted object"]))
        objects.put(f"planted/{plants['planted object name']}", b"")
        counts = stack.enter_context(closing(Redis.from_url(found.run.valkey.url.replace("valkey://", "redis://"))))
        counts.set(f"greenroom:requests:{plants['planted count']}", 1)
        await plant(found)
        async with planted_workflow(system.temporal, plants):
            await asyncio.sleep(0.5)  # the exporters' own pause
            found.run.look_at_processes()
            found.places = {
                **files_below(system.folder, but=[FILE]),
                **await tables_of(system.engine),
                **await histories_of(system.temporal),
                **objects.all(),
                "rows of temporal.db": rows_of(system.folder / "temporal.db"),
                "spans": b"\n".join(found.collector.bodies),
                "counts of requests": b"\n".join(key + b"=" + (counts.get(key) or b"") for key in counts.keys("*")),
                "what was announced": str(system.said).encode(),
                **found.run.places,
            }
            return found


async def plant(found: Found) -> None:
    """Leak where the product itself writes: rows, logs, spans, metrics, outputs of commands."""
    plants, run = found.plants, found.run
    [avatar, *_] = (await run.system.call("GET", "/v1/avatars")).json()["my_avatars"]
    link = {"avatar": avatar["avatar_id"], "name": plants["planted row"]}
    assert (await run.system.call("POST", "/v1/links", json=link)).status_code == 201
    log = run.system.folder / "logs" / "api.log"
    with log.open("a") as file:
        file.write(plants["planted log"].encode().hex() + "\n")
    endpoint = f"http://127.0.0.1:{found.collector.port}/v1/traces"
    tracing = OtelTracing("planted", "planted", OTLPSpanExporter(endpoint=endpoint))
    with tracing.tracer.start_as_current_span("planted") as span:
        span.set_attribute("note", plants["planted span"])
        span.add_event("said", {"note": plants["planted event"]})
    await asyncio.to_thread(tracing.close)
    registry = CollectorRegistry()
    Counter("planted", "Planted.", ["note"], registry=registry).labels(plants["planted metric"]).inc()
    run.places["metrics of nobody"] = generate_latest(registry)
    await run.command("doctor", place="planted", fails=True, GREENROOM_DATA_DIR=f"./{plants['planted output']}")


class Objects:
    """The objects below a prefix of the bucket."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client: object = client
        self._prefix = prefix

    def put(self, name: str, body: bytes) -> None:
        """A new one."""
        self._client.put_object(Bucket=BUCKET, Key=f"{self._prefix}/{name}", Body=body)

    def all(self) -> dict[str, bytes]:
        """Names, headers and bodies."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=self._prefix)
        found = {}
        for key in [one["Key"] for page in pages for one in page.get("Contents", ())]:
            told = self._client.get_object(Bucket=BUCKET, Key=key)
            body = told.pop("Body").read()
            found[f"object {key}"] = body
            found[f"about object {key}"] = f"{key} {told}".encode()
        return found


@contextmanager
def s3_objects(server: S3Server, prefix: str) -> Iterator[Objects]:
    """The system's objects."""
    with closing(server.client()) as client:
        yield Objects(client, prefix)


@contextmanager
def command_that_shows(secret: str, system: RealSystem) -> Iterator[None]:
    """A process of the run that everybody can read a secret of."""
    command = [sys.executable, "-c", "input()", secret]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env={MARK: system.running.run, "PATH": os.defpath})
    try:
        yield
    finally:
        process.communicate(b"\n")


def test_every_place_is_searched(found: Found) -> None:
    """Each secret that was leaked on purpose is found where it was put: there is no blind spot among the places."""
    hits = found_in(found.places, found.plants)
    assert missed_of_temporal(hits) == {}
    where = {name: {place for place, names in hits.items() if f"planted {name}" in names} for name in OTHERS}
    assert [name for name, places in where.items() if not places] == []
    wanted = {
        "row": "table links",
        "log": "logs/api.log",
        "span": "spans",
        "event": "spans",
        "metric": "metrics of nobody",
    }
    wanted |= {"output": "output of planted", "count": "counts of requests"}
    assert {name: place for name, place in wanted.items() if place not in where[name]} == {}
    assert "planted input" in hits["rows of temporal.db"]


def test_no_secret_stands_where_it_must_not(found: Found) -> None:
    """No history, log, trace, metric, row, object or command line has one, but where docs/secrets.md says so."""
    secrets = {**found.run.system.secrets, **found.run.secrets}
    signatures = {
        f"signature of {name}": one.rpartition(".")[2] for name, one in secrets.items() if one.startswith("eyJ")
    }
    claims = {f"claims of {name}": one.split(".")[1] for name, one in secrets.items() if one.startswith("eyJ")}
    assert min(map(len, secrets.values())) >= 16
    hits = found_in(found.places, secrets | signatures | claims)
    leaks = {place: left for place, names in hits.items() if (left := names - MAY_BE.get(place, set()))}
    assert leaks == {}
    for place, names in MAY_BE.items():
        assert names <= hits.get(place, set()), f"{place} is said to have {names}"


def test_the_secrets_were_there(found: Found) -> None:
    """The run used what it is said to have used: keys in headers, in the file of the machine, in requests."""
    assert {one.get("x-otlp-key") for one in found.collector.headers} >= {OURS["OTLP key"]}
    file = found.run.system.folder / FILE
    assert file.stat().st_mode & 0o077 == 0
    held = found_in({FILE: file.read_bytes()}, found.run.secrets)[FILE]
    assert held == {"first API key", "LiveKit's secret", "server keys", "sealing keys", "webhook keys"}
    assert {f"logs/{part}.log" for part in ("api", "avatar", "faces", "livekit", "sessions", "temporal")} <= set(
        found.places
    )
    assert len(found.run.hooks.received) >= 2
    log = found.places["logs/api.log"]
    assert b"blows_up" in log, "the error in the midst of a request was logged"
    assert b'"level": "DEBUG"' in log


def test_processes_hold_the_keys_that_they_need(found: Found) -> None:
    """Each key is in the environment of the roles that use it, and of no other; children hold none."""
    kinds = (*HOLDERS["LiveKit's secret"], "worker faces", "worker avatar", "temporal", *CHILDREN)
    seen: dict[str, set[str]] = {}
    for name, environ in found.run.environments.items():
        kind = next((one for one in kinds if f" {one}" in name or f".{one}" in name or f"/{one}" in name), name)
        seen.setdefault(kind, set()).update(found_in({"": environ}, found.run.secrets).get("", set()))
    for key, holders in HOLDERS.items():
        assert {kind for kind, names in seen.items() if key in names} == holders, key
    for child in CHILDREN[:2]:
        assert seen[child] == set(), child
    assert seen["temporal"] == set()
    assert seen["livekit-server"] == {"LiveKit's secret"}
