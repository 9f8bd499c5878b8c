"""The marks of the known tasks: what is read of a run, and what the command makes of it."""

from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from rlbot.compare import calls, known_tasks
from rlbot.errors import InputError


def wrote(run, episodes):
    """A run's events, given (timesteps, episodes that ended, their mean return) of each iteration."""
    with SummaryWriter(str(run)) as writer:
        for timesteps, count, mean in episodes:
            writer.add_scalar("game/episode_return", mean, timesteps)
            writer.add_scalar("game/episodes", count, timesteps)


def test_mean_return_is_of_the_episodes_that_ended_late(tmp_path):
    wrote(tmp_path, [(500, 90, 10.0), (900, 50, 20.0), (950, 3, 300.0), (1000, 1, 500.0)])
    assert known_tasks.mean_return(tmp_path) == pytest.approx(350.0)


@pytest.mark.parametrize(("pole", "code"), [(475.0, 0), (474.0, 1)])
def test_every_seed_of_every_task_has_to_reach_its_mark(monkeypatch, capsys, pole, code):
    called = []

    def call(script, *words):
        given = dict(zip(words[::2], words[1::2], strict=True))
        task, seed = Path(given["--config"]).stem, given["--seed_everything"]
        called.append((script, task, seed))
        mean = -300.0 if task == "pendulum" else pole if seed == "5" else 500.0
        wrote(given["--logdir"], [(1000, 4, mean)])

    monkeypatch.setattr(calls, "call", call)
    assert known_tasks.main(["--seeds", "4", "5"]) == code
    assert called == [("train", task, seed) for seed in "45" for task in ("cartpole", "pendulum")]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["[OK]", "[OK]", "[ERROR]" if code else "[OK]", "[OK]"]
    assert f"cartpole seed 5: mean return {pole:.1f} (mark 475)" in lines[2]


def test_seed_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="--seeds: invalid int value: 'one'"):
        known_tasks.main(["--seeds", "one"])
