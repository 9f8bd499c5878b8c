"""What more machines bring, worked out by hand."""

import json

import pytest

from rlbot.benchmark import scaling
from rlbot.errors import InputError

EXACT = ["--batch-size=1000", "--collect=2", "--spread=0", "--learn=2", "--updates=10"]


def test_exchange_of_a_ring():
    assert scaling.exchange_seconds(1, 10.0, 100.0, 0.5) == 0
    # 4 machines: 6 messages of 2.5 MB, each 0.001 + 0.025 seconds
    assert scaling.exchange_seconds(4, 10.0, 100.0, 0.001) == pytest.approx(0.156)


def test_without_spread_only_the_exchange_costs():
    costs = scaling.read_costs([*EXACT, "--megabytes=10", "--bandwidth=100", "--latency=0.001"])
    row = scaling.simulate(4, costs)
    assert (row["collect"], row["straggler_loss"], row["exchange"]) == (2.0, 0.0, 1.68)  # 1.56 and 2 x 6 x 0.001 x 10
    assert row["timesteps_per_second"] == pytest.approx(4000 / 5.68, abs=0.05)
    assert row["efficiency"] == pytest.approx(4 / 5.68, abs=5e-4)


def test_two_machines_wait_for_the_slower_rollout():
    # of two normal numbers the larger is expected 0.564 standard deviations above the mean: 2 + 0.0564
    row = scaling.simulate(2, scaling.read_costs([*EXACT[:2], "--spread=0.05", "--iterations=20000"]))
    assert row["collect"] == pytest.approx(2 + 0.564 * 0.1, abs=0.003)


def test_same_seed_gives_the_same_table_as_json(tmp_path, capsys):
    tables = []
    for seed in (1, 1, 2):
        assert scaling.main([f"--json={tmp_path / 'out.json'}", f"--seed={seed}", "--iterations=10"]) == 0
        tables.append(json.loads((tmp_path / "out.json").read_text())["rows"])
    assert tables[0] == tables[1] != tables[2]
    assert [row["machines"] for row in tables[0]] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert capsys.readouterr().out.count("\n") == 27


@pytest.mark.parametrize("word", ["--collect=0", "--spread=-1", "--bandwidth=0", "--updates=many", "--json=no/file"])
def test_impossible_cost_is_refused_by_name(word):
    with pytest.raises(InputError, match=word.split("=")[0]):
        scaling.main([word, "--iterations=1"])
