"""Speed against arenas, cars, network width and worker processes: one JSON and one plot."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlbot.benchmark.measure import SPEEDS, measure, summary
from rlbot.device import most_workers
from rlbot.errors import InputError

TITLES = {"arenas": "arenas", "cars": "cars in an arena", "width": "network width", "workers": "worker processes"}


def points(quick: bool) -> dict[str, dict[Any, list[str]]]:
    """The words of the train command for each point of each curve; one thing changes, the rest is as given."""
    arenas = (1, 4) if quick else (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    widths = (64, 128) if quick else (64, 128, 256, 512, 1024)
    workers = (0, 1) if quick else tuple(dict.fromkeys((0, 1, *range(2, most_workers(), 2), most_workers())))
    return {
        "arenas": {count: [f"--data.num_envs={count}"] for count in arenas},
        "cars": {
            mode: [f"--curriculum.stages=[{{mode: {mode}, opponent: selfplay}}]"] for mode in ("1v1", "1v2", "2v2")
        },
        "width": {width: [f"--model.hidden_sizes=[{width}, {width}]"] for width in widths},
        "workers": {count: [f"--data.num_workers={count}"] for count in workers},
    }


def draw(words: Sequence[str], folder: Path, iterations: int, quick: bool) -> dict[str, Any]:
    """Measure every point and write ``speed.json`` and ``speed.svg`` into the folder; what the JSON holds.

    Raises:
        InputError: matplotlib is missing, or the folder cannot be written.
    """
    try:
        import matplotlib  # noqa: F401 - is it there, before minutes of measuring
    except ModuleNotFoundError as error:
        raise InputError("--curves: plots need matplotlib; install it with 'pip install matplotlib'") from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--curves={folder}: cannot be written ({error.strerror})") from error
    held = ["--curriculum.stages=[{mode: 1v1, opponent: selfplay}]"]
    small = ["--data.batch_size=256", "--data.minibatch_size=256"] if quick else []
    found: dict[str, Any] = {"curves": {}}
    for curve, settings in points(quick).items():
        found["curves"][curve] = {}
        for value, own in settings.items():
            figures = summary([measure([*words, *held, *small, *own], iterations, looked_into=0)])
            found["curves"][curve][str(value)] = {name: figures[name] for name in (*SPEEDS, "share", "num_workers")}
            found["machine"] = figures["machine"]
            print(f"[OK] {TITLES[curve]} {value}: {figures['overall']:,.0f} timesteps/sec", flush=True)
    (folder / "speed.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    plot(found, folder / "speed.svg")
    print(f"[OK] {folder / 'speed.json'} and {folder / 'speed.svg'} written", flush=True)
    return found


def plot(found: dict[str, Any], file: Path) -> None:
    """Four panels of lines: collect, learn and overall, in thousands of agent timesteps a second."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "speed"  # the same figures give the same file
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 2, figsize=(10, 7), layout="constrained")
    for panel, (curve, values) in zip(panels.flat, found["curves"].items(), strict=True):
        for name in ("collect", "learn", "overall"):
            panel.plot(list(values), [value[name] / 1000 for value in values.values()], marker="o", label=name)
        panel.set_xlabel(TITLES[curve])
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
    panels[0, 0].legend()
    machine = found["machine"]
    figure.suptitle(f"thousand agent timesteps a second, {machine['cores']} cores of {machine['processor']}")
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
