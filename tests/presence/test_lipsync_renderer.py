"""The lip-sync renderer against a real host with a tiny model."""

import contextlib
import gc
import logging
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from presence.pictures import Picture, i420_from_rgb
from presence.renderers.base import AvatarState
from presence.renderers.lipsync.renderer import LipsyncAssets, LipsyncRenderer
from support.lipsync_hosts import HostBench, end, host_bench
from support.renderer_contract import HEIGHT, KEYPOINTS, WIDTH, RendererContract, sound

PATIENT_S = 10.0
"""No answer is late in these tests, unless a test wants it."""


@pytest.fixture(scope="module")
def bench() -> Iterator[HostBench]:
    """A folder with a model."""
    with host_bench() as bench:
        yield bench


@pytest.fixture(scope="module")
def shared_host(bench: HostBench) -> Iterator["subprocess.Popen[bytes]"]:
    """A host that every test here uses."""
    with bench.host() as process:
        yield process
        assert end(process) == 0
    assert not bench.address.socket.exists()


def renderer_of(bench: HostBench, wait_s: float = PATIENT_S) -> LipsyncRenderer:
    """A renderer of the bench's model."""
    return LipsyncRenderer(bench.address.model, folder=bench.address.folder, wait_s=wait_s)


def prepared(renderer: LipsyncRenderer, portrait: NDArray[np.uint8], folder: Path) -> LipsyncAssets:
    """A portrait's assets."""
    renderer.prepare(portrait, KEYPOINTS, folder)
    return renderer.load(folder)


@contextlib.contextmanager
def held_up(host: "subprocess.Popen[bytes]") -> Iterator[None]:
    """A host that does nothing for a while."""
    os.kill(host.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, host.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        yield
    finally:
        os.kill(host.pid, signal.SIGCONT)


class Show:
    """One track that talks: `frame(loud)` is its next picture."""

    def __init__(self, renderer: LipsyncRenderer, assets: LipsyncAssets) -> None:
        self.renderer, self.track = renderer, renderer.open(assets, 1)
        self.index = -1

    def frame(self, loud: float = 1.0) -> NDArray[np.uint8]:
        """I420 after 40 ms more of a tone, or of silence."""
        self.index += 1
        picture, pcm = Picture(WIDTH, HEIGHT), np.float32(loud) * sound(10)
        self.renderer.render_batch([self.track.job(pcm, self.index, AvatarState.SPEAKING, picture.i420)])
        return picture.i420.copy()


class TestLipsyncRenderer(RendererContract):
    """The lip-sync renderer keeps the contract of all renderers."""

    @pytest.fixture
    def renderer(self, bench: HostBench, shared_host: "subprocess.Popen[bytes]") -> LipsyncRenderer:
        """The renderer under test."""
        return renderer_of(bench)


@pytest.mark.usefixtures("shared_host")
def test_the_mouth_follows_the_sound_and_idles_as_the_portrait(
    bench: HostBench, tmp_path: Path, portrait_rgb: NDArray[np.uint8]
) -> None:
    """In silence each byte is the portrait's; louder speech moves more; afterwards the portrait is back."""
    renderer, portrait = renderer_of(bench), i420_from_rgb(portrait_rgb)
    show = Show(renderer, prepared(renderer, portrait_rgb, tmp_path))
    assert np.array_equal(show.frame(0), portrait)
    quiet = [show.frame(0.02) for _ in range(8)][-1]
    loud = [show.frame(1) for _ in range(8)][-1]
    assert 0 < np.abs(quiet.astype(int) - portrait).sum() < np.abs(loud.astype(int) - portrait).sum()
    assert np.array_equal([show.frame(0) for _ in range(6)][-1], portrait)
    assert show.track.seat.served == 8 + 8 + 4


@pytest.mark.usefixtures("shared_host")
def test_two_frames_of_one_track_in_a_batch_come_in_order(
    bench: HostBench, tmp_path: Path, portrait_rgb: NDArray[np.uint8]
) -> None:
    """A track has one question at a time; a batch that asks twice gives what two batches give."""
    renderer = renderer_of(bench)
    assets = prepared(renderer, portrait_rgb, tmp_path)
    single = Show(renderer, assets)
    expected = [single.frame() for _ in range(4)]
    track, pictures = renderer.open(assets, 1), [Picture(WIDTH, HEIGHT) for _ in range(4)]
    renderer.render_batch(
        [track.job(sound(10), index, AvatarState.SPEAKING, one.i420) for index, one in enumerate(pictures)]
    )
    assert all(np.array_equal(one.i420, two) for one, two in zip(pictures, expected, strict=True))


def test_a_late_batch_repeats_the_last_mouth(
    bench: HostBench, shared_host: "subprocess.Popen[bytes]", tmp_path: Path, portrait_rgb: NDArray[np.uint8]
) -> None:
    """A host that is held up costs no more than the wait, and the mouth stays. What it owes is shown when it comes."""
    renderer = renderer_of(bench)
    show = Show(renderer, prepared(renderer, portrait_rgb, tmp_path))
    before, seat = [show.frame() for _ in range(6)][-1], show.track.seat
    with held_up(shared_host):
        renderer._wait_s = 0.03
        started = time.monotonic()
        assert all(np.array_equal(show.frame(0.05), before) for _ in range(3))
        assert time.monotonic() - started < 1
    assert seat._connection is not None
    assert select.select([seat._connection], [], [], PATIENT_S)[0]
    with held_up(shared_host):
        served = seat.served
        late = show.frame(0.05)
        assert (seat.served, seat.waiting) == (served + 1, True)
    assert not np.array_equal(late, before)
    renderer._wait_s = PATIENT_S
    assert not np.array_equal([show.frame(0.05) for _ in range(3)][-1], late)


def test_without_a_host_the_portrait_stands_still_and_a_new_one_is_found(
    tmp_path: Path, portrait_rgb: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
) -> None:
    """Killed in the middle of speech, the host leaves the portrait and a line in the log; its successor is joined."""
    caplog.set_level(logging.INFO)
    portrait = i420_from_rgb(portrait_rgb)
    with host_bench() as bench, contextlib.ExitStack() as hosts:
        process = hosts.enter_context(bench.host())
        renderer = renderer_of(bench)
        assets = prepared(renderer, portrait_rgb, tmp_path)
        assets.launcher._not_before = float("inf")  # the successor is this test's
        show = Show(renderer, assets)
        assert not np.array_equal([show.frame() for _ in range(4)][-1], portrait)
        end(process, signal.SIGKILL)
        assert all(np.array_equal(show.frame(), portrait) for _ in range(3))
        assert [r.levelname for r in caplog.records if "portrait stands still" in r.message] == ["WARNING"]
        bench.address.socket.unlink()
        hosts.enter_context(bench.host())
        show.track.seat._not_before = 0.0
        assert not np.array_equal([show.frame() for _ in range(3)][-1], portrait)
        assert "the mouth moves" in caplog.text


def test_the_first_track_starts_the_host_and_others_use_it(tmp_path: Path, portrait_rgb: NDArray[np.uint8]) -> None:
    """Loading starts one host, in a session of its own; a second renderer starts none; killed, it is started again."""
    with host_bench() as bench:
        renderer = renderer_of(bench)
        launcher = prepared(renderer, portrait_rgb, tmp_path).launcher
        bench.wait_ready()
        second = renderer_of(bench).load(tmp_path).launcher
        first = launcher.process
        assert first is not None
        assert second.process is None
        assert os.getsid(first.pid) == first.pid
        end(first, signal.SIGKILL)
        assert second.ensure()
        assert not second.ensure()
        bench.address.socket.unlink(missing_ok=True)
        bench.wait_ready()
        assert second.process is not None
        end(second.process)


def test_a_model_that_does_not_fit_is_named_in_the_log(
    tmp_path: Path, portrait_rgb: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
) -> None:
    """The host's refusal reaches the media process's log; the portrait stands still, and no host is tried at once."""
    with host_bench() as bench:
        bench.address.model.write_text("weights")
        renderer = renderer_of(bench, wait_s=0.03)
        assets = prepared(renderer, portrait_rgb, tmp_path)
        assert assets.launcher.process is not None
        assets.launcher.process.wait(20)
        deadline = time.monotonic() + 5
        while "cannot be read as ONNX" not in caplog.text and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "ended with 3" in caplog.text
        assert "darker.onnx cannot be read as ONNX" in caplog.text
        assert np.array_equal(Show(renderer, assets).frame(), i420_from_rgb(portrait_rgb))
        assert not assets.launcher.ensure()


@pytest.mark.usefixtures("shared_host")
def test_a_track_that_is_gone_leaves_nothing_open(
    bench: HostBench, tmp_path: Path, portrait_rgb: NDArray[np.uint8]
) -> None:
    """Tracks have no end of their own: connection and memory go when nobody refers to them."""
    renderer = renderer_of(bench)
    assets = prepared(renderer, portrait_rgb, tmp_path)

    def talk() -> None:
        assert Show(renderer, assets).frame() is not None

    def held() -> tuple[int, int]:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())), Path("/proc/self/maps").read_text().count(
            "greenroom-lipsync"
        )

    talk()
    before = held()
    for _ in range(3):
        talk()
    assert held() == before
    assert before[1] == 0


