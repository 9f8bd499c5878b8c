"""The peers workload in rlgym-learn, run by ``rlbot.benchmark.peer`` with the Python of an environment of its own.

It imports nothing of this project. 1v1, kickoffs, tick skip 8, the 90-row table, 256x3 ReLU actor and critic, Adam,
iterations of 50,000 timesteps learned from once in one piece; DefaultObs (92 numbers); a goal or 10 seconds without a
touch end an episode. It writes no checkpoints.

Rewards: ``speed_test`` is TouchReward and a tenth of the speed toward the ball, with a step size of 3e-4; ``guide`` is
what ZealanL's RLGym-PPO-Guide ("Making a Good Bot") advises for a fresh bot, with its step size of 2e-4: a touch 50,
speed toward the ball 5, facing it 1, being in the air 0.15.
"""

import argparse
import functools
import json
import os
import sys
import time
from abc import abstractmethod
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as its own speed test does: its processes would slow each other down

import numpy as np
from rlgym.api import RewardFunction, RLGym
from rlgym.rocket_league import common_values
from rlgym.rocket_league.action_parsers import LookupTableAction, RepeatAction
from rlgym.rocket_league.done_conditions import GoalCondition, NoTouchTimeoutCondition
from rlgym.rocket_league.obs_builders import DefaultObs
from rlgym.rocket_league.reward_functions import CombinedReward, TouchReward
from rlgym.rocket_league.sim import RocketSimEngine
from rlgym.rocket_league.state_mutators import FixedTeamSizeMutator, KickoffMutator, MutatorSequence

BATCH_SIZE = 50_000
LAYERS = (256, 256, 256)
OBSERVATION_SIZE = 92  # DefaultObs with one car a team
LEARNING_RATES = {"speed_test": 3e-4, "guide": 2e-4}
DECISIONS_A_MINUTE = 15 * 60
SPARE = 2_000  # timesteps after the last iteration: those before it overshoot their batch a little


class OneCar(RewardFunction):  # type: ignore[misc]
    """A term that looks at one car at a time."""

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        """Nothing is kept."""

    def get_rewards(
        self, agents: Any, state: Any, is_terminated: Any, is_truncated: Any, shared_info: Any
    ) -> dict[Any, float]:
        """One number an agent."""
        return {agent: self.of(state.cars[agent], state.ball) for agent in agents}

    @abstractmethod
    def of(self, car: Any, ball: Any) -> float:
        """The number of one car."""


class SpeedTowardBall(OneCar):
    """Speed along the line to the ball, as a share of the top car speed."""

    def of(self, car: Any, ball: Any) -> float:
        """-1 to 1."""
        return float(np.dot(_to_ball(car, ball), car.physics.linear_velocity) / common_values.CAR_MAX_SPEED)


class Approach(SpeedTowardBall):
    """The same, 0 for a car that drives away."""

    def of(self, car: Any, ball: Any) -> float:
        """0 to 1."""
        speed: float = super().of(car, ball)
        return max(speed, 0.0)


class FaceBall(OneCar):
    """Cosine between the car's nose and the line to the ball."""

    def of(self, car: Any, ball: Any) -> float:
        """-1 to 1."""
        return float(np.dot(_to_ball(car, ball), car.physics.forward))


class InAir(OneCar):
    """1 off the ground."""

    def of(self, car: Any, ball: Any) -> float:
        """0 or 1."""
        return float(not car.on_ground)


