"""What more machines bring: runs on 1 to 128 of them simulated from the costs of one."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlbot.arguments import Parser, check_writable
from rlbot.errors import InputError

DESCRIPTION = """Simulate runs on 1 to 128 machines. Each machine collects and learns for itself; all wait for the
slowest rollout, and before each update they exchange gradients around a ring, and two numbers. docs/scaling.md says
where the default costs come from."""


def exchange_seconds(machines: int, megabytes: float, bandwidth: float, latency: float) -> float:
    """Seconds of one ring all-reduce: 2 (N - 1) messages of 1/N of the gradients each."""
    if machines == 1:
        return 0.0
    messages = 2 * (machines - 1)
    return messages * (latency + megabytes / machines / bandwidth)


def simulate(machines: int, costs: argparse.Namespace) -> dict[str, float]:
    """Mean iteration of ``machines`` machines, each with costs of its own draw, and what it brings."""
    rng = np.random.default_rng([costs.seed, machines])
    # Log-normal: rollout times are positive and their right tail, the stragglers, is the longer one.
    sigma = np.sqrt(np.log1p(costs.spread**2))
    rollouts = costs.collect * rng.lognormal(-(sigma**2) / 2, sigma, (costs.iterations, machines))
    collect = float(rollouts.max(axis=1).mean())
    sizes = (costs.megabytes, 0.0, 0.0)  # gradients; whether the loss is a number; whether to stop
    exchange = costs.updates * sum(exchange_seconds(machines, size, costs.bandwidth, costs.latency) for size in sizes)
    seconds = collect + costs.learn + exchange
    alone = costs.batch_size / (costs.collect + costs.learn)
    speed = machines * costs.batch_size / seconds
    return {
        "machines": machines,
        "timesteps_per_second": round(speed, 1),
        "speedup": round(speed / alone, 2),
        "efficiency": round(speed / alone / machines, 3),
        "collect": round(collect, 3),
        "learn": round(costs.learn, 3),
        "exchange": round(exchange, 3),
        "straggler_loss": round(1 - float(rollouts.mean()) / collect, 3),
        "batch": machines * costs.batch_size,
    }


def read_costs(arguments: Sequence[str]) -> argparse.Namespace:
    """The costs given on the command line.

    Raises:
        InputError: one of them cannot be.
    """
    parser = Parser(description=DESCRIPTION)
    for name, kind, default, text in (
        ("batch-size", int, 16384, "timesteps an iteration of one machine"),
        ("collect", float, 0.293, "seconds that one machine collects an iteration"),
        ("spread", float, 0.14, "standard deviation of that time, as a share of it"),
        ("learn", float, 0.329, "seconds that one machine learns an iteration, without exchanges"),
        ("updates", int, 16, "updates, and so exchanges, an iteration"),
        ("megabytes", float, 1.02, "gradients: parameters x 4 bytes / 1,000,000"),
        ("bandwidth", float, 117.0, "megabytes a second between two machines (gigabit: 117)"),
        ("latency", float, 0.0001, "seconds a message takes besides its bytes"),
        ("iterations", int, 1000, "iterations to simulate"),
        ("seed", int, 1, "of the rollout times"),
    ):
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{text} (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the table to this file")
    costs = parser.parse_args(arguments)
    for name, value in vars(costs).items():
        zero_is_fine = name in ("spread", "learn", "latency", "seed", "updates")
        if name != "json" and (value < 0 or (value == 0 and not zero_is_fine)):
            raise InputError(f"--{name.replace('_', '-')}={value}: must be {'at least' if zero_is_fine else 'above'} 0")
    if costs.json is not None:
        check_writable("json", costs.json)
    return costs


def main(arguments: Sequence[str]) -> int:
    """Simulate, print, write; the exit code.

    Raises:
        InputError: a cost cannot be, or the file cannot be written.
    """
    costs = read_costs(arguments)
    rows = [simulate(machines, costs) for machines in (1, 2, 4, 8, 16, 32, 64, 128)]
    print("machines  timesteps/s  speedup  efficiency  collect s  learn s  exchange s  straggler loss")
    for row in rows:
        print(
            f"{row['machines']:8.0f}  {row['timesteps_per_second']:11.0f}  {row['speedup']:7.2f}  "
            f"{row['efficiency']:10.1%}  {row['collect']:9.2f}  {row['learn']:7.2f}  {row['exchange']:10.2f}  "
            f"{row['straggler_loss']:14.1%}"
        )
    if costs.json is not None:
        try:
            costs.json.write_text(json.dumps({"costs": vars(costs) | {"json": None}, "rows": rows}, indent=2))
        except OSError as error:
            raise InputError(f"--json={costs.json}: cannot be written ({error.strerror})") from error
    return 0
