"""Recipes are trained, played and drawn by one command."""

import importlib.util
import json

import pytest

from rlbot.__main__ import ROOT

spec = importlib.util.spec_from_file_location("compare", ROOT / "scripts" / "compare.py")
assert spec is not None
assert spec.loader is not None
compare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare)

TINY = """
model: {hidden_sizes: [8]}
data: {num_envs: 2, batch_size: 64, minibatch_size: 32, num_workers: 0}
curriculum: {stages: [{mode: 1v1}]}
"""


def test_mark_is_reached_where_the_mean_of_five_iterations_reaches_it():
    curve = [(100 * i, float(i)) for i in range(1, 11)]  # 1 at 100, 2 at 200, ...
    assert compare.first_reached(curve, 5.0) == 700  # (3 + 4 + 5 + 6 + 7) / 5
    assert compare.first_reached(curve, 8.5) is None
    assert compare.at(curve, 650) == 4.0  # (2 + 3 + 4 + 5 + 6) / 5
    assert compare.at(curve, 1001) is None


def test_comparison_is_written_and_goes_on_where_it_was(tmp_path, capsys, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    words = [f"tiny={tmp_path / 'tiny.yaml'}", "--seeds", "3", "4", "--timesteps", "320", "--games", "2"]
    words += ["--opponents", "idle", "--reference", "random", "--workers", "1"]
    words += ["--logs", str(tmp_path / "logs"), "--out", str(tmp_path / "out" / "found")]
    assert compare.main(words) == 0
    found = json.loads((tmp_path / "out" / "found.json").read_text())["tiny"]
    assert sorted(found) == ["3", "4"]
    assert [step for step, _ in found["3"]["curves"]["game/goals_per_minute"]] == list(range(64, 321, 64))
    seeds = [run.read_text().splitlines()[1] for run in sorted((tmp_path / "logs").rglob("config.yaml"))]
    assert seeds == ["seed_everything: 3", "seed_everything: 4"]
    assert 0 <= found["4"]["win_rate_idle"] <= 1
    assert 0 <= found["4"]["win_rate_reference"] <= 1
    assert not any("chaser" in name for name in found["4"])
    assert "<svg" in (tmp_path / "out" / "found.svg").read_text()
    first = capsys.readouterr().out
    monkeypatch.setattr(compare, "_call", lambda *words: pytest.fail("nothing is left to do"))
    assert compare.main(words) == 0
    assert first.endswith(capsys.readouterr().out)
    played: list[tuple[str, ...]] = []
    monkeypatch.setattr(compare, "_call", lambda *words: played.append(words))
    words[words.index("random")] = "chaser"  # results against another reference are not this one's
    assert compare.main(words) == 0
    assert [call[2] for call in played] == ["chaser", "chaser"]
