"""The parts of the system on one machine, as data: commands, environments, readiness; it starts none of them."""

import json
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contracts.search_attributes import EVERY
from runtime.settings import PREFIX
from runtime.supervision.part import Part, foreign_part, python_part
from runtime.supervision.readiness import READY_LINE, AnswersAt, Says
from runtime.system.memory import Memory
from runtime.system.ports import LOOPBACK, THIS_MACHINE, Ports
from runtime.temporal_client import NAMESPACE, NO_PROFILE

STOP_ORDER = ("avatar", "faces", "sessions", "api", "livekit", "temporal")
"""Those who use before those who are used."""

TEMPORAL_TUNING = {
    # The stock dev server costs about 50 ms a hop: 20 polls a second on its one shard.
    "history.transferProcessorMaxPollRPS": 1000,
    "history.timerProcessorMaxPollRPS": 1000,
    "history.visibilityProcessorMaxPollRPS": 1000,
    # Timers and missed heartbeats come up to a second late as the server comes: it looks at them once a second.
    "history.timerProcessorMaxTimeShift": "100ms",
    # Cancelling an activity reaches its worker at once instead of with its next heartbeat; only both together.
    "system.enableCancelActivityWorkerCommand": True,
    "frontend.WorkerCommandsEnabled": True,
    # An operator may pause a session's workflow: docs/operations.md says what stands still then.
    "frontend.WorkflowPauseEnabled": True,
}


@dataclass(frozen=True, kw_only=True)
class Site:
    """Everything that the parts are made from."""

    data_dir: Path
    """The data folder, absolute."""

    ports: Ports
    """Where everybody listens."""

    memory: Memory
    """Keys and secrets."""

    environ: Mapping[str, str]
    """The operator's own environment; its GREENROOM_ settings reach every part."""

    temporal: Path
    """The `temporal` binary."""

    livekit: Path
    """The `livekit-server` binary."""

    program: str = "cli.main"
    """The module whose commands `api` and `worker ROLE` the parts run."""


def temporal_part(site: Site) -> Part:
    """Temporal's dev server on a file of the data folder; loopback only, no news fetched from elsewhere."""
    ports = site.ports
    flags = [
        *("--ip", LOOPBACK, "--port", str(ports.temporal), "--ui-port", str(ports.temporal_ui)),
        *("--http-port", str(ports.temporal_http), "--metrics-port", str(ports.temporal_metrics)),
        *("--db-filename", str(site.data_dir / "temporal.db"), "--ui-disable-news-fetch", "--log-level", "warn"),
    ]
    for attribute in EVERY:
        flags += ["--search-attribute", f"{attribute.name}={attribute.indexed_value_type.name.title()}"]
    for key, value in TEMPORAL_TUNING.items():
        flags += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
    return Part(
        name="temporal",
        command=foreign_part(str(site.temporal), "server", "start-dev", *flags),
        environ=_without_settings(site.environ),
        ready=AnswersAt(url=f"http://{LOOPBACK}:{ports.temporal_http}/api/v1/namespaces/default"),
        stop_within_s=2.0,  # it works off its queues for ten seconds, and loses nothing on its file if it may not
        foreign=True,
    )


def livekit_part(site: Site) -> Part:
    """The LiveKit server; the configuration goes by its environment, for arguments are everybody's to read."""
    ports = site.ports
    config = {
        "port": ports.livekit,
        "bind_addresses": [LOOPBACK],
        "rtc": {
            "udp_port": ports.livekit_udp,
            "tcp_port": ports.livekit_tcp,
            "node_ip": LOOPBACK,
            "use_external_ip": False,
            "enable_loopback_candidate": True,
            "interfaces": {"includes": ["lo", "lo0"]},
        },
        "keys": {site.memory.livekit_api_key: site.memory.livekit_api_secret},
        "logging": {"level": "error"},  # at WARN it writes whole refused tokens,
    }
    return Part(
        name="livekit",
        command=foreign_part(str(site.livekit), end="KILL"),
        environ={**_without_settings(site.environ), "LIVEKIT_CONFIG": json.dumps(config)},
        ready=AnswersAt(url=f"http://{LOOPBACK}:{ports.livekit}/"),
        stop_signal=signal.SIGKILL,  # with SIGTERM it serves on until the last participant has left
        foreign=True,
    )


