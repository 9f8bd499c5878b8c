"""The curves end in a JSON and a plot."""

import json


def test_curves_are_measured_and_drawn_by_one_command(benchmark, tmp_path):
    found = benchmark("--curves=speed", "--quick", "--iterations=1")
    curves = json.loads((tmp_path / "speed" / "speed.json").read_text(encoding="utf-8"))["curves"]
    assert {name: list(curve) for name, curve in curves.items()} == {
        "arenas": ["1", "4"], "cars": ["1v1", "1v2", "2v2"], "width": ["64", "128"], "workers": ["0", "1"]
    }  # fmt: skip
    assert found["curves"] == curves
    assert min(point["overall"] for curve in curves.values() for point in curve.values()) > 0
    assert "<svg" in (tmp_path / "speed" / "speed.svg").read_text(encoding="utf-8")
