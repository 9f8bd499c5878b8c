"""Compare recipes: train each with several seeds, let the bots play whole matches, and draw what was found.

    python scripts/compare.py base=configs/1v1.yaml mine=my.yaml --seeds 1 2 3 --timesteps 5000000 --out docs/learning/x

A recipe is a name and the YAML files that stack on configs/base.yaml, joined by commas. Trainings and evaluations that
are there already are not repeated, so a comparison that was cut short goes on, and recipes can be added to an old one.
A training is the same if its words and the settings in its files are; modules and checkpoints that they name are not
looked into.
"""

import argparse
import hashlib
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from rlbot.arguments import read_yaml
    from rlbot.errors import InputError
    from rlbot.launch import run as run_command
    from rlbot.league.opponents import find
except ImportError as error:
    missing = isinstance(error, ModuleNotFoundError)
    print(
        f"[ERROR] {error}" + (": install with 'python -m pip install -e .' first" if missing else ""), file=sys.stderr
    )
    sys.exit(2)

ROOT = Path(__file__).parents[1]
OPPONENTS = ("random", "idle", "chaser")
PANELS = {  # what the plot shows by timesteps: the tag and what it means
    "game/touches_per_minute": "touches a minute a car",
    "game/goals_per_minute": "goals a minute a car",
}
SHARES = ("win_rate", "goal_share_chaser", "goal_share_reference")  # of whole matches, in the plot
ENOUGH_TOUCHES = 10.0  # a minute a car: "it goes for the ball"
WINDOW = 5  # iterations a curve is averaged over before it is judged
RUNNING: set[subprocess.Popen[str]] = set()  # the commands that were called


class CallError(RuntimeError):
    """A command that was called failed; ``exit_code`` is 2 where that was its own, else 1."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = 2 if code == 2 else 1


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
        return self.folder / "run" / "checkpoints" / "last.ckpt"

    def _words(self) -> list[str]:
        files = (ROOT / "configs" / "base.yaml", *self.files)
        words = [word for file in files for word in ("--config", str(file))]
        words += ["--timesteps", str(self.given.timesteps), "--seed_everything", str(self.seed)]
        return words + self.given.train

    def _what(self) -> str:
        """What is trained: the words, each file's settings in place of its name.

        Raises:
            InputError: a file cannot be read.
        """
        words: list[str] = []
        for word in self._words():
            words += word.split("=", 1) if word.startswith("--config=") else [word]
        pairs = itertools.pairwise(["", *words])
        what = [read_yaml(word) if before in ("--config", "-c") else word for before, word in pairs]
        return json.dumps(what, indent=1, default=str) + "\n"

    def is_trained(self) -> bool:
        """Whether nothing is left to train.

        Raises:
            InputError: the folder holds something else than this training, or a file of the recipe cannot be read.
        """
        what, begun, done = self._what(), self.folder / "training", self.folder / "trained"
        if not any(self.folder.rglob("*.ckpt")):
            return False
        marker = begun if begun.is_file() else done
        if not marker.is_file() or marker.read_text(encoding="utf-8") != what:
            raise InputError(
                f"{self.folder}: holds another training than this one (other timesteps, words or settings, or one that "
                "this command did not start or an earlier version did): give another --logs or delete the folder"
            )
        return marker == done

    def train(self) -> None:
        """Through the real command; what is trained already is left alone, and what was begun goes on."""
        if self.is_trained():
            return
        words, begun = self._words(), self.folder / "training"
        if any(self.checkpoint.parent.glob("*.ckpt")):
            words += ["--ckpt_path", "last"]  # wins over one to begin with
        self.folder.mkdir(parents=True, exist_ok=True)
        begun.write_text(self._what(), encoding="utf-8")
        _call("train", *words, "--logdir", str(self.folder / "run"))
        begun.replace(self.folder / "trained")
        print(f"[OK] {self.recipe} seed {self.seed} trained", flush=True)

    def play(self, name: str, opponent: str) -> dict[str, Any]:
        """The JSON of the evaluate command against one opponent, which is called ``name`` in what is written."""
        file = self.folder / f"against_{name}.json"
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        played = {"b": opponent, "games": self.given.games}
        played |= {"checkpoint": _digest(self.checkpoint), "opponent": _digest(Path(opponent))}
        if found | played != found:  # not played yet, or something else
            games, workers = str(self.given.games), str(self.given.workers)
            words = [str(self.checkpoint), opponent, "--games", games, "--workers", workers]
            _call("evaluate", *words, "--json", str(file))
            found = json.loads(file.read_text(encoding="utf-8")) | played
            file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        return found

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """(timesteps, value) of each iteration by tag."""
        events = EventAccumulator(str(self.checkpoint.parents[1]), size_guidance={"scalars": 0})
        events.Reload()
        return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in PANELS}


def _digest(file: Path) -> str:
    """Of a file's content; empty where there is none, as for opponents that are no files."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _call(script: str, *words: str) -> None:
    """Run a script and wait for it.

    Raises:
        CallError: it failed; the message has its own last one.
    """
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        RUNNING.add(process)
        try:
            said = process.communicate()[1].splitlines()
        except BaseException:  # a signal
            process.terminate()
            raise
        finally:
            RUNNING.discard(process)
    if process.returncode:
        lines = [line for line in said if line.startswith("[ERROR] ")] or said or [f"exit code {process.returncode}"]
        reason = lines[-1].removeprefix("[ERROR] ")
        raise CallError(f"{script} {' '.join(words)}: {reason}", process.returncode)