def api_part(site: Site) -> Part:
    """The HTTP API: ready when it says that database and Temporal are."""
    keys = {"SERVER_KEYS": site.memory.server_keys, "SEALING_KEYS": site.memory.sealing_keys, **_livekit_keys(site)}
    keys["METRICS_PORT"] = str(site.ports.api_metrics)
    return Part(
        name="api",
        command=python_part(site.program, "api"),
        environ=own_environ(site, **keys),
        ready=AnswersAt(url=f"http://{LOOPBACK}:{site.ports.api}/readyz"),
    )


def worker_part(site: Site, role: str) -> Part:
    """A worker of a role; each holds the keys that it needs: for room tokens, or for rooms and webhooks."""
    sessions = {**_livekit_keys(site), "WEBHOOK_KEYS": site.memory.webhook_keys}
    keys = {"sessions": sessions, "avatar": {"SEALING_KEYS": site.memory.sealing_keys}}.get(role, {})
    keys["METRICS_PORT"] = str(getattr(site.ports, f"{role}_metrics"))
    return Part(
        name=role,
        command=python_part(site.program, "worker", role),
        environ=own_environ(site, **keys),
        ready=Says(text=READY_LINE),
        ready_within_s=120.0,  # the faces role loads its models; on a busy machine that takes a while
    )


def own_environ(site: Site, **settings: str) -> dict[str, str]:
    """The environment of one of our own processes: the operator's settings, then what this machine needs."""
    fixed = {
        "DATA_DIR": str(site.data_dir),
        "HOST": LOOPBACK,
        "PORT": str(site.ports.api),
        **settings,
    }
    environ = {key: value for key, value in site.environ.items() if key not in _KEYS and not key.startswith(_TEMPORAL)}
    environ.setdefault(f"{PREFIX}ROOM_HOSTS", "*")
    environ.setdefault(f"{PREFIX}REQUESTS_PER_MINUTE", "0")
    environ.setdefault(f"{PREFIX}WEBHOOK_HOSTS", THIS_MACHINE)
    # One version for ever: after a change of the code no worker of the one before is left, and sessions go on at once.
    environ.setdefault(f"{PREFIX}BUILD_ID", "dev")
    environ.setdefault(f"{PREFIX}LOG_FORMAT", "text")
    environ |= {f"{PREFIX}{name}": value for name, value in fixed.items()}
    here = {"TEMPORAL_ADDRESS": f"{LOOPBACK}:{site.ports.temporal}", "TEMPORAL_NAMESPACE": NAMESPACE}
    return environ | NO_PROFILE | here


def _livekit_keys(site: Site) -> dict[str, str]:
    """Where rooms are made: on the operator's own LiveKit server if the environment names one, else on ours."""
    given = {name: site.environ.get(f"{PREFIX}{name}", "") for name in _LIVEKIT}
    if given["LIVEKIT_URL"]:
        return {name: value for name, value in given.items() if value}
    ours = (f"ws://{LOOPBACK}:{site.ports.livekit}", site.memory.livekit_api_key, site.memory.livekit_api_secret)
    return dict(zip(_LIVEKIT, ours, strict=False)) | {_LIVEKIT[-1]: given["LIVEKIT_PUBLIC_URL"]}


_LIVEKIT = ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "LIVEKIT_PUBLIC_URL")
_KEYS = tuple(
    f"{PREFIX}{name}" for name in ("SERVER_KEYS", "SEALING_KEYS", "WEBHOOK_KEYS", "RUN", "LIFELINE_FD", *_LIVEKIT)
)
"""What the operator's shell does not hand on to every part."""
_TEMPORAL = "TEMPORAL_"
"""Nor what it says of another Temporal server: its address, TLS and API key."""
_NOT_FOREIGN = (PREFIX, _TEMPORAL, "LIVEKIT_", "OTEL_", "AWS_", "PG")
"""And what of it is ours, or an account of ours elsewhere: the collector's key, the bucket's, the database's."""


def _without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """A foreign binary needs none of our secrets, and none of its own variables from the operator's shell."""
    return {key: value for key, value in environ.items() if not key.startswith(_NOT_FOREIGN)}