class CountTouches(RewardFunction):  # type: ignore[misc]
    """Rewards nothing; counts decisions and those with a touch in a file of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counts: Any = None

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        """Counts go on."""

    def get_rewards(
        self, agents: Any, state: Any, is_terminated: Any, is_truncated: Any, shared_info: Any
    ) -> dict[Any, float]:
        """Zeros."""
        if self._counts is None:
            self._counts = np.memmap(self._folder / f"{os.getpid()}.counts", np.int64, "w+", shape=2)
        self._counts += (len(agents), sum(state.cars[agent].ball_touches > 0 for agent in agents))
        return dict.fromkeys(agents, 0.0)


def _to_ball(car: Any, ball: Any) -> Any:
    line = ball.position - car.physics.position
    return line / np.linalg.norm(line)


def rewards_of(name: str) -> list[tuple[RewardFunction, float]]:
    """Terms and weights."""
    if name == "guide":
        return [(TouchReward(), 50.0), (Approach(), 5.0), (FaceBall(), 1.0), (InAir(), 0.15)]
    return [(TouchReward(), 1.0), (SpeedTowardBall(), 0.1)]


def make_env(rewards: str, counts: Path) -> Any:
    """One arena; every process has its own."""
    return RLGym(
        state_mutator=MutatorSequence(FixedTeamSizeMutator(blue_size=1, orange_size=1), KickoffMutator()),
        obs_builder=DefaultObs(
            zero_padding=1,
            pos_coef=np.array(
                [1 / common_values.SIDE_WALL_X, 1 / common_values.BACK_NET_Y, 1 / common_values.CEILING_Z]
            ),
            lin_vel_coef=1 / common_values.CAR_MAX_SPEED,
            ang_vel_coef=1 / common_values.CAR_MAX_ANG_VEL,
        ),
        action_parser=RepeatAction(LookupTableAction(), repeats=8),
        reward_fn=CombinedReward(*rewards_of(rewards), (CountTouches(counts), 1.0)),
        termination_cond=GoalCondition(),
        truncation_cond=NoTouchTimeoutCondition(timeout_seconds=10),
        transition_engine=RocketSimEngine(),
    )


def make_config(processes: int, iterations: int, seed: int, scratch: str, learning_rate: float) -> Any:
    """Everything in one piece, and no checkpoints."""
    from rlgym_learn import (
        BaseConfigModel,
        LearningCoordinatorConfigModel,
        NumpySerdeConfig,
        ProcessConfigModel,
        PyAnySerdeType,
        SerdeTypesModel,
    )
    from rlgym_learn_algos.ppo import ExperienceBufferConfigModel, PPOAgentControllerConfigModel, PPOLearnerConfigModel

    def array(kind: Any, size: int) -> Any:
        return PyAnySerdeType.NUMPY(
            kind, config=NumpySerdeConfig.STATIC(shape=(size,), allocation_pool_warning_size=None)
        )

    pair = PyAnySerdeType.TUPLE((PyAnySerdeType.STRING(), PyAnySerdeType.INT()))
    controller = PPOAgentControllerConfigModel(
        timesteps_per_iteration=BATCH_SIZE,
        save_every_ts=10**12,
        random_seed=seed,
        learner_config=PPOLearnerConfigModel(
            n_epochs=1,
            batch_size=BATCH_SIZE,
            n_minibatches=1,
            actor_lr=learning_rate,
            critic_lr=learning_rate,
            device="cpu",
        ),
        experience_buffer_config=ExperienceBufferConfigModel(max_size=BATCH_SIZE, device="cpu"),
    )
    return LearningCoordinatorConfigModel(
        process_config=ProcessConfigModel(n_proc=processes),
        base_config=BaseConfigModel(
            serde_types=SerdeTypesModel(
                agent_id_serde_type=PyAnySerdeType.STRING(),
                action_serde_type=array(np.int64, 1),
                obs_serde_type=array(np.float64, OBSERVATION_SIZE),
                reward_serde_type=PyAnySerdeType.FLOAT(),
                obs_space_serde_type=pair,
                action_space_serde_type=pair,
            ),
            random_seed=seed,
            flinks_folder=scratch,
            timestep_limit=iterations * BATCH_SIZE + SPARE,
        ),
        agent_controllers_config={"PPO": controller},
        agent_controllers_save_folder=scratch,
    )


def train(config: Any, rewards: str, scratch: Path, out: Path) -> None:
    """Run it; a line to ``out`` after every iteration: what its own clock measured, its touches, and the time."""
    from rlgym_learn import LearningCoordinator
    from rlgym_learn_algos.ppo import (
        BasicCritic,
        DiscreteFF,
        GAETrajectoryProcessor,
        NumpyExperienceBuffer,
        PPOAgentController,
        PPOMetricsLogger,
    )

    before = np.zeros(2, np.int64)

    class Recorder(PPOMetricsLogger):  # type: ignore[misc]
        def collect_agent_metrics(self, data: Any) -> None:
            counts = [np.fromfile(file, np.int64) for file in scratch.glob("*.counts")]
            decisions, touches = sum(counts) - before
            before[:] += decisions, touches
            iteration = {
                "timesteps": data.timesteps_collected,
                "collect_seconds": float(data.timestep_collection_time),
                "seconds": float(data.iteration_time),
                "touches_per_minute": float(touches / max(decisions, 1) * DECISIONS_A_MINUTE),
                "time": time.time(),
            }
            with out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(iteration) + "\n")

        def report_metrics(self) -> None:
            """It is in the file."""

    controller = PPOAgentController(
        lambda observation, action, device: DiscreteFF(observation[1], action[1], LAYERS, device),
        lambda observation, device: BasicCritic(observation[1], LAYERS, device),
        NumpyExperienceBuffer(GAETrajectoryProcessor()),
        metrics_logger=Recorder(),
    )
    LearningCoordinator(functools.partial(make_env, rewards, scratch), {"PPO": controller}, config=config).start()


def main() -> None:
    """Train and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rewards", choices=list(LEARNING_RATES), default="speed_test")
    parser.add_argument("--scratch", type=Path, required=True, help="a folder for what it leaves behind")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if sys.platform != "win32":
        import pty  # it watches the keyboard and fails where there is none

        os.dup2(pty.openpty()[1], 0)
    learning_rate = LEARNING_RATES[given.rewards]
    config = make_config(given.processes, given.iterations, given.seed, str(given.scratch), learning_rate)
    train(config, given.rewards, given.scratch, given.out)


if __name__ == "__main__":
    main()
