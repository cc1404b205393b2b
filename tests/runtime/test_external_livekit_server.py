"""Where the LiveKit server comes from, with programs that stand in for it and a release on loopback."""

import hashlib
import io
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runtime.external import release
from runtime.external.found import MissingPartError
from runtime.external.livekit_server import VERSION, cached_server, ensure_livekit_server, find_livekit_server

SERVER = b"#!/bin/sh\necho livekit-server version 1.13.5\n"
GO = """#!/bin/sh
echo "$@" >> {log}
if [ "$1" = version ]; then echo go version {version} linux/amd64; exit 0; fi
{build}
"""
BUILDS = "mkdir -p $GOBIN; printf '#!/bin/sh\\necho livekit-server version 1.13.5\\n' > $GOBIN/server; chmod +x $GOBIN/server"  # noqa: E501


class FakeReleases:
    """A release page on loopback: files by name, each answer optionally late."""

    def __init__(self) -> None:
        """Serve nothing yet."""
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.delay_s = 0.0
        releases = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("/")[2]
                releases.asked.append(name)
                time.sleep(releases.delay_s)
                body = releases.files.get(name)
                try:
                    self.send_response(200 if body is not None else 404)
                    self.send_header("Content-Length", str(len(body or b"")))
                    self.end_headers()
                    self.wfile.write(body or b"")
                except BrokenPipeError:
                    pass  # the client gave up, as it should

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v{VERSION}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def publish(self, content: bytes = SERVER, *, member: str = "livekit-server", checksum: str | None = None) -> str:
        """Put an archive and its checksums up; the archive's name on this platform."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            entry = tarfile.TarInfo(member)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
        name = release.archive_name("livekit", VERSION)
        assert name
        self.files[name] = packed.getvalue()
        digest = checksum or hashlib.sha256(packed.getvalue()).hexdigest()
        self.files["checksums.txt"] = f"{'0' * 64}  other.tar.gz\n{digest}  {name}\n".encode()
        return name


@pytest.fixture
def releases() -> Iterator[FakeReleases]:
    """A release page of this test."""
    page = FakeReleases()
    yield page
    page.server.shutdown()
    page.server.server_close()


def _program(folder: Path, name: str, content: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o755)
    return path


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A PATH with a folder of the test and the system's shell, without Go and LiveKit."""
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "mkdir", "chmod", "printf"):
        (tmp_path / "bin" / tool).symlink_to(f"/bin/{tool}" if os.path.exists(f"/bin/{tool}") else f"/usr/bin/{tool}")  # noqa: PTH110
    return {"PATH": str(tmp_path / "bin")}


def _ensure(tmp_path: Path, environ: dict[str, str], url: str = "http://127.0.0.1:1") -> str:
    return ensure_livekit_server(tmp_path / "cache", environ, tell=lambda _: None, releases=url).source


def _nothing_left(tmp_path: Path) -> bool:
    return [p.name for p in cached_server(tmp_path / "cache").parent.iterdir()] == [".lock"]


def test_server_on_path_is_taken_first(tmp_path: Path, environ: dict[str, str]) -> None:
    """An installed server is used as it is."""
    _program(tmp_path / "bin", "livekit-server", "#!/bin/sh\necho livekit-server version 1.14.0\n")
    _program(cached_server(tmp_path / "cache").parent, "livekit-server", SERVER)
    found = find_livekit_server(tmp_path / "cache", environ)
    assert found
    assert (found.source, found.version) == ("PATH", "1.14.0")


def test_server_that_does_not_run_is_passed_over(tmp_path: Path, environ: dict[str, str]) -> None:
    """A broken server on PATH does not hide the good one in the cache."""
    _program(tmp_path / "bin", "livekit-server", "#!/bin/sh\nexit 1\n")
    _program(cached_server(tmp_path / "cache").parent, "livekit-server", SERVER)
    assert _ensure(tmp_path, environ) == "cache"


def test_go_builds_the_pinned_version_once(tmp_path: Path, environ: dict[str, str]) -> None:
    """With a Go that is new enough the pinned module is installed, and the next call finds it."""
    log = tmp_path / "log"
    _program(tmp_path / "bin", "go", GO.format(log=log, version="go1.26.8", build=BUILDS))
    assert _ensure(tmp_path, environ) == "built with Go"
    assert f"install -v github.com/livekit/livekit-server/cmd/server@v{VERSION}" in log.read_text()
    assert _ensure(tmp_path, environ) == "cache"
    assert log.read_text().count("install") == 1


