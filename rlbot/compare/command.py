"""The compare command."""

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rlbot.arguments import Parser, check_writable
from rlbot.compare.figures import check_drawable, plot, table
from rlbot.compare.judging import judge
from rlbot.compare.training import Training, train_all, write
from rlbot.errors import InputError, TryAgainError
from rlbot.league.opponents import find

DESCRIPTION = """Train each recipe with several seeds, let the bots play whole matches, and draw what was found.

A recipe is a name and the YAML files that stack on configs/base.yaml, joined by commas. Trainings and evaluations that
are there already are not repeated, so a comparison that was cut short goes on, and recipes can be added to an old one.
A training is the same if its words are, and what is in the YAML files, the modules (--allow) and the checkpoint
(--ckpt_path) that they name; files that are named inside a YAML are not looked into."""
OPPONENTS = ("random", "idle", "chaser")
WRITTEN = (".json", ".md", ".svg")  # after the name that --out gives


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", metavar="NAME=FILE[,FILE]", help="what to compare")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="one training each")
    parser.add_argument("--timesteps", type=int, default=5_000_000, help="of each training")
    further = ("FILE[,FILE]", "TIMESTEPS")
    parser.add_argument("--then", nargs=2, metavar=further, help="go on to so many with these files on top")
    parser.add_argument("--games", type=int, default=200, help="whole matches against each opponent")
    parser.add_argument("--opponents", nargs="*", default=OPPONENTS, help="of whole matches, beside --reference")
    parser.add_argument("--reference", metavar="CHECKPOINT", help="another opponent of all")
    parser.add_argument("--parallel", type=int, default=1, help="trainings side by side")
    parser.add_argument("--workers", type=int, default=2, help="processes of an evaluation")
    parser.add_argument("--logs", type=Path, default=Path("logs/compare"), help="folder of the trainings")
    parser.add_argument("--out", type=Path, required=True, help="writes OUT.json, OUT.svg and OUT.md")
    parser.add_argument("--train", nargs=argparse.REMAINDER, default=[], help="further words for every training, last")
    return parser.parse_args(arguments)


def _by_name(given: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """What was given, by its name in the figures: of (option, name, what was given) each.

    Raises:
        InputError: two have one name, and one of them would be lost.
    """
    found: dict[str, str] = {}
    for option, name, value in given:
        if name in found:
            raise InputError(f"{option} {value}: would be called {name}, as {found[name]} is; give each its own name")
        found[name] = value
    return found


def _recipes(given: Sequence[str]) -> dict[str, list[str]]:
    """Files by name.

    Raises:
        InputError: one is not NAME=FILE[,FILE], or two have one name.
    """
    for recipe in given:
        if "=" not in recipe:
            raise InputError(f"{recipe}: a recipe is NAME=FILE[,FILE]")
    named = _by_name(("recipe", recipe.partition("=")[0], recipe) for recipe in given)
    return {name: recipe.partition("=")[2].split(",") for name, recipe in named.items()}


def _opponents(names: Sequence[str], reference: str | None) -> dict[str, str]:
    """Opponents of whole matches by their names in the figures: a file's is its own without folder and ending.

    Raises:
        InputError: one cannot be used, or two have one name.
    """
    given = [("--opponents", Path(name).stem, name) for name in names]
    if reference is not None:
        given.append(("--reference", "reference", reference))
    opponents = _by_name(given)
    for opponent in opponents.values():
        find(opponent)
    return opponents


def _check(given: argparse.Namespace) -> None:
    """Before hours are spent."""
    numbers = {"games": (given.games, 2), "parallel": (given.parallel, 1), "workers": (given.workers, 1)}
    numbers |= {"timesteps": (given.timesteps, 1), "seeds": (min(given.seeds), 0)}
    if given.then is not None and (not given.then[1].isdecimal() or int(given.then[1]) <= given.timesteps):
        raise InputError(f"--then {' '.join(given.then)}: must end after --timesteps {given.timesteps}")
    for option, (value, least) in numbers.items():
        if value < least:
            raise InputError(f"--{option} {value}: must be at least {least}")
    if len(set(given.seeds)) < len(given.seeds):
        raise InputError(f"--seeds {' '.join(map(str, given.seeds))}: one is there twice")
    check_drawable()
    if not given.out.name:
        raise InputError(f"--out {given.out}: must name a file")
    try:
        given.out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {given.out}: cannot be written ({error.strerror})") from error
    for suffix in WRITTEN:
        check_writable("out", given.out.with_name(given.out.name + suffix))


def _training(
    given: argparse.Namespace, folder: Path, files: Sequence[str], end: int, seed: int, after: Training | None = None
) -> Training:
    words = ["--timesteps", str(end), "--seed_everything", str(seed), *given.train]
    return Training(folder, files, words, after)


def main(arguments: Sequence[str]) -> int:
    """Train, play, write; the exit code.

    Raises:
        InputError: something given cannot be used; nothing was trained.
        CallError: a training or an evaluation failed.
        TryAgainError: a file cannot be written.
    """
    given = _parse(arguments)
    recipes = _recipes(given.recipes)
    opponents = _opponents(given.opponents, given.reference)
    _check(given)
    ends = [given.timesteps]
    trainings = {
        (name, seed): _training(given, given.logs / name / f"seed_{seed}", files, given.timesteps, seed)
        for seed in given.seeds
        for name, files in recipes.items()
    }
    if given.then is not None:
        further, end = given.then[0].split(","), int(given.then[1])
        ends.append(end)
        for (name, seed), first in trainings.items():
            folder = first.folder.with_name(f"{first.folder.name}_then")
            trainings[name, seed] = _training(given, folder, [*recipes[name], *further], end, seed, first)
    train_all(list(trainings.values()), given.parallel)
    results: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in recipes}
    for (name, seed), training in trainings.items():
        results[name][str(seed)] = judge(training, opponents, ends, given.games, given.workers)
    texts = {".json": json.dumps(results) + "\n", ".md": table(results) + "\n"}
    print(texts[".md"], end="", flush=True)
    for suffix, text in texts.items():
        write(given.out.with_name(given.out.name + suffix), text)
    figure = given.out.with_name(f"{given.out.name}.svg")
    try:
        plot(results, figure)
    except OSError as error:
        raise TryAgainError(f"{figure}: cannot be written ({error.strerror}); the same command goes on") from error
    return 0