def test_reset_forgets_what_the_host_owes(
    bench: HostBench, shared_host: "subprocess.Popen[bytes]", tmp_path: Path, portrait_rgb: NDArray[np.uint8]
) -> None:
    """An answer that comes after a reset is nobody's."""
    renderer = renderer_of(bench)
    show = Show(renderer, prepared(renderer, portrait_rgb, tmp_path))
    first = [show.frame() for _ in range(3)]
    renderer._wait_s = 0.0
    goes_on = threading.Timer(0.1, os.kill, (shared_host.pid, signal.SIGCONT))
    with held_up(shared_host):
        show.frame(0.05)
        assert show.track.seat.waiting
        show.track.reset()
        show.index, renderer._wait_s = -1, PATIENT_S
        goes_on.start()
        again = [show.frame() for _ in range(3)]
    goes_on.join()
    assert all(np.array_equal(one, two) for one, two in zip(again, first, strict=True))


def test_without_a_model_it_says_so(tmp_path: Path, portrait_rgb: NDArray[np.uint8]) -> None:
    """No file named, or none there, is a ValueError: the session then shows the portrait by the still renderer."""
    for renderer, sentence in (
        (LipsyncRenderer(), "none was named"),
        (LipsyncRenderer(tmp_path / "none.onnx"), r"missing: .*none\.onnx is not a file"),
    ):
        renderer.prepare(portrait_rgb, KEYPOINTS, tmp_path)
        with pytest.raises(ValueError, match=sentence):
            renderer.load(tmp_path)


def test_it_is_configured_by_two_variables() -> None:
    """The model's path and the device are told; another device is refused."""
    renderer = LipsyncRenderer.from_environ({"GREENROOM_LIPSYNC_MODEL": "/m.onnx", "GREENROOM_LIPSYNC_DEVICE": "cpu"})
    assert (renderer._model, renderer._device) == (Path("/m.onnx"), "cpu")
    assert LipsyncRenderer.from_environ({})._model is None
    with pytest.raises(ValueError, match="must be auto, cpu or cuda"):
        LipsyncRenderer.from_environ({"GREENROOM_LIPSYNC_DEVICE": "tpu"})
