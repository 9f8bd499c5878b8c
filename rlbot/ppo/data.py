"""RolloutDataModule: arenas, rollouts, minibatches and the count of timesteps."""

import functools
import math
import time
from collections.abc import Sequence
from typing import Any, Literal

import lightning as L  # noqa: N812
import torch
from gymnasium.vector import AutoresetMode
from typing_extensions import override

from rlbot.device import MOST_WORKERS, most_workers
from rlbot.errors import InputError
from rlbot.game.endings import Ending
from rlbot.game.env import ACTION_SPACE
from rlbot.game.match import Opponent
from rlbot.game.mixed import arenas
from rlbot.game.observations import DefaultObservation, Observation
from rlbot.game.rewards import Reward
from rlbot.game.starts import Start
from rlbot.ppo import together
from rlbot.ppo.acting import Acting, cpu_has_bfloat16
from rlbot.ppo.actors import Actors, Inline, MakeEnv
from rlbot.ppo.iteration import Iteration, judge_faults, seed_of
from rlbot.ppo.minibatches import Minibatches
from rlbot.ppo.module import PPO, Batch
from rlbot.ppo.stable_baselines import as_vector_env
from rlbot.ppo.workers import Workers
from rlbot.sim.state import TICKS_PER_SECOND

ARENAS_A_WORKER = 32  # fewer rows a forward pass cost more than a process saves
SIZES = ("num_envs", "batch_size", "minibatch_size", "epochs", "total_timesteps", "tick_skip", "anneal_timesteps")
COUNTS = ("timesteps", "num_iterations", "num_faults")


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
        anneal_timesteps: every setting with an ``_end`` reaches it here, along a line; null for total_timesteps.
        tick_skip: physics ticks (1/120 s) a decision.
        observation: what cars see; null for the 180 numbers.
        rewards: terms of the reward, summed by weight; null for the default ones.
        endings: reasons to end an episode; null for a goal alone.
        starts: opening positions, drawn by weight; null for kickoffs.
        num_workers: processes that collect, each with its share of the arenas; 0 collects in this process, null takes
            one a core, each with at least 32 arenas. The same number gives the same run, bit by bit.
        act_on: workers: each acts for its own arenas on its core; learner: in batches on the learner's device, for half
            of the workers at a time: for networks that are too large for a core.
        overlap: workers collect the next rollout while this one is learned from, with weights one iteration older.
        env: another environment instead of Rocket League: a gymnasium VectorEnv or a Stable-Baselines3 VecEnv, stepped
            in this process, or what makes VectorEnvs of so many arenas, such as ``rlbot.ppo.rlgym.RLGymArenas``.
        exact_resume: start arenas anew at each save, so that a resumed run equals the uninterrupted one bit by bit.

    Raises:
        ValueError: a setting out of range, all of them named.
    """

    def __init__(
        self,
        num_envs: int = 256,
        batch_size: int = 16384,
        minibatch_size: int = 2048,
        epochs: int = 2,
        total_timesteps: int = 5_000_000,
        anneal_timesteps: int | None = None,
        tick_skip: int = 8,
        observation: Observation | None = None,
        rewards: Sequence[Reward] | None = None,
        endings: Sequence[Ending] | None = None,
        starts: Sequence[Start] | None = None,
        num_workers: int | None = None,
        act_on: Literal["workers", "learner"] = "workers",
        overlap: bool = False,
        env: Any = None,
        exact_resume: bool = False,
    ) -> None:
        super().__init__()
        sizes = (num_envs, batch_size, minibatch_size, epochs, total_timesteps, tick_skip, anneal_timesteps)
        given = [(name, size) for name, size in zip(SIZES, sizes, strict=True) if size is not None]
        wrong = [f"{name}={size} (at least 1)" for name, size in given if size < 1]
        if minibatch_size > batch_size:
            wrong.append(f"minibatch_size={minibatch_size} (not above batch_size={batch_size})")
        if rewards is not None and not rewards:
            wrong.append("rewards=[] (at least one)")
        if num_workers is not None and not 0 <= num_workers <= num_envs:
            wrong.append(f"num_workers={num_workers} (0 to num_envs={num_envs})")
        if num_workers is not None and num_workers > MOST_WORKERS:
            wrong.append(f"num_workers={num_workers} (at most {MOST_WORKERS} on this system)")
        one_env = env is not None and not callable(env)
        if num_workers is None:
            num_workers = 0 if one_env else min(most_workers(), num_envs // (1 if env else ARENAS_A_WORKER))
        if one_env and num_workers:
            wrong.append(f"num_workers={num_workers} (0: data.env runs in this process)")
        if overlap and num_workers == 0:
            wrong.append("overlap=true (needs num_workers of at least 1)")
        if act_on == "learner" and (num_workers == 0 or overlap):
            wrong.append("act_on=learner (needs num_workers of at least 1, and overlap=false)")
        if overlap and exact_resume:
            wrong.append("overlap=true (a run with exact_resume=true cannot save a rollout under way)")
        if exact_resume and callable(env):
            wrong.append("exact_resume=true (not with arenas that data.env makes: a seed does not decide all of them)")
        if wrong:
            raise ValueError(f"data: {'; '.join(wrong)}")
        self.num_workers, self.act_on, self.overlap = num_workers, act_on, overlap
        self.num_envs, self.batch_size, self.minibatch_size = num_envs, batch_size, minibatch_size
        self.epochs, self.exact_resume = epochs, exact_resume
        self.total_timesteps, self.anneal_timesteps = total_timesteps, anneal_timesteps
        self.game: dict[str, Any] = {
            "observation": DefaultObservation() if observation is None else observation,
            "rewards": rewards,
            "endings": endings,
            "starts": starts,
            "tick_skip": tick_skip,
        }
        self._make_foreign: MakeEnv | None = env if callable(env) else None
        self._foreign = None if env is None else as_vector_env(env if one_env else _one_of(env))
        self._mode = "1v1"
        self._opponent: Opponent | None = None
        self._opponent_share = 1.0
        self._actors: Actors | None = None
        self._is_open = False
        self._ahead = 0  # timesteps of a rollout that is under way
        self.timesteps = self.num_iterations = self.num_faults = 0
        self.iteration: Iteration | None = None

    @property
    def plays_rocket_league(self) -> bool:
        """Whether the arenas are RocketSim's and not another environment's."""
        return self._foreign is None

    @property
    def sees_the_default(self) -> bool:
        """Whether cars are shown the default observation, as all opponents are that do not come from this run."""
        return self.plays_rocket_league and type(self.game["observation"]) is DefaultObservation

    @property
    def _resets_at_once(self) -> bool:
        """Whether only a breakdown makes a step invalid: NEXT_STEP has steps in which nothing is decided."""
        return self._foreign is None or self._foreign.metadata.get("autoreset_mode") == AutoresetMode.SAME_STEP

    @property
    def num_arenas(self) -> int:
        """How many environments run side by side."""
        return self.num_envs if self._foreign is None or self._make_foreign else self._foreign.num_envs

    @property
    def observation_size(self) -> int:
        """Numbers an agent sees."""
        if self._foreign is None:
            return int(self.game["observation"].size)
        shape = self._foreign.single_observation_space.shape
        if shape is None or len(shape) != 1:
            raise ValueError(f"data.env gives observations of shape {shape}, expected one axis")
        return int(shape[0])

    @property
    def step_seconds(self) -> float | None:
        """Of a step; an environment of another kind knows no seconds."""
        return None if self._foreign is not None else self.game["tick_skip"] / TICKS_PER_SECOND

    @property
    def progress(self) -> float:
        """How far settings with an ``_end`` are on their lines, 0 to 1."""
        return min(self.timesteps / (self.anneal_timesteps or self.total_timesteps), 1.0)

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

    def play(self, mode: str, opponent: Opponent | None, share: float = 1.0) -> None:
        """From the next rollout on, play this mode: all cars by self-play, or the blue team against the opponent.

        The opponent plays in this share of the arenas; in the others there is self-play.
        """
        if self._foreign is not None:
            raise ValueError("a curriculum needs Rocket League: set curriculum.stages to [] when data.env is given")
        present = (self._mode, self._opponent is None, self._opponent_share)
        if self._is_open and (mode, opponent is None, share) == present:
            self._actors.change_opponent(opponent)  # type: ignore[union-attr]
        else:
            self._release()
        self._mode, self._opponent, self._opponent_share = mode, opponent, share

    def _make_env(self, mode: str, opponent: Opponent | None) -> MakeEnv:
        """Makes environments of so many arenas with this run's observation, rewards, endings and starts."""
        if (foreign := self._foreign) is not None:
            return self._make_foreign or (lambda num_envs: foreign)
        return functools.partial(arenas, mode=mode, opponent=opponent, share=self._opponent_share, **self.game)

    @override
    def train_dataloader(self) -> Minibatches:
        """One iteration: collects when iterated, so never before the update that comes before it."""
        return Minibatches(self.epochs, self.num_minibatches, self._next_batch)

    def _next_batch(self) -> tuple[Batch, torch.Generator]:
        module = self.trainer.lightning_module  # type: ignore[union-attr]
        return self.collect(module), self._generator  # type: ignore[arg-type]

    @override
    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch  # the module's ``prepare`` has put it there

    def check(self, module: PPO) -> None:
        """See that the model fits the environment, or raise ValueError."""
        if self._foreign is None:
            self._make_env(self._mode, None)(1)  # builds no arena yet
        space = ACTION_SPACE if self._foreign is None else self._foreign.single_action_space
        module.check_fit(space, self.sees_the_default)

    def open(self, module: PPO) -> Actors:
        """What collects, with the environments of the present stage, built and reset if they are not open yet.

        Raises:
            ValueError: the model's head does not fit their actions.
        """
        if self._actors is None:
            self.check(module)
            low = module.trainer.precision == "bf16-mixed" and cpu_has_bfloat16()
            acting = Acting(module.policy, bfloat16=low)
            if self.num_workers == 0:
                self._actors = Inline(acting, self.num_arenas)
            else:
                sizes = (self.num_envs, self.num_workers, self.batch_size, self.observation_size)
                here = module.trainer.precision_plugin.forward_context if self.act_on == "learner" else None
                self._actors = Workers(acting, *sizes, act_here=here, show=module.print)
        if not self._is_open:
            self._actors.open(
                self._make_env(self._mode, self._opponent),
                seed_of("arenas", module.trainer.global_rank, self.timesteps),
            )
            self._is_open = True
        return self._actors

    def _begin(self, module: PPO, timesteps: int) -> None:
        """Start collecting this many timesteps with the policy as it is."""
        actors = self.open(module)
        num_steps = math.ceil(timesteps / actors.num_agents)
        seed = seed_of("noise", module.trainer.global_rank, self.timesteps)
        actors.begin(module.policy, num_steps, seed, self.progress)
        self._ahead = timesteps

    def collect(self, module: PPO) -> Batch:
        """Collect the next rollout with the module's policy and prepare it for learning; counts its timesteps."""
        begun = time.perf_counter()
        trainer = module.trainer
        size = self.next_size
        self._generator = torch.Generator().manual_seed(seed_of("shuffle", trainer.global_rank, self.timesteps))
        if not self._ahead:
            self._begin(module, size)
        rollout = self.open(module).finish()
        self._ahead, waited = 0, time.perf_counter() - begun
        batch = module.prepare(rollout, size, stale=self.overlap)
        own = Iteration(
            timesteps=len(batch["advantages"]),
            collect_seconds=waited,
            seconds=rollout.report.seconds,
            faulty_steps=int((~rollout.valid).sum()) if self._resets_at_once else 0,
            episode_returns=rollout.report.episode_returns,
            episode_steps=rollout.report.episode_steps,
            statistics=rollout.report.statistics,
        )
        self.iteration = Iteration.of_all(together.gather(own))
        self.timesteps += self.iteration.timesteps
        self.num_iterations += 1
        self.num_faults += self.iteration.faulty_steps
        judge_faults(self.num_faults, self.timesteps + self.num_faults, rollout, trainer.log_dir)
        if self.overlap and self.timesteps < self.total_timesteps:
            self._begin(module, self.next_size)  # overwrites this rollout
        return batch

    def _release(self) -> None:
        """Leave the present arenas; workers stay, for new ones."""
        if self._ahead and self._actors is not None:
            self._actors.finish()
        self._is_open, self._ahead = False, 0

    def _shut(self) -> None:
        self._is_open, self._ahead = False, 0
        if self._actors is not None:
            self._actors.close()
        self._actors = None

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
        self._shut()

    @override
    def on_exception(self, exception: BaseException) -> None:
        self._shut()


def _one_of(make: MakeEnv) -> Any:
    """One arena, to see what its agents see and do; an error in it is no bad setting."""
    try:
        return make(1)
    except InputError:
        raise
    except Exception as error:
        raise RuntimeError(f"data.env failed: {error}") from error
