"""What is said of a soaked run when something does not hold, and that nothing is said when everything does."""

import os

import numpy as np
import pytest
import torch
from torch.utils.tensorboard import SummaryWriter

from rlbot.runs import PARTS, numbered_name
from rlbot.soak.lives import KILL, TERMINATE, Life, Point, ends
from rlbot.soak.verdict import growth_of, leaks, missing_checkpoints, repeated_timesteps, uncounted_faults, wrong_ends

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals have no such names")


def points(*timesteps, memory=0.0, handles=0.0):
    """Iterations, with MB and handles more at each."""
    return [Point(at, 500 + k * memory, int(9 + k * handles), 0, False) for k, at in enumerate(timesteps)]


def life(signum=0, code=0, saved=300, seen=(100, 200, 300)):
    return Life(0, signum, code, points(*seen), saved, "its last words")


@pytest.mark.parametrize(
    "good",
    [
        life(),
        life(TERMINATE, 143),
        life(KILL, -9),
        life(KILL, -9, saved=150),  # an interval of 50 and an iteration of 100 before
        life(KILL, -9, saved=400),  # after its save, before its witness
    ],
)
def test_life_that_ends_as_it_should_is_passed_over(good):
    assert list(wrong_ends([good], save_interval=50)) == []


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (life(code=75), "life 2 (to the end) ended with code 75 instead of 0: its last words"),
        (life(TERMINATE, -15), "life 2 (SIGTERM) ended with code -15 instead of 143: its last words"),
        (life(TERMINATE, 143, saved=200), "life 2 (SIGTERM) came to 300 timesteps and saved 200"),
        (life(KILL, -9, saved=149), "life 2 (SIGKILL) came to 300 timesteps and saved 149"),
        (life(saved=400), "life 2 (to the end) came to 300 timesteps and saved 400"),
        (life(KILL, -9, saved=None), "life 2 (SIGKILL) left no checkpoint that can be read as last.ckpt"),
        (life(saved=100, seen=()), "life 2 (to the end) came to 0 timesteps and saved 100"),
    ],
)
def test_life_that_does_not_is_told_of(bad, said):
    assert list(wrong_ends([life(), bad], save_interval=50)) == [said]


def test_breakdown_must_be_counted_by_the_next_iteration():
    broken = [Point(100, 1, 1, 0, True), Point(200, 1, 1, 2, True), Point(300, 1, 1, 2, False)]
    kept = life()._replace(points=broken[:2])  # ended before the second could be counted
    assert list(uncounted_faults([kept])) == []
    assert [text[:42] for text in uncounted_faults([kept._replace(points=broken)])] == [
        "the physics was broken at 200 timesteps an"
    ]
    assert list(uncounted_faults([life()])) == ["the physics was never broken"]


def save(folder, *timesteps):
    for at in timesteps:
        torch.save({part: {} for part in PARTS}, folder / numbered_name(at))


def test_every_multiple_of_the_interval_has_a_checkpoint_soon_after(tmp_path):
    save(tmp_path, 128, 200, 320)
    assert list(missing_checkpoints(tmp_path, 320, 100, 64)) == []
    assert list(missing_checkpoints(tmp_path, 420, 100, 64)) == ["no checkpoint was kept within 64 timesteps after 400"]
    late = ["no checkpoint was kept within 28 timesteps after 100"]
    assert list(missing_checkpoints(tmp_path, 320, 100, 28)) == late


def test_checkpoint_that_cannot_be_read_is_told_of(tmp_path):
    save(tmp_path, 100)
    (tmp_path / numbered_name(100)).write_bytes(b"cut")
    assert [text.endswith("(cut or no checkpoint)") for text in missing_checkpoints(tmp_path, 150, 100, 50)] == [True]


@pytest.mark.parametrize(("second", "found"), [(3, []), (2, ["TensorBoard's speed has timesteps twice"])])
def test_timestep_that_tensorboard_shows_twice_is_told_of(tmp_path, second, found):
    with SummaryWriter(str(tmp_path)) as writer:
        for step in (1, 2, second, 4):
            writer.add_scalar("speed", 1.0, step)
    assert list(repeated_timesteps(tmp_path)) == found


LIFE = range(1000, 101_000, 1000)


def test_memory_and_handles_that_stay_are_no_leak():
    noise = np.random.default_rng(1)
    still = [point._replace(memory=500 + noise.normal()) for point in points(*LIFE)]
    still[:20] = [point._replace(memory=k, handles=k) for k, point in enumerate(still[:20])]  # warming up
    assert list(leaks(still, most=2.0)) == []


def test_growth_is_told_to_100_000_timesteps():
    assert growth_of(points(*LIFE, memory=0.01)) == pytest.approx(1.0)
    assert list(leaks(points(*LIFE, memory=0.0101), most=1.0)) == ["memory grew by 1.01 MB in 100000 timesteps"]
    assert list(leaks(points(*LIFE, memory=0.0099), most=1.0)) == []


def test_handles_that_grow_are_told_of():
    assert list(leaks(points(*LIFE, handles=0.1), most=1.0)) == ["open files grew from 11 to 18"]


def test_too_short_a_life_is_told_of():
    assert list(leaks(points(1, 2), most=1.0)) == ["2 iterations are too few to see a leak"]


def test_signals_come_in_the_first_half():
    found = ends(1000, 100, np.random.default_rng(1))
    assert [signum for _, signum in found] == [KILL, TERMINATE] * 5
    assert [at for at, signum in found if signum == TERMINATE] == [100, 200, 300, 400, 500]
    assert all(k * 100 + 25 <= at < k * 100 + 100 for k, (at, _) in enumerate(found[::2]))
