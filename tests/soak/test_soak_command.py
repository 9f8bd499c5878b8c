"""A soak in small, by the real command: it holds through signals and breakdowns, and a leak is found."""

import os

import pytest

from rlbot.errors import InputError
from rlbot.soak import command

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs signals")
SMALL = """
model: {hidden_sizes: [8]}
data: {num_envs: 2, batch_size: 64, minibatch_size: 64, epochs: 1}
curriculum: {stages: [{mode: 1v1}]}
evaluation: {interval: null}
checkpoint: {interval: 128}
save_interval: 64
"""
LEAK = """
from rlbot.game.rewards import Touch

class Leak(Touch):
    kept = []

    def __call__(self, state):
        self.kept += [bytes(range(256)) * 512, open(__file__)]
        return super().__call__(state)
"""  # 0.13 MB a step


def soak(folder, *words):
    (folder / "small.yaml").write_text(SMALL, encoding="utf-8")
    own = ("--nan_interval=100", "--growth=50", f"--logdir={folder / 'soak'}")
    return command.main([*own, "--config", str(folder / "small.yaml"), *words])


def test_run_holds_through_breakdowns_and_signals(tmp_path, capsys):
    assert soak(tmp_path, "--timesteps=6400", "--end_interval=3200") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(", saved")[0] for line in said[:-1]] == [
        "[OK] Life 1: signal SIGKILL, code -9",
        "[OK] Life 2: signal SIGTERM, code 143",
        "[OK] Life 3: signal none, code 0",
    ]
    assert said[-1].startswith("[OK] 6400 timesteps in 3 lives, ")


def test_leak_of_memory_and_of_open_files_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaking.py").write_text(LEAK, encoding="utf-8")
    given = '--data.rewards=[{"class_path": "leaking.Leak"}]'
    assert soak(tmp_path, "--timesteps=3200", "--end_interval=6400", "--allow=leaking", given) == 1
    said = capsys.readouterr().out
    assert "[ERROR] memory grew by " in said
    assert "[ERROR] open files grew from " in said
    assert said.count("[ERROR]") == 3  # those, and the line that sums up


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--timesteps=3"], "--timesteps 3: must be at least 4"),
        (["--logdir=."], "--logdir .: is there already"),
        (["--seed=one"], "--seed: invalid int value: 'one'"),
    ],
)
def test_words_that_cannot_be_used_are_refused(words, said):
    with pytest.raises(InputError, match=said):
        command.main(words)


def test_training_that_does_not_begin_is_told_of_at_once(tmp_path):
    with pytest.raises(InputError, match=r"soak: the training does not run: \[ERROR\] .*num_envz"):
        soak(tmp_path, "--data.num_envz=2")
