"""Find the arenas, worker processes, torch threads and place to act with which this machine trains fastest."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from rlbot.benchmark.measure import measure, summary
from rlbot.device import MOST_WORKERS, num_cores
from rlbot.errors import TryAgainError

TUNED_BATCH = 8192  # timesteps an iteration while tuning, where a minibatch is not larger
WORTH = 1.03  # how much faster a change has to be: less is noise
MIN_STEPS = 16  # of each arena in an iteration while tuning
CURES = {
    "physics": "the physics: it takes more cores, or more workers where cores are left",
    "observe": "building observations: a lighter data.observation helps",
    "reward": "the rewards: fewer or lighter data.rewards help",
    "infer": "the policy's decisions: a smaller model.hidden_sizes or more arenas help",
    "learn": "learning: fewer data.epochs, a smaller model.hidden_sizes or a GPU help",
    "other": "moving data around in collection: more arenas (data.num_envs) help",
}

Settings = dict[str, Any]  # by dotted key
Measure = Callable[[Settings], dict[str, Any]]


def candidates(key: str, best: Settings) -> list[Any]:
    """What to try for one setting, the others as they are."""
    cores, now = num_cores(), best[key]
    arenas, workers = best.get("data.num_envs", cores), best.get("data.num_workers", 0)
    by_learner = best.get("data.act_on") == "learner"  # which takes a worker
    options = {
        "data.num_workers": [
            n for n in (cores, 0, cores - 1, cores // 2) if by_learner <= n <= min(arenas, MOST_WORKERS)
        ],
        "data.num_envs": [n for n in (now * 2, now // 2, now * 4) if n >= max(workers, 1)],
        "model.learn_threads": [max(cores // 2, 1), cores],
        "data.act_on": ["workers", "learner"] if workers else [],
    }[key]
    return [option for option in dict.fromkeys(options) if option != now]


def search(measured: Measure, start: Settings, seconds: float, keys: Sequence[str]) -> tuple[Settings, dict[str, Any]]:
    """Improve one setting after the other until the time is over or nothing helps; the best settings and figures."""
    until = time.monotonic() + seconds
    best, figures = start, measured(start)
    _say(best, figures)
    improved = True
    while improved:
        improved = False
        for key in keys:
            for option in candidates(key, best):
                if time.monotonic() > until:
                    return best, figures
                tried = {**best, key: option}
                found = measured(tried)
                _say(tried, found)
                if found["overall"] > WORTH * figures["overall"]:
                    best, figures, improved = tried, found, True
    return best, figures


def _say(settings: Settings, figures: dict[str, Any]) -> None:
    words = ", ".join(f"{key.split('.')[-1]} {value}" for key, value in settings.items())
    print(f"[OK] {figures['overall']:>9,.0f} timesteps/sec (collect {figures['collect']:,.0f}): {words}", flush=True)


def tune(words: Sequence[str], configs: Sequence[str], seconds: float, out: Path) -> dict[str, Any]:
    """Search for about ``seconds``, write the best settings to ``out`` and tell the bottleneck; the best figures."""
    began = time.monotonic()
    given = measure(words, iterations=1, looked_into=0).facts
    start = {
        "data.num_workers": given["num_workers"],
        "data.num_envs": given["num_envs"],
        "model.learn_threads": torch.get_num_threads(),
        "data.act_on": given["act_on"],
    }

    def measured(settings: Settings) -> dict[str, Any]:
        agents = given["agents"] // given["num_envs"] * settings["data.num_envs"]
        batch = min(given["batch_size"], max(TUNED_BATCH, given["minibatch_size"], MIN_STEPS * agents))
        own = [f"--{key}={value}" for key, value in settings.items()]
        return summary([measure([*words, *own, f"--data.batch_size={batch}"], iterations=1, looked_into=0)])

    best, figures = search(measured, start, seconds - (time.monotonic() - began), list(start))
    write(best, configs, out)
    bottleneck = max(figures["share"], key=lambda name: figures["share"][name])
    print(f"[OK] The bottleneck is {bottleneck} ({figures['share'][bottleneck]:.0%} of the time): {CURES[bottleneck]}")
    return {**figures, "bottleneck": bottleneck, "settings": best}


def write(settings: Settings, configs: Sequence[str], out: Path) -> None:
    """A YAML of the settings that stacks on others; its first line is the command that uses it.

    Raises:
        TryAgainError: the file cannot be written, as on a full disk; the message has the settings.
    """
    command = " ".join(["python scripts/train.py", *(f"--config {config}" for config in (*configs, out))])
    sections: dict[str, dict[str, Any]] = {}
    for key, value in settings.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = value
    text = f"# {command}\n# Found by --tune of scripts/benchmark.py for one machine.\n\n{yaml.safe_dump(sections)}"
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TryAgainError(f"--out {out}: not written ({error.strerror}); the best settings: {settings}") from error
    print(f"[OK] Best settings written to {out}; train with: {command}", flush=True)