def test_old_go_is_not_asked_to_build(tmp_path: Path, environ: dict[str, str], releases: FakeReleases) -> None:
    """Go 1.25 cannot build it: the release archive is taken."""
    log = tmp_path / "log"
    _program(tmp_path / "bin", "go", GO.format(log=log, version="go1.25.9", build=BUILDS))
    releases.publish()
    assert _ensure(tmp_path, environ, releases.url) == "release archive"
    assert "install" not in log.read_text()


def test_failing_build_falls_back_to_the_release(
    tmp_path: Path, environ: dict[str, str], releases: FakeReleases
) -> None:
    """When Go cannot reach its modules the release archive is taken."""
    _program(tmp_path / "bin", "go", GO.format(log=tmp_path / "log", version="go1.26.8", build="exit 1"))
    releases.publish()
    assert _ensure(tmp_path, environ, releases.url) == "release archive"


def test_release_is_fetched_checked_and_kept(tmp_path: Path, environ: dict[str, str], releases: FakeReleases) -> None:
    """A release with the right checksum becomes the cached server, and is not fetched again."""
    name = releases.publish()
    assert _ensure(tmp_path, environ, releases.url) == "release archive"
    assert cached_server(tmp_path / "cache").read_bytes() == SERVER
    assert _ensure(tmp_path, environ, releases.url) == "cache"
    assert releases.asked == ["checksums.txt", name]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("checksum", "does not have the checksum"),
        ("unlisted", "is not in"),
        ("absent", "answered 404"),
        ("member", "holds no livekit-server"),
        ("not an archive", "holds no livekit-server"),
        ("does not run", "does not run on this machine"),
    ],
)
def test_bad_release_is_refused(
    tmp_path: Path, environ: dict[str, str], releases: FakeReleases, fault: str, said: str
) -> None:
    """Whatever is wrong with the release, the sentence names it and the cache stays empty."""
    name = releases.publish(
        content=b"\x7fELF of another machine" if fault == "does not run" else SERVER,
        member="README" if fault == "member" else "livekit-server",
        checksum="f" * 64 if fault == "checksum" else None,
    )
    if fault == "unlisted":
        releases.files["checksums.txt"] = b"0000  other.tar.gz\n"
    if fault == "absent":
        del releases.files[name]
    if fault == "not an archive":
        releases.files[name] = b"<html>"
        releases.files["checksums.txt"] = f"{hashlib.sha256(b'<html>').hexdigest()}  {name}\n".encode()
    with pytest.raises(MissingPartError, match=said) as refused:
        _ensure(tmp_path, environ, releases.url)
    assert "Go 1.26" in str(refused.value)
    assert _nothing_left(tmp_path)


def test_silent_release_page_is_given_up(
    tmp_path: Path, environ: dict[str, str], releases: FakeReleases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that never answers ends in the sentence, not in a wait without end."""
    monkeypatch.setattr(release, "SILENCE_S", 0.2)
    releases.publish()
    releases.delay_s = 1.0
    with pytest.raises(MissingPartError, match="was silent"):
        _ensure(tmp_path, environ, releases.url)
    assert _nothing_left(tmp_path)


def test_archive_that_breaks_off_leaves_nothing(
    tmp_path: Path, environ: dict[str, str], releases: FakeReleases
) -> None:
    """Half an archive is refused by its checksum."""
    name = releases.publish()
    releases.files[name] = releases.files[name][:40]
    with pytest.raises(MissingPartError, match="checksum"):
        _ensure(tmp_path, environ, releases.url)
    assert _nothing_left(tmp_path)


def test_two_setups_at_once_fetch_once(tmp_path: Path, environ: dict[str, str], releases: FakeReleases) -> None:
    """The second set-up waits and takes what the first one made."""
    name = releases.publish()
    releases.delay_s = 0.1
    sources: list[str] = []
    threads = [
        threading.Thread(target=lambda: sources.append(_ensure(tmp_path, environ, releases.url))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sources) == ["cache", "cache", "release archive"]
    assert releases.asked.count(name) == 1
