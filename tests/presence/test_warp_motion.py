"""What a face does by itself."""

import itertools

import numpy as np
import pytest

from presence.renderers.base import AvatarState
from presence.renderers.warp.motion import Motion, Pose

TICK = 0.04


def live(seed: int, state: AvatarState, seconds: float, *, openness: float = 0.0) -> list[Pose]:
    """The poses of some seconds, frame by frame."""
    motion = Motion(seed)
    return [motion.step(index * TICK, TICK, state, openness) for index in range(round(seconds / TICK))]


def runs(poses: list[Pose], least: float) -> list[int]:
    """Lengths in frames of the stretches in which the lids are down by `least` or more."""
    return [len(list(group)) for down, group in itertools.groupby(poses, lambda pose: pose.lids >= least) if down]


@pytest.mark.parametrize("state", list(AvatarState))
def test_eyes_blink_as_people_do(state: AvatarState) -> None:
    """Every two to six seconds on average, closed for two frames at most."""
    poses = live(5, state, 120)
    assert 120 / 6 <= len(runs(poses, 0.3)) <= 120 / 1.8
    assert max(runs(poses, 0.95)) <= 2


def test_a_listener_blinks_more_often_and_nods() -> None:
    """Listening is seen: more blinks, nods that idling has none of, a head held to one side."""
    idle, listening = (live(3, state, 120) for state in (AvatarState.IDLE, AvatarState.LISTENING))
    assert len(runs(listening, 0.3)) > len(runs(idle, 0.3))
    deep = [pose.head.nod > 0.02 for pose in listening]
    assert sum(not before and after for before, after in itertools.pairwise(deep)) >= 10
    assert max(pose.head.nod for pose in idle) < 0.02
    tilt = [abs(float(np.mean([pose.head.roll for pose in poses[100:]]))) for poses in (idle, listening)]
    assert tilt[1] > tilt[0] + 0.01


def test_a_speaker_moves_more() -> None:
    """Speech sways the head more than waiting does, and stresses bow it."""
    idle = live(3, AvatarState.IDLE, 60)
    speaking, stressed = (live(3, AvatarState.SPEAKING, 60, openness=openness) for openness in (0.0, 0.8))
    assert np.std([p.head.across for p in speaking]) > 1.3 * np.std([p.head.across for p in idle])
    assert np.mean([p.head.nod for p in stressed]) > np.mean([p.head.nod for p in speaking]) + 0.005


def test_idling_breathes_and_stays_small() -> None:
    """The head is never still for a second, and never further than a twelfth of the face from where it was."""
    poses = [pose.head for pose in live(9, AvatarState.IDLE, 60)]
    seconds = np.reshape([head.down for head in poses], (60, 25))
    assert np.ptp(seconds, axis=1).min() > 0.0005
    assert max(abs(value) for head in poses for value in (head.across, head.down, head.roll, head.turn)) < 1 / 12


def test_movements_are_smooth() -> None:
    """From frame to frame no part jumps, whatever the avatar begins to do."""
    motion, states = Motion(4), [AvatarState.IDLE, AvatarState.SPEAKING, AvatarState.LISTENING]
    poses = [motion.step(i * TICK, TICK, states[i // 60 % 3], 0.5 * (i // 7 % 2)) for i in range(1500)]
    for name in ("across", "down", "roll", "zoom", "turn"):
        steps = np.abs(np.diff([getattr(pose.head, name) for pose in poses]))
        assert steps.max() < 0.012, name


def test_seeds_differ_and_repeat() -> None:
    """One seed, one life; another seed, another."""
    assert live(1, AvatarState.IDLE, 10) == live(1, AvatarState.IDLE, 10)
    assert live(1, AvatarState.IDLE, 10) != live(2, AvatarState.IDLE, 10)


def test_a_leap_in_time_is_survived() -> None:
    """After minutes without a frame the face goes on: no blink lasts, no pose runs away."""
    motion = Motion(1)
    motion.step(0.0, TICK, AvatarState.IDLE, 0.0)
    poses = [motion.step(600 + i * TICK, 600 if i == 0 else TICK, AvatarState.LISTENING, 0.0) for i in range(250)]
    assert max(runs(poses, 0.95), default=0) <= 2
    assert 2 <= len(runs(poses, 0.3)) <= 6
