"""What a run logged, as TensorBoard shows it."""

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)


def scalars(run: Path) -> dict[str, list[Any]]:
    """Every tag's events in order, with wall_time (s), step (timesteps) and value; none that a resume replaced."""
    events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
    return {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
