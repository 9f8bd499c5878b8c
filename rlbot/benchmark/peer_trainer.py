"""The peers workload in rlgym-learn, run by ``rlbot.benchmark.peer`` with the Python of an environment of its own.

It imports nothing of this project. 1v1, kickoffs, tick skip 8, the 90-row table, 256x3 ReLU actor and critic, Adam with
3e-4, iterations of 50,000 timesteps learned from once in one piece; DefaultObs (92 numbers), TouchReward and the speed
toward the ball; a goal or 10 seconds without a touch end an episode. It writes no checkpoints.
"""

import argparse
import json
import os
import sys
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
SPARE = 2_000  # timesteps after the last iteration: those before it overshoot their batch a little


class SpeedTowardBall(RewardFunction):  # type: ignore[misc]
    """Speed along the line to the ball, as a share of the top car speed."""

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        """Nothing is kept."""

    def get_rewards(
        self, agents: Any, state: Any, is_terminated: Any, is_truncated: Any, shared_info: Any
    ) -> dict[Any, float]:
        """One number an agent."""
        rewards = {}
        for agent in agents:
            car = state.cars[agent].physics
            to_ball = state.ball.position - car.position
            speed = np.dot(to_ball, car.linear_velocity) / np.linalg.norm(to_ball)
            rewards[agent] = float(speed) / common_values.CAR_MAX_SPEED
        return rewards


def make_env() -> Any:
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
        reward_fn=CombinedReward((TouchReward(), 1.0), (SpeedTowardBall(), 0.1)),
        termination_cond=GoalCondition(),
        truncation_cond=NoTouchTimeoutCondition(timeout_seconds=10),
        transition_engine=RocketSimEngine(),
    )


def make_config(processes: int, iterations: int, seed: int, scratch: str) -> Any:
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
            n_epochs=1, batch_size=BATCH_SIZE, n_minibatches=1, actor_lr=3e-4, critic_lr=3e-4, device="cpu"
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


def train(config: Any) -> list[dict[str, float]]:
    """Run it; timesteps, collect_seconds and seconds of every iteration by its own clock."""
    from rlgym_learn import LearningCoordinator
    from rlgym_learn_algos.ppo import (
        BasicCritic,
        DiscreteFF,
        GAETrajectoryProcessor,
        NumpyExperienceBuffer,
        PPOAgentController,
        PPOMetricsLogger,
    )

    iterations: list[dict[str, float]] = []

    class Recorder(PPOMetricsLogger):  # type: ignore[misc]
        def collect_agent_metrics(self, data: Any) -> None:
            seconds = (float(data.timestep_collection_time), float(data.iteration_time))
            iterations.append(
                {"timesteps": data.timesteps_collected, "collect_seconds": seconds[0], "seconds": seconds[1]}
            )

        def report_metrics(self) -> None:
            print(iterations[-1], flush=True)

    controller = PPOAgentController(
        lambda observation, action, device: DiscreteFF(observation[1], action[1], LAYERS, device),
        lambda observation, device: BasicCritic(observation[1], LAYERS, device),
        NumpyExperienceBuffer(GAETrajectoryProcessor()),
        metrics_logger=Recorder(),
    )
    LearningCoordinator(make_env, {"PPO": controller}, config=config).start()
    return iterations


def main() -> None:
    """Train and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--iterations", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--scratch", required=True, help="a folder for what it leaves behind")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    if sys.platform != "win32":
        import pty  # it watches the keyboard and fails where there is none

        os.dup2(pty.openpty()[1], 0)
    config = make_config(given.processes, given.iterations, given.seed, given.scratch)
    given.out.write_text(json.dumps(train(config)), encoding="utf-8")


if __name__ == "__main__":
    main()
