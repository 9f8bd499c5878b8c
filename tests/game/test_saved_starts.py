"""Opening positions from a file: what was saved is drawn, and what cannot be used is named in one line."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rlbot.errors import InputError
from rlbot.game.saved_starts import NAMES, SavedStart, save_starts
from rlbot.game.starts import RandomStart

FOUR = np.array([0, 0, 1, 1])


@pytest.fixture
def starts():
    rng = np.random.default_rng(0)
    return [RandomStart()(rng, FOUR) for _ in range(5)]


@pytest.fixture
def file(tmp_path, starts):
    save_starts(tmp_path / "starts.npz", FOUR, starts)
    return str(tmp_path / "starts.npz")


def test_every_saved_position_is_drawn_as_it_was_saved(file, starts):
    kind, rng = SavedStart(file), np.random.default_rng(1)
    found = {round(float(s.ball_position[0]), 2): s for s in (kind(rng, FOUR) for _ in range(100))}
    assert len(found) == 5
    for start in starts:
        drawn = found[round(float(start.ball_position[0]), 2)]
        for name in NAMES:
            assert_allclose(getattr(drawn, name), getattr(start, name), rtol=1e-6)


def test_a_smaller_match_takes_the_first_cars_of_each_team(file, starts):
    kind, rng = SavedStart(file), np.random.default_rng(0)
    for _ in range(20):
        drawn = kind(rng, np.array([0, 1, 1]))
        saved = next(s for s in starts if abs(s.ball_position[0] - drawn.ball_position[0]) < 0.01)
        assert_allclose(drawn.car_boost, saved.car_boost[[0, 2, 3]], rtol=1e-6)
        assert_allclose(drawn.car_position, saved.car_position[[0, 2, 3]], rtol=1e-6)


def test_a_file_with_too_few_cars_of_a_team_is_refused(file):
    with pytest.raises(InputError, match=r"starts.npz has 2 orange cars, the match 3$"):
        SavedStart(file)(np.random.default_rng(0), np.array([0, 1, 1, 1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"team": None}, "team is not a file in the archive"),
        ({"team": [0, 0, 1, 2]}, r"team must be \(K,\) of 0 and 1, and is \[0, 0, 1, 2\]"),
        ({"car_boost": np.zeros((5, 3))}, r"car_boost has shape \(5, 3\), expected \(5, 4\)"),
        ({"ball_velocity": np.full((5, 3), np.nan)}, "ball_velocity holds something that is no finite number"),
        ({"ball_position": np.full((5, 3), 5000.0)}, "position 0 has a body outside the field"),
        ({"car_position": np.ones((5, 4, 3))}, "position 0 has two bodies in one place"),
        ({"ball_position": np.zeros((0, 3))}, "ball_position holds no position"),
        ({"car_velocity": np.array([object()])}, "is not a .npz file of plain numbers"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(file, change, message):
    with np.load(file) as held:
        arrays = {**held, **change}
    np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=message) as error:
        SavedStart(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04", "a .npy"])
def test_a_file_that_is_none_ends_the_command_with_one_line(fit, tmp_path, content):
    path = tmp_path / "wrong.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        with path.open("wb") as stream:
            np.save(stream, np.zeros(3))
    saved = f'{{"class_path": "rlbot.game.saved_starts.SavedStart", "init_args": {{"file": "{path}"}}}}'
    run = fit(tmp_path, f"--data.starts=[{saved}]")
    assert run.code == 2
    assert f"SavedStart.file={path}" in run.err
    assert len(run.err.strip().splitlines()) == 1


def test_a_file_with_too_few_cars_for_a_later_stage_is_refused_at_once(fit, tmp_path):
    path = tmp_path / "two.npz"
    save_starts(path, [0, 1], [RandomStart()(np.random.default_rng(0), np.array([0, 1]))])
    saved = f'{{"class_path": "rlbot.game.saved_starts.SavedStart", "init_args": {{"file": "{path}"}}}}'
    stages = "--curriculum.stages=[{mode: 1v1}, {mode: 2v2, from_timesteps: 128}]"
    run = fit(tmp_path, f"--data.starts=[{saved}]", stages)
    assert (run.code, run.err) == (2, f"[ERROR] SavedStart.file={path} has 1 blue cars, the match 2\n")


def test_positions_that_could_not_be_used_are_not_saved(tmp_path, starts):
    starts[3].car_position[1] = starts[3].ball_position
    with pytest.raises(ValueError, match=r"^position 3 has two bodies in one place$"):
        save_starts(tmp_path / "starts.npz", FOUR, starts)
    assert not (tmp_path / "starts.npz").exists()
