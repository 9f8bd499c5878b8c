"""Compare recipes: train each with several seeds, let the bots play whole matches, and draw what was found.

    python scripts/compare.py base=configs/1v1.yaml mine=my.yaml --seeds 1 2 3 --timesteps 5000000 --out docs/learning/x

A recipe is a name and the YAML files that stack on configs/base.yaml, joined by commas. Trainings and evaluations that
are there already are not repeated, so a comparison that was cut short goes on, and recipes can be added to an old one.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[1]
OPPONENTS = ("random", "idle", "chaser")
PANELS = {  # what the plot shows by timesteps: the tag and what it means
    "game/touches_per_minute": "touches a minute a car",
    "game/goals_per_minute": "goals a minute a car",
}
SHARES = ("win_rate", "goal_share_chaser", "goal_share_reference")  # of whole matches, in the plot
ENOUGH_TOUCHES = 10.0  # a minute a car: "it goes for the ball"
WINDOW = 5  # iterations a curve is averaged over before it is judged


class Run:
    """One recipe with one seed.

    Args:
        recipe: its name.
        files: what stacks on configs/base.yaml.
        seed: of everything.
        given: the command line.
    """

    def __init__(self, recipe: str, files: Sequence[str], seed: int, given: argparse.Namespace) -> None:
        self.recipe, self.files, self.seed, self.given = recipe, files, seed, given
        self.folder = given.logs / recipe / f"seed_{seed}"

    @property
    def checkpoint(self) -> Path:
        """What the training ends with."""
        return self.folder / "checkpoints" / "last.ckpt"

    def train(self) -> None:
        """Through the real command; a training that is there already is left alone."""
        done = self.folder / "trained"
        if done.is_file():
            return
        words = [word for file in (ROOT / "configs" / "base.yaml", *self.files) for word in ("--config", str(file))]
        words += ["--timesteps", str(self.given.timesteps), "--seed_everything", str(self.seed)]
        _call("train", *words, "--logdir", str(self.folder), *self.given.train)
        done.touch()
        print(f"[OK] {self.recipe} seed {self.seed} trained", flush=True)

    def play(self, name: str, opponent: str) -> dict[str, Any]:
        """The JSON of the evaluate command against one opponent, which is called ``name`` in what is written."""
        file = self.folder / f"against_{name}.json"
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if (found.get("b"), found.get("games")) != (opponent, self.given.games):  # not played yet, or something else
            games, workers = str(self.given.games), str(self.given.workers)
            words = [str(self.checkpoint), opponent, "--games", games, "--workers", workers]
            _call("evaluate", *words, "--json", str(file))
            found = json.loads(file.read_text(encoding="utf-8"))
        return found

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """(timesteps, value) of each iteration by tag."""
        events = EventAccumulator(str(self.folder), size_guidance={"scalars": 0})
        events.Reload()
        return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in PANELS}


def _call(script: str, *words: str) -> None:
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *words]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"[ERROR] {script} {' '.join(words)}: {done.stderr.strip().splitlines()[-1:]}")


def first_reached(curve: Sequence[tuple[int, float]], mark: float) -> int | None:
    """Timesteps at which the mean over the last few iterations first is at least the mark."""
    for end in range(WINDOW, len(curve) + 1):
        if statistics.fmean(value for _, value in curve[end - WINDOW : end]) >= mark:
            return curve[end - 1][0]
    return None


def at(curve: Sequence[tuple[int, float]], timesteps: int) -> float | None:
    """Mean over the last few iterations up to so many timesteps; None where the curve is too short."""
    values = [value for step, value in curve if step <= timesteps][-WINDOW:]
    return statistics.fmean(values) if values and curve[-1][0] >= timesteps else None


def judge(run: Run, opponents: Mapping[str, str]) -> dict[str, Any]:
    """What one run came to, with its curves."""
    curves = run.curves()
    touches = curves["game/touches_per_minute"]
    found: dict[str, Any] = {"timesteps_to_10_touches": first_reached(touches, ENOUGH_TOUCHES)}
    for mark in (1_000_000, 2_000_000, 3_500_000, run.given.timesteps):
        found[f"touches_at_{mark}"] = at(touches, mark)
    for name, opponent in opponents.items():
        played = run.play(name, opponent)
        goals = played["goals_for"] + played["goals_against"]
        found[f"win_rate_{name}"] = played["win_rate"]
        found[f"goal_share_{name}"] = played["goals_for"] / goals if goals else None
    return found | {"curves": curves}


def plot(results: dict[str, dict[str, dict[str, Any]]], file: Path) -> None:
    """Curves of every recipe, a colour each and a line a seed, and the strength it ends with, a dot a seed."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "learning"  # the same figures give the same file
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(PANELS) + 1, figsize=(5 * len(PANELS) + 5, 4.5), layout="constrained")
    for place, (recipe, seeds) in enumerate(results.items()):
        for panel, (tag, title) in zip(panels, PANELS.items(), strict=False):
            for number, found in enumerate(seeds.values()):
                steps, values = zip(*found["curves"][tag], strict=True)
                label = None if number else recipe
                panel.plot([step / 1e6 for step in steps], values, color=f"C{place}", lw=0.8, label=label)
            panel.set(title=title, xlabel="million timesteps", ylim=(0, None))
        for found in seeds.values():
            shares = {name: value for name, value in found.items() if name.startswith(SHARES)}
            panels[-1].scatter([place] * len(shares), shares.values(), c=[f"C{k}" for k in range(len(shares))])
    for k, name in enumerate(shares):
        panels[-1].scatter([], [], color=f"C{k}", label=name.replace("_", " "))
    panels[-1].set(title="whole matches", xticks=range(len(results)), ylim=(0, 1))
    panels[-1].set_xticklabels(list(results), rotation=20)
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """A Markdown row a recipe: the mean over seeds, and lowest to highest."""
    names = [name for name in next(iter(next(iter(results.values())).values())) if name != "curves"]
    lines = [f"| recipe | {' | '.join(name.replace('_', ' ') for name in names)} |", "| --- " * (len(names) + 1) + "|"]
    for recipe, seeds in results.items():
        cells = []
        for name in names:
            values = [found[name] for found in seeds.values() if found[name] is not None]
            digits = ",.0f" if name.startswith("timesteps") else ".1f" if name.startswith("touches") else ".2f"
            mean = f"{statistics.fmean(values):{digits}}" if values else "-"
            cells.append(f"{mean} ({min(values):{digits}} to {max(values):{digits}})" if len(values) > 1 else mean)
        lines.append(f"| {recipe} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", metavar="NAME=FILE[,FILE]", help="what to compare")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="one training each")
    parser.add_argument("--timesteps", type=int, default=5_000_000, help="of each training")
    parser.add_argument("--games", type=int, default=200, help="whole matches against each opponent")
    parser.add_argument("--opponents", nargs="*", default=OPPONENTS, help="of whole matches, beside --reference")
    parser.add_argument("--reference", metavar="CHECKPOINT", help="another opponent of all")
    parser.add_argument("--parallel", type=int, default=1, help="trainings side by side")
    parser.add_argument("--workers", type=int, default=2, help="processes of an evaluation")
    parser.add_argument("--logs", type=Path, default=Path("logs/compare"), help="folder of the trainings")
    parser.add_argument("--out", type=Path, required=True, help="writes OUT.json, OUT.svg and OUT.md")
    parser.add_argument("--train", nargs=argparse.REMAINDER, default=[], help="further words for every training, last")
    given = parser.parse_args(arguments)
    for recipe in given.recipes:
        if "=" not in recipe:
            parser.error(f"{recipe}: a recipe is NAME=FILE[,FILE]")
    return given


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, evaluate, write; the exit code."""
    given = _parse(arguments)
    named = {name: files.split(",") for name, files in (recipe.split("=", 1) for recipe in given.recipes)}
    runs = [Run(name, files, seed, given) for seed in given.seeds for name, files in named.items()]
    with ThreadPoolExecutor(given.parallel) as pool:
        list(pool.map(Run.train, runs))
    opponents = {Path(opponent).stem: opponent for opponent in given.opponents}
    if given.reference:
        opponents["reference"] = given.reference
    results: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in named}
    for run in runs:
        results[run.recipe][str(run.seed)] = judge(run, opponents)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    texts = {".json": json.dumps(results) + "\n", ".md": table(results) + "\n"}
    for suffix, text in texts.items():
        given.out.with_suffix(suffix).write_text(text, encoding="utf-8")
    plot(results, given.out.with_suffix(".svg"))
    print(texts[".md"], end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
