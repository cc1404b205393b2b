"""What the parts of one machine are given: each its own, foreign binaries nothing of ours."""

from pathlib import Path

import msgspec

from runtime.system.memory import Memory
from runtime.system.plan import Site, livekit_part, own_environ, temporal_part
from runtime.system.ports import Ports


def site(**environ: str) -> Site:
    """A machine whose operator has these in the shell."""
    memory = Memory(api_key="gr_x", server_keys="", sealing_keys="", livekit_api_key="k", livekit_api_secret="s")
    ports = Ports(**{name: 10_000 + place for place, name in enumerate(Ports.__struct_fields__)})
    parts = {"temporal": Path("temporal"), "livekit": Path("livekit")}
    return Site(data_dir=Path("/data"), ports=ports, memory=memory, environ=environ, **parts)


def test_foreign_binaries_get_no_key_of_ours() -> None:
    """Not the settings, nor the collector's key, the bucket's, the database's, or another Temporal's."""
    ours = ("GREENROOM_DATABASE_URL", "TEMPORAL_API_KEY", "OTEL_EXPORTER_OTLP_HEADERS")
    shell = dict.fromkeys((*ours, "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"), "a-secret")
    machine = site(**shell, PATH="/bin")
    for part in (temporal_part(machine), livekit_part(machine)):
        assert "a-secret" not in str(part)
        assert part.environ["PATH"] == "/bin"
    own = own_environ(machine)
    assert own["OTEL_EXPORTER_OTLP_HEADERS"] == "a-secret"
    assert "TEMPORAL_API_KEY" not in own
    assert msgspec.structs.asdict(machine.memory)["api_key"] not in str(own)
