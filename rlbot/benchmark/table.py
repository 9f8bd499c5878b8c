"""What was measured, for people: ASCII, figures to two or three digits that mean something."""

from typing import Any

QUIET = 0.1  # share of the cores that others may take before figures mean little
LABELS = {"physics_only": "physics alone", "collect": "collect", "learn": "learn", "overall": "overall"}


def rows(speeds: dict[str, dict[str, float]]) -> list[str]:
    """One line a speed: median, lowest and highest."""
    head = f"{'agent timesteps a second':<26}{'median':>10}{'min':>10}{'max':>10}"
    return [head] + [
        f"  {LABELS[name]:<24}{spread['median']:>10,.0f}{spread['min']:>10,.0f}{spread['max']:>10,.0f}"
        for name, spread in speeds.items()
    ]


def report(figures: dict[str, Any]) -> str:
    """The whole answer."""
    machine, share = figures["machine"], figures["share"]
    where = f"{machine['cores']} cores of {machine['processor']}" + (f", {machine['gpu']}" if machine["gpu"] else "")
    what = f"{figures['mode']}, {figures['num_envs']} arenas ({figures['agents']} agents)"
    others = "" if machine["others"] is None else f"; others took up to {machine['others']:.0%} of the cores"
    noisy = ": repeat this on a quiet machine" if (machine["others"] or 0) >= QUIET else ""
    lines = [
        f"[OK] {what}, {figures['num_workers']} worker processes, on {where}",
        f"     {figures['repeats']} runs of {figures['iterations']} iterations after one to warm up{others}{noisy}",
        *rows(figures["spread"]),
        "time  " + "  ".join(f"{name} {part:.1%}" for name, part in share.items()),
        f"physics, one process: {figures['physics_us']:.1f} us an agent timestep",
        f"outside arena.step, in collection: {figures['outside_physics_us']:.1f} us an agent timestep",
    ]
    if figures["lightning_share"] is not None:
        lines.append(
            f"Lightning and callbacks: {figures['lightning_share']:.2%} of the time, "
            f"of this checkpoints {figures['checkpoint_share']:.2%}"
        )
    if peer := figures.get("peer"):
        lines += [
            f"rlgym-learn {peer['version']}, {peer['processes']} processes, in turns with the runs above",
            *rows(peer["spread"]),
            *(
                f"ours / rlgym-learn, {name}: {ratio['median']:.1f} ({ratio['min']:.1f} to {ratio['max']:.1f})"
                for name, ratio in peer["ratio"].items()
            ),
        ]
    return "\n".join(lines)
