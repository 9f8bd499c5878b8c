"""Past selves: files, results that fade, draws that can be repeated."""

import dataclasses
import os
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
import torch

from rlbot.errors import InputError
from rlbot.league.opponents import find
from rlbot.league.past_selves import PastSelves, PoolSettings
from rlbot.ppo.module import PPO

SETTINGS = PoolSettings(interval=100, size=3, num_opponents=4, half_life=1000)


def name(timesteps):
    return f"timesteps_{timesteps:012d}"


@pytest.fixture
def selves(tmp_path):
    """Three past selves, saved at 100, 200 and 300 timesteps."""
    torch.manual_seed(1)
    made = PastSelves(SETTINGS)
    made.begin(tmp_path / "run" / "pool")
    for timesteps in (100, 200, 300):
        made.add(PPO(hidden_sizes=(8,)), timesteps)
    return made


def test_file_holds_tensors_and_plays_by_its_path(selves):
    file = selves.files[name(200)]
    saved = torch.load(file, weights_only=True)
    assert all(isinstance(tensor, torch.Tensor) for tensor in saved["state_dict"].values())
    assert find(str(file))(np.zeros((2, 1, 180), np.float32), np.zeros((2, 1), np.float32)).shape == (2, 1, 8)


def test_file_that_is_dropped_is_deleted_only_with_the_next_one(selves):
    """Until then a save may name it."""
    old = selves.files[name(200)]
    selves.add(PPO(hidden_sizes=(8,)), 400)
    assert list(selves.files) == [name(100), name(300), name(400)]
    assert old.is_file()
    selves.add(PPO(hidden_sizes=(8,)), 500)
    assert not old.is_file()


def test_file_that_cannot_be_deleted_does_not_keep_others(selves, monkeypatch):
    def busy(self, missing_ok=False):
        raise PermissionError(13, "another program uses it")

    selves.add(PPO(hidden_sizes=(8,)), 400)
    monkeypatch.setattr(Path, "unlink", busy)
    selves.add(PPO(hidden_sizes=(8,)), 500)
    assert len(selves.files) == 3


def test_policy_that_is_not_finite_is_not_kept(selves):
    broken = PPO(hidden_sizes=(8,))
    torch.nn.init.constant_(broken.policy.actor[0].weight, float("nan"))
    selves.add(broken, 400)
    assert name(400) not in selves.files


def test_results_fade_by_half_in_a_half_life(selves):
    assert selves.win_rate(name(100)) == 0.5
    selves.count({f"pool/{name(100)}": (8.0, 8.0), "pool/nobody": (1.0, 1.0), "game/speed": (1.0, 1.0)}, 10)
    assert selves.win_rate(name(100)) == pytest.approx(10 / 12)  # four draws are thought to have been before
    selves.count({f"pool/{name(100)}": (0.0, 4.0)}, 1000)
    assert selves.results == {name(100): pytest.approx([4.0, 8.0])}
    assert selves.win_rate(name(100)) == pytest.approx(6 / 12)


def test_results_of_one_that_is_gone_are_forgotten(selves):
    selves.count({f"pool/{name(200)}": (8.0, 8.0)}, 1)
    selves.add(PPO(hidden_sizes=(8,)), 400)  # one too many: 200 goes
    selves.count({}, 1)
    assert selves.results == {}


def test_only_those_who_play_are_held_in_memory(selves):
    for drawn in ([name(100), name(200)], [name(300)]):
        selves.deal = drawn
        pool, _ = selves.opponent([1])
        assert list(pool.members) == drawn


def test_hard_ones_are_drawn_more_often_and_nobody_is_forgotten(selves):
    selves.count({f"pool/{name(100)}": (96.0, 96.0), f"pool/{name(200)}": (0.0, 96.0)}, 1)
    drawn = []
    for seed in range(500):
        selves.draw([seed])
        drawn += selves.deal
    shares = [drawn.count(name(timesteps)) / 2000 for timesteps in (100, 200, 300)]
    # Win rates 98/100, 2/100 and 1/2: weights 0.0004, 0.9604, 0.25; 0.2 for the newest, 0.1 for all alike.
    assert shares == pytest.approx([0.034, 0.589, 0.378], abs=0.03)


