"""The settings that `greenroom dev` gave its parts, read back from its data folder; it starts nothing."""

from collections.abc import Mapping
from pathlib import Path

from runtime.settings import PREFIX
from runtime.system.memory import FILE, load_memory
from runtime.system.ports import LOOPBACK, THIS_MACHINE, Ports
from runtime.temporal_client import NAMESPACE, NO_PROFILE


def remembered_environ(folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of the last run in a folder; the one given where no `greenroom dev` ever ran there."""
    if not (folder / FILE).exists():
        return dict(environ)
    memory = load_memory(folder)
    ports = Ports(**memory.ports)
    fixed = {
        "DATA_DIR": str(folder.resolve()),
        "HOST": LOOPBACK,
        "PORT": str(ports.api),
        "SERVER_KEYS": memory.server_keys,
        "SEALING_KEYS": memory.sealing_keys,
        "WEBHOOK_KEYS": memory.webhook_keys,
    }
    settings = {f"{PREFIX}{name}": value for name, value in fixed.items()}
    usual = {f"{PREFIX}ROOM_HOSTS": "*", f"{PREFIX}WEBHOOK_HOSTS": THIS_MACHINE}
    here = {"TEMPORAL_ADDRESS": f"{LOOPBACK}:{ports.temporal}", "TEMPORAL_NAMESPACE": NAMESPACE}
    others = {name: value for name, value in environ.items() if not name.startswith("TEMPORAL_")}
    return {**usual, **others, **settings, **NO_PROFILE, **here}
