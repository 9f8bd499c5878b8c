"""What was found, as a table and as a figure. Results are by recipe, then by seed, each what ``judge`` gives."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlbot.compare.judging import CURVES
from rlbot.errors import InputError

SHARES = ("win_rate", "goal_share_chaser", "goal_share_reference")  # of whole matches, in the figure

Results = Mapping[str, Mapping[str, Mapping[str, Any]]]


def check_drawable() -> None:
    """Before hours are spent.

    Raises:
        InputError: matplotlib is missing.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError("the plot needs matplotlib; install it with 'pip install matplotlib'") from error


def plot(results: Results, file: Path) -> None:
    """Curves of every recipe, a colour each and a line a seed, and the strength it ends with, a dot a seed."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "learning"  # the same figures give the same file
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(CURVES) + 1, figsize=(5 * len(CURVES) + 5, 4.5), layout="constrained")
    for place, (recipe, seeds) in enumerate(results.items()):
        for panel, (tag, title) in zip(panels, CURVES.items(), strict=False):
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


def table(results: Results) -> str:
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