def test_what_is_drawn_depends_on_seed_files_and_results_only(selves):
    other = PastSelves(SETTINGS)
    other.load_state_dict(selves.state_dict())
    for past in (selves, other):
        past.draw([1, 500])
    assert selves.deal == other.deal
    deals = []
    for seed in range(20):
        selves.draw([seed, 500])
        deals.append(tuple(selves.deal))
    assert len(set(deals)) > 3


def resumed(state, folder, checkpoint):
    """What a run in this folder goes on with."""
    again = PastSelves(SETTINGS)
    again.load_state_dict(state)
    again.begin(folder / "pool", checkpoint)
    return again


def test_files_are_found_where_the_run_was_moved_to(selves, tmp_path):
    state, moved = selves.state_dict(), tmp_path / "moved"
    (tmp_path / "run").rename(moved)
    again = resumed(state, moved, moved / "checkpoints" / "last.ckpt")
    assert list(again.files.values()) == [moved / "pool" / f"{name(timesteps)}.ckpt" for timesteps in (100, 200, 300)]


def test_files_of_a_run_that_began_on_windows_are_found_elsewhere(selves, tmp_path):
    there = {name: PureWindowsPath(r"C:\bots\run\pool", file.name) for name, file in selves.files.items()}
    here, selves.files = selves.files, there
    again = resumed(selves.state_dict(), tmp_path / "new", tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert again.files == here


@pytest.mark.parametrize("folder", ["run", "new"])
def test_run_that_goes_on_elsewhere_finds_those_beside_its_checkpoint_and_no_other_run_s(selves, tmp_path, folder):
    selves.files[name(100)].unlink()  # as a later add does: an older checkpoint still names it
    state, moved = selves.state_dict(), tmp_path / "moved"
    (tmp_path / "run").rename(moved)
    other = PastSelves(SETTINGS)
    other.begin(tmp_path / ("run" if folder == "new" else "aside") / "pool")
    for timesteps in (100, 200, 300):
        other.add(PPO(hidden_sizes=(8,)), timesteps)
    again = resumed(state, tmp_path / folder, moved / "checkpoints" / "last.ckpt")
    assert {file.parent for file in again.by_timesteps().values()} == {moved / "pool"}
    again.deal = [*again.files]
    assert again.opponent([1])[1] == [f"{moved / 'pool' / name(100)}.ckpt: there is no such file"]


def test_checkpoint_away_from_its_run_leaves_the_paths_as_they_are(selves, tmp_path):
    (tmp_path / "new" / "pool").mkdir(parents=True)
    again = resumed(selves.state_dict(), tmp_path / "new", tmp_path / "copied.ckpt")
    assert again.state_dict() == selves.state_dict()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_run_that_goes_on_in_its_folder_keeps_its_paths_also_through_a_link(selves, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "run", target_is_directory=True)
    for seen in (tmp_path / "run", tmp_path / "link"):
        again = resumed(selves.state_dict(), tmp_path / "run", seen / "checkpoints" / "last.ckpt")
        assert again.state_dict() == selves.state_dict()


def test_unreadable_files_are_dropped_and_others_drawn(selves):
    for timesteps in (100, 300):
        selves.files[name(timesteps)].write_bytes(b"")
    selves.deal = [name(100), name(300), name(300), name(100)]
    pool, dropped = selves.opponent([1])
    assert len(dropped) == 2
    assert (list(pool.members), list(selves.files)) == ([name(200)], [name(200)])
    selves.files[name(200)].unlink()
    fresh = PastSelves(SETTINGS)
    fresh.load_state_dict(selves.state_dict())
    assert fresh.opponent([1])[0] is None


def test_guests_are_drawn_like_past_selves_and_drive(selves):
    guested = PastSelves(dataclasses.replace(SETTINGS, guests=["idle", "chaser"]))
    guested.load_state_dict(selves.state_dict())
    guested.count({"pool/idle": (96.0, 96.0), "pool/chaser": (0.0, 96.0), "pool/goalie": (0.0, 96.0)}, 1)
    drawn = []
    for seed in range(500):
        guested.draw([seed])
        drawn += guested.deal
    # Win rates 98/100, 2/100 and three of 1/2: weights 0.0004, 0.9604 and 0.25; 0.2 for the newest, 0.1 for all alike.
    shares = [drawn.count(name) / 2000 for name in ("idle", "chaser", name(300))]
    assert shares == pytest.approx([0.02, 0.413, 0.322], abs=0.03)
    guested.deal = ["chaser", name(100)]
    pool, dropped = guested.opponent([1])
    assert dropped == []
    seen, noise = np.zeros((4, 1, 180), np.float32), np.full((4, 1), 0.5, np.float32)
    throttle = pool(seen, noise)[:, 0, 0]
    assert throttle[[0, 2]].tolist() == [1.0, 1.0]  # the chaser's arenas
    assert np.array_equal(throttle[[1, 3]], find(str(guested.files[name(100)]))(seen, noise)[[1, 3], 0, 0])


def test_guests_that_a_resumed_run_does_not_have_any_more_are_not_missed(selves):
    selves.deal = ["idle", "idle"]
    pool, dropped = selves.opponent([1])
    assert dropped == []
    assert set(pool.members) <= set(selves.files)


def test_unknown_guest_is_refused():
    with pytest.raises(InputError, match="'stranger' is none of random, idle"):
        PastSelves(dataclasses.replace(SETTINGS, guests=["stranger"]))


def test_settings_out_of_range_are_all_named():
    wrong = dataclasses.replace(SETTINGS, size=1, newest_share=0.8, any_share=0.3)
    with pytest.raises(
        ValueError, match=r"^curriculum.pool: size=1 \(at least 2\); any_share=0.3 \(0 to 1 with newest"
    ):
        PastSelves(wrong)


def test_files_of_the_run_that_was_resumed_from_stay(selves, tmp_path):
    first = list(selves.files.values())
    selves.begin(tmp_path / "second" / "pool")
    for timesteps in (400, 500, 600, 700):
        selves.add(PPO(hidden_sizes=(8,)), timesteps)
    assert all(file.is_file() for file in first)


@pytest.mark.parametrize("folder", ["run", "moved"])
def test_file_that_was_to_be_deleted_is_so_after_a_resume(selves, tmp_path, folder):
    selves.add(PPO(hidden_sizes=(8,)), 400)
    (tmp_path / "run").rename(tmp_path / folder)
    again = resumed(selves.state_dict(), tmp_path / folder, tmp_path / folder / "checkpoints" / "last.ckpt")
    again.add(PPO(hidden_sizes=(8,)), 500)
    assert not (tmp_path / folder / "pool" / f"{name(200)}.ckpt").is_file()


def test_new_stage_knows_no_results_and_has_no_opponents_yet(selves):
    selves.count({f"pool/{name(100)}": (8.0, 8.0)}, 10)
    selves.draw([1])
    selves.begin_stage()
    assert (selves.win_rate(name(100)), selves.deal) == (0.5, [])


def test_files_are_in_the_order_of_their_timesteps_however_they_came(selves):
    selves.files = dict(reversed(selves.files.items()))
    assert list(selves.by_timesteps()) == [100, 200, 300]


def test_guest_from_a_file_draws_nothing_from_the_runs_random_stream(selves):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    PastSelves(dataclasses.replace(SETTINGS, guests=[str(selves.files[name(100)])]))
    assert torch.equal(torch.get_rng_state(), before)