def train(runs: Sequence[Run], parallel: int) -> None:
    """All of them, so many side by side; when one fails, or at a signal, those that are begun save and stop."""
    pool = ThreadPoolExecutor(parallel)
    futures = [pool.submit(run.train) for run in runs]
    try:
        for future in as_completed(futures):
            future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        if RUNNING:
            print("[OK] Stopping: what is being trained is saved; the same command goes on with it", flush=True)
        while any(future.running() for future in futures):
            for process in tuple(RUNNING):
                RUNNING.discard(process)  # each is told once
                process.terminate()
            time.sleep(0.1)
        raise


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


def check(given: argparse.Namespace) -> None:
    """Before hours are spent.

    Raises:
        InputError: something given cannot be used, or matplotlib is missing.
    """
    numbers = {"games": (given.games, 2), "parallel": (given.parallel, 1), "workers": (given.workers, 1)}
    numbers |= {"timesteps": (given.timesteps, 1), "seeds": (min(given.seeds), 0)}
    for option, (value, least) in numbers.items():
        if value < least:
            raise InputError(f"--{option} {value}: must be at least {least}")
    for opponent in (*given.opponents, *([given.reference] if given.reference else [])):
        find(opponent)
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError("the plot needs matplotlib; install it with 'pip install matplotlib'") from error
    if not given.out.name:
        raise InputError(f"--out {given.out}: must name a file")
    try:
        given.out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {given.out}: cannot be written ({error.strerror})") from error


def main(arguments: Sequence[str]) -> int:
    """Train, evaluate, write; the exit code.

    Raises:
        InputError: something given cannot be used; nothing was trained.
        CallError: a training or an evaluation failed.
    """
    given = _parse(arguments)
    check(given)
    named = {name: files.split(",") for name, files in (recipe.split("=", 1) for recipe in given.recipes)}
    runs = [Run(name, files, seed, given) for seed in given.seeds for name, files in named.items()]
    for run in runs:
        run.is_trained()  # is each folder this training's, before the first one begins?
    train(runs, given.parallel)
    opponents = {Path(opponent).stem: opponent for opponent in given.opponents}
    if given.reference:
        opponents["reference"] = given.reference
    results: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in named}
    for run in runs:
        results[run.recipe][str(run.seed)] = judge(run, opponents)
    texts = {".json": json.dumps(results) + "\n", ".md": table(results) + "\n"}
    for suffix, text in texts.items():
        given.out.with_name(given.out.name + suffix).write_text(text, encoding="utf-8")
    plot(results, given.out.with_name(f"{given.out.name}.svg"))
    print(texts[".md"], end="")
    return 0


if __name__ == "__main__":
    run_command("__main__:main", sys.argv[1:])
