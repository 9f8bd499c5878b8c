"""Lightning callbacks, one concern a file. Put your own beside them and name it in YAML by ``class_path``."""

from callbacks.checkpoints import TimestepCheckpoint
from callbacks.curriculum import Curriculum
from callbacks.evaluation import Evaluation
from callbacks.game_statistics import GameStatistics
from callbacks.progress import TimestepProgressBar
from callbacks.reward_ledger import RewardLedger
from callbacks.run_summary import RunSummary
from callbacks.stages import Stage, Until
from callbacks.stop import Stop
from callbacks.throughput import Throughput

__all__ = [
    "Curriculum",
    "Evaluation",
    "GameStatistics",
    "RewardLedger",
    "RunSummary",
    "Stage",
    "Stop",
    "Throughput",
    "TimestepCheckpoint",
    "TimestepProgressBar",
    "Until",
]
