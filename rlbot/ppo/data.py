"""RolloutDataModule: arenas, rollouts, minibatches and the count of timesteps."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L  # noqa: N812
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from typing_extensions import override

from rlbot.game.endings import Ending
from rlbot.game.env import ACTION_SPACE, RocketSimVectorEnv
from rlbot.game.match import Opponent
from rlbot.game.observations import DefaultObservation, Observation
from rlbot.game.rewards import Reward
from rlbot.game.starts import Start
from rlbot.ppo import together
from rlbot.ppo.module import PPO, Batch
from rlbot.ppo.rollout import Collector, Rollout
from rlbot.ppo.stable_baselines import as_vector_env

FAULTS_ALLOWED = 1 / 10_000  # share of timesteps in which the physics may break down
FAULTS_JUDGED_FROM = 100_000  # timesteps
COUNTS = ("timesteps", "num_iterations", "num_faults")


class BrokenPhysicsError(RuntimeError):
    """The physics broke down too often."""

    exit_code = 1


class Iteration(NamedTuple):
    """What the newest iteration's rollout was like, over all processes; ``collect_seconds`` are the slowest one's."""

    timesteps: int
    collect_seconds: float
    faulty_steps: int
    episode_returns: list[float]
    episode_steps: list[int]
    statistics: dict[str, tuple[float, float]]

    @classmethod
    def of_all(cls, parts: "Sequence[Iteration]") -> "Iteration":
        """One iteration of what several processes collected side by side: counts, totals and amounts added up."""
        return cls(
            timesteps=sum(part.timesteps for part in parts),
            collect_seconds=max(part.collect_seconds for part in parts),
            faulty_steps=sum(part.faulty_steps for part in parts),
            episode_returns=[value for part in parts for value in part.episode_returns],
            episode_steps=[value for part in parts for value in part.episode_steps],
            statistics={
                tag: tuple(map(sum, zip(*(part.statistics[tag] for part in parts), strict=True)))  # type: ignore[misc]
                for tag in parts[0].statistics
            },
        )


class RolloutDataModule(L.LightningDataModule):
    """Collects a rollout with the current policy each iteration and yields it as shuffled minibatches.

    All noise of an iteration comes from (seed, process, timesteps so far), so a resumed run draws what the
    uninterrupted one would have drawn. Of several processes each has arenas, a batch and minibatches of its own;
    ``timesteps`` and ``total_timesteps`` count those of all.

    Args:
        num_envs: arenas (matches simulated side by side). Each of the learner's cars in each arena gives experience.
        batch_size: timesteps an iteration, in each process.
        minibatch_size: timesteps an update, at most: a pass is cut evenly.
        epochs: passes over an iteration's timesteps.
        total_timesteps: the run ends here; the last iteration is cut to fit.
        tick_skip: physics ticks (1/120 s) a decision.
        observation: what cars see; null for the 180 numbers.
        rewards: terms of the reward, summed by weight; null for the default ones.
        endings: reasons to end an episode; null for goal, no touch and clock.
        starts: opening positions, drawn by weight; null for kickoffs and random states.
        env: another environment instead of Rocket League: a gymnasium VectorEnv or a Stable-Baselines3 VecEnv.
        exact_resume: start arenas anew at each save, so that a resumed run equals the uninterrupted one bit by bit.

    Raises:
        ValueError: a setting out of range, all of them named.
    """

    def __init__(
        self,
        num_envs: int = 64,
        batch_size: int = 32768,
        minibatch_size: int = 2048,
        epochs: int = 3,
        total_timesteps: int = 5_000_000,
        tick_skip: int = 8,
        observation: Observation | None = None,
        rewards: Sequence[Reward] | None = None,
        endings: Sequence[Ending] | None = None,
        starts: Sequence[Start] | None = None,
        env: Any = None,
        exact_resume: bool = False,
    ) -> None:
        super().__init__()
        sizes = {
            "num_envs": num_envs,
            "batch_size": batch_size,
            "minibatch_size": minibatch_size,
            "epochs": epochs,
            "total_timesteps": total_timesteps,
            "tick_skip": tick_skip,
        }
        wrong = [f"{name}={size} (at least 1)" for name, size in sizes.items() if size < 1]
        if minibatch_size > batch_size:
            wrong.append(f"minibatch_size={minibatch_size} (not above batch_size={batch_size})")
        if wrong:
            raise ValueError(f"data: {'; '.join(wrong)}")
        self.num_envs, self.batch_size, self.minibatch_size = num_envs, batch_size, minibatch_size
        self.epochs, self.total_timesteps, self.exact_resume = epochs, total_timesteps, exact_resume
        self._game: dict[str, Any] = {
            "observation": DefaultObservation() if observation is None else observation,
            "rewards": rewards,
            "endings": endings,
            "starts": starts,
            "tick_skip": tick_skip,
        }
        self._foreign = None if env is None else as_vector_env(env)
        self._mode = "1v1"
        self._opponent: Opponent | None = None
        self._collector: Collector | None = None
        self.timesteps = self.num_iterations = self.num_faults = 0
        self.iteration: Iteration | None = None

    @property
    def plays_rocket_league(self) -> bool:
        """Whether the arenas are RocketSim's and not another environment's."""
        return self._foreign is None

    @property
    def num_arenas(self) -> int:
        """How many environments run side by side."""
        return self.num_envs if self._foreign is None else self._foreign.num_envs

    @property
    def observation_size(self) -> int:
        """Numbers an agent sees."""
        if self._foreign is None:
            return int(self._game["observation"].size)
        shape = self._foreign.single_observation_space.shape
        if shape is None or len(shape) != 1:
            raise ValueError(f"data.env gives observations of shape {shape}, expected one axis")
        return int(shape[0])

    @property
    def progress(self) -> float:
        """Share of ``total_timesteps`` that is done."""
        return self.timesteps / self.total_timesteps

    @property
    def next_size(self) -> int:
        """Timesteps of the coming iteration in this process."""
        return self._share(together.rank())

    def _share(self, rank: int) -> int:
        """Timesteps of the coming iteration in a process: at the end the rest is dealt out, at least 1 to each."""
        rest, more = divmod(self.total_timesteps - self.timesteps, together.num_processes())
        return max(min(self.batch_size, rest + (rank < more)), 1)

    @property
    def num_minibatches(self) -> int:
        """Minibatches of a pass over the coming iteration; the same in all processes, for they learn in step."""
        return math.ceil(self._share(0) / self.minibatch_size)

    def play(self, mode: str, opponent: Opponent | None) -> None:
        """From the next rollout on, play this mode: all cars by self-play, or the blue team against the opponent."""
        if self._foreign is not None:
            raise ValueError("a curriculum needs Rocket League: set curriculum.stages to [] when data.env is given")
        self._mode, self._opponent = mode, opponent
        self._release()

    def make_env(self, mode: str, opponent: Opponent | None, num_envs: int | None = None) -> VectorEnv[Any, Any, Any]:
        """A Rocket League environment with this run's observation, rewards, endings and starts."""
        whole_team = opponent is not None
        return RocketSimVectorEnv(num_envs or self.num_envs, mode, opponent, whole_team=whole_team, **self._game)

    @override
    def train_dataloader(self) -> "Minibatches":
        """One iteration: collects when iterated, so never before the update that comes before it."""
        return Minibatches(self)

    def check(self, module: PPO) -> None:
        """See that the model fits the environment.

        Raises:
            ValueError: its head does not fit the action space.
        """
        if self._foreign is None:
            self.make_env(self._mode, None)  # builds no arena yet
        space = ACTION_SPACE if self._foreign is None else self._foreign.single_action_space
        head = module.policy.head
        if not head.fits(space):
            raise ValueError(
                f"model.head {type(head).__name__} with {head.num_outputs} outputs does not fit the actions {space}"
            )

    def open(self, module: PPO) -> Collector:
        """The environments of the present stage, built and reset if they are not open yet.

        Raises:
            ValueError: the model's head does not fit their actions.
        """
        if self._collector is None:
            self.check(module)
            self._collector = Collector(self._foreign or self.make_env(self._mode, self._opponent))
            self._collector.reset(self._seed(module.trainer.global_rank, "arenas"))
        return self._collector

    def collect(self, module: PPO) -> Batch:
        """Collect the next rollout with the module's policy and prepare it for learning; counts its timesteps."""
        begun = time.perf_counter()
        trainer = module.trainer
        collector = self.open(module)
        self._generator = torch.Generator().manual_seed(self._seed(trainer.global_rank, "noise"))
        size = self.next_size
        self._num_minibatches = self.num_minibatches  # as announced, also if steps are left out
        rollout = collector.collect(
            module.policy,
            math.ceil(size / collector.num_agents),
            self._generator,
            trainer.precision_plugin.forward_context(),
        )
        batch = module.prepare(rollout, size)
        own = Iteration(
            timesteps=len(batch["advantages"]),
            collect_seconds=time.perf_counter() - begun,
            faulty_steps=int((~rollout.valid).sum()) if self.plays_rocket_league else 0,
            episode_returns=rollout.episode_returns,
            episode_steps=rollout.episode_steps,
            statistics=rollout.statistics,
        )
        self.iteration = Iteration.of_all(together.gather(own))
        self.timesteps += self.iteration.timesteps
        self.num_iterations += 1
        self.num_faults += self.iteration.faulty_steps
        self._judge_faults(rollout, trainer)
        return batch

    def _judge_faults(self, rollout: Rollout, trainer: L.Trainer) -> None:
        """End a run whose physics breaks down.

        Raises:
            BrokenPhysicsError: it did too often in this run; what was seen and done then is in ``faults.pt``.
        """
        steps = self.timesteps + self.num_faults
        if steps >= FAULTS_JUDGED_FROM and self.num_faults > FAULTS_ALLOWED * steps:
            dump, faults = Path(trainer.log_dir or ".", "faults.pt"), ~rollout.valid
            seen = together.gather((rollout.observations[faults].cpu(), rollout.actions[faults].cpu()))
            if together.leads():
                observations, actions = (torch.cat(parts) for parts in zip(*seen, strict=True))
                torch.save({"observations": observations, "actions": actions}, dump)
            raise BrokenPhysicsError(
                f"the physics gave NaN in {self.num_faults} of {steps} timesteps; what the cars saw and did "
                f"then is in {dump}: look at data.starts first, bodies put into one place are the usual cause"
            )

    def shuffled(self, batch: Batch) -> Iterator[Batch]:
        """Every sample once an epoch, in minibatches that are views of a shuffled copy."""
        size = len(batch["advantages"])
        for _ in range(self.epochs):
            order = torch.randperm(size, generator=self._generator).to(batch["advantages"].device)
            mixed = {name: tensor[order] for name, tensor in batch.items()}
            for k in range(self._num_minibatches):
                cut = slice(k * size // self._num_minibatches, (k + 1) * size // self._num_minibatches)
                if cut.start < cut.stop or together.num_processes() > 1:  # the others would wait for one left out
                    yield {name: tensor[cut] for name, tensor in mixed.items()}

    def _seed(self, rank: int, purpose: str) -> int:
        """Seed of this iteration's new arenas, or of its policy noise and shuffling."""
        entropy = [torch.initial_seed() % 2**63, rank, self.timesteps]
        words = np.random.SeedSequence(entropy).generate_state(2)
        return int(words[("arenas", "noise").index(purpose)]) % 2**31

    def _release(self) -> None:
        if self._collector is not None and self._foreign is None:
            self._collector.close()
        self._collector = None

    @override
    def state_dict(self) -> dict[str, Any]:
        """What was counted so far. With ``exact_resume`` a save also retires the arenas, as resuming will."""
        if self.exact_resume:
            self._release()
        return {name: getattr(self, name) for name in COUNTS}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in COUNTS:
            setattr(self, name, int(state_dict[name]))

    @override
    def teardown(self, stage: str) -> None:
        self._release()

    @override
    def on_exception(self, exception: BaseException) -> None:
        self._release()


class Minibatches:
    """One iteration as a sized plain object; iterating it collects the rollout.

    Not a ``DataLoader``, and sized: from anything else Lightning would fetch ahead, and so collect the next rollout
    with the policy as it was before the update.
    """

    def __init__(self, data: RolloutDataModule) -> None:
        self._data = data

    def __len__(self) -> int:
        return self._data.epochs * self._data.num_minibatches

    def __iter__(self) -> Iterator[Batch]:
        module = self._data.trainer.lightning_module  # type: ignore[union-attr]
        yield from self._data.shuffled(self._data.collect(module))  # type: ignore[arg-type]
