"""The command line of training: a LightningCLI ``fit`` with a YAML.

The composition root: it stands above the callbacks and wires everything together. Settings that several parts share
(username, total_timesteps, device, logdir, save_interval, exact_resume) are given once, at the top level.
"""

import logging
import signal
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812
import yaml
from jsonargparse import ArgumentError, Namespace, set_parsing_settings
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from typing_extensions import override

from callbacks import (
    Curriculum,
    Evaluation,
    GameStatistics,
    RewardLedger,
    RunSummary,
    Stop,
    Throughput,
    TimestepCheckpoint,
    TimestepProgressBar,
)
from rlbot.arguments import arrange, explain, flat
from rlbot.errors import InputError, TryAgainError
from rlbot.events import Events
from rlbot.files import write_whole
from rlbot.patience import be_patient_with
from rlbot.ppo import together
from rlbot.ppo.acting import cpu_has_bfloat16
from rlbot.ppo.checkpoint import AtomicCheckpointIO
from rlbot.ppo.data import RolloutDataModule
from rlbot.ppo.module import PPO
from rlbot.processes import is_started, join, meet, place, restarted_after, start_others
from rlbot.runs import LAST, RunFolder, checkpoint_folder, load_run, newest_valid

ALLOWED_IMPORTS = [  # what a class_path may name: parts to build with, nothing that runs or loads what a YAML says
    "callbacks",
    "gymnasium.envs.registration.make_vec",
    "gymnasium.make_vec",
    "gymnasium.vector",
    "lightning.pytorch.callbacks",
    "lightning.pytorch.loggers",
    "lightning.pytorch.plugins",
    "lightning.pytorch.profilers",
    "lightning.pytorch.strategies",
    "rlbot.game",
    "rlbot.league",
    "rlbot.ppo",
    "stable_baselines3.common.env_util.make_vec_env",
]
DESCRIPTION = (
    "Train a bot. Without --config the settings of configs/base.yaml are used; several --config stack, later ones win, "
    "and any takes its place: name configs/base.yaml before a file that holds only a difference. Defaults shown below "
    "are those without any file. "
    "Also on the command line: --debug (1,000 timesteps that exercise everything, in under a minute) and --allow NAME "
    "(class_path may name your own module NAME)."
)
TRAINER_DEFAULTS = {
    "max_epochs": -1,  # timesteps end a run
    "reload_dataloaders_every_n_epochs": 1,  # the last iteration is shorter
    "log_every_n_steps": 0,  # nothing is logged between iterations
    "limit_val_batches": 0,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "gradient_clip_val": 0.5,
}
UNWANTED_ADVICE = ("treespec, LeafSpec", "It is recommended to use `self.log", "`broadcast_buffers` is deprecated")
PRECISIONS = ("16-mixed", "bf16-mixed", "32-true")
CALLBACKS: dict[str, type[L.Callback]] = {
    "evaluation": Evaluation,  # before those that go by what it finds and what it takes
    "reward_ledger": RewardLedger,  # before the curriculum: an iteration belongs to the stage that it was played in
    "curriculum": Curriculum,
    "statistics": GameStatistics,
    "throughput": Throughput,
    "checkpoint": TimestepCheckpoint,
}


class SaveConfig(SaveConfigCallback):
    """Writes the whole configuration to ``config.yaml`` in the run's folder, as UTF-8."""

    @override
    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if trainer.is_global_zero and not self.already_saved:
            text = self.parser.dump(self.config, skip_unset=False)
            file = Path(self.config["logdir"], self.config_filename)
            try:
                write_whole(file, text.encode())
            except OSError as error:
                raise TryAgainError(f"{file}: cannot be written ({error.strerror})") from error
            self.already_saved = True


class TrainCLI(LightningCLI):
    """``fit`` of PPO on rollouts, with the callbacks that the Trainer cannot know about."""

    stop: Stop
    allowed: Sequence[str] = ()  # modules of the user's own
    arguments: Sequence[str] = ()  # as given
    observers: Sequence[L.Callback] = ()  # of the caller's own

    @staticmethod
    @override
    def subcommands() -> dict[str, set[str]]:
        return {"fit": {"model", "train_dataloaders", "val_dataloaders", "datamodule", "weights_only"}}

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--username", type=str, default="", help="Whose run it is; shown and saved.")
        parser.add_argument(
            "--total_timesteps", "--timesteps", type=int, default=5_000_000, help="Timesteps after which the run ends."
        )
        parser.add_argument(
            "--device", type=str, default="auto", help="auto (CUDA if there is any), cpu, cuda, or cuda:N."
        )
        parser.add_argument(
            "--logdir", type=str, default="logs/latest_run", help="The run's folder; an earlier one is moved aside."
        )
        parser.add_argument(
            "--save_interval", type=int, default=30_000, help="Timesteps after which last.ckpt is written anew."
        )
        parser.add_argument(
            "--exact_resume",
            type=bool,
            default=False,
            help="Start arenas anew at each save, so that a resumed run equals the uninterrupted one bit by bit.",
        )
        for key, callback in CALLBACKS.items():
            parser.add_lightning_class_args(callback, key)
        parser.link_arguments("total_timesteps", "data.total_timesteps")
        parser.link_arguments("exact_resume", "data.exact_resume")
        parser.link_arguments("save_interval", "checkpoint.save_interval")
        parser.link_arguments("username", "checkpoint.username")
        parser.link_arguments("logdir", "checkpoint.folder", compute_fn=checkpoint_folder)
        parser.link_arguments("data.step_seconds", "model.step_seconds", apply_on="instantiate")
        parser.link_arguments("data.observation_size", "model.observation_size", apply_on="instantiate")

    @override
    def _set_seed(self) -> None:
        try:
            super()._set_seed()
        except ValueError as error:
            raise InputError(f"seed_everything: {error}") from error

    @override
    def _parse_ckpt_path(self) -> None:
        """Check the checkpoint before anything is built; the YAML and the command line win over what it holds.

        Of several processes the first reads it for all.
        """
        fit = self.config["fit"]
        fit.logdir = str(Path(fit.logdir).expanduser())
        self.checkpoint: dict[str, Any] | None = None
        self._placed = place(fit.device, fit.trainer.devices, fit.trainer.num_nodes, fit.trainer.strategy)
        meet(self._placed.accelerator)
        if restarted_after(Path(checkpoint_folder(fit.logdir), LAST)):
            print("[OK] Started again by torchrun: going on from the last save", flush=True)
            fit.ckpt_path = "last"
        if fit.ckpt_path is None:
            return
        path, folder = Path(str(fit.ckpt_path)), Path(checkpoint_folder(fit.logdir))
        if str(path) == "last":
            path, skipped = newest_valid(folder) if together.leads() else (folder / LAST, [])
            for reason in skipped:
                print(f"[ERROR] Skipped: {reason}", flush=True)
        fit.ckpt_path = str(path)
        self.checkpoint = load_run(path) if together.leads() else None

    @override
    def before_instantiate_classes(self) -> None:
        fit = self.config["fit"]
        made = getattr(fit.data.env, "init_args", None) or {}
        for key in ("id", "env_id"):
            module, colon, _ = str(made.get(key, "")).partition(":")  # gymnasium would import the module
            if colon and module not in self.allowed:
                raise InputError(f"data.env {key}={made[key]}: {module} is not imported; add --allow {module}")
        if not isinstance(fit.curriculum.pool, Namespace):
            raise InputError("curriculum.pool: must hold settings")
        run = Path(fit.logdir).resolve()
        for name in (*fit.curriculum.pool.guests, *fit.evaluation.anchors):
            if Path(name).is_file() and run in Path(name).resolve().parents:
                raise InputError(f"{name} lies in the run's own folder, where it changes: copy it elsewhere first")
        self.config_text = self._parser("fit").dump(fit, skip_unset=False)
        if self.checkpoint is not None:
            self._show_changes(self.checkpoint["metadata"])

    def _show_changes(self, metadata: dict[str, Any]) -> None:
        before, now = (flat(yaml.safe_load(text) or {}) for text in (metadata["config"], self.config_text))
        for key in sorted((before.keys() | now.keys()) - {"ckpt_path"}):
            if before.get(key) != now.get(key):
                print(f"[OK] Changed since the checkpoint: {key} {before.get(key)} -> {now.get(key)}", flush=True)

    @override
    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, MisconfigurationException) as error:
            raise InputError(explain(str(error))) from error

    @override
    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        fit = self.config["fit"]
        self._check_shapes()
        self.datamodule.check(self.model)
        curriculum, evaluation = (self._get(self.config_init, key) for key in ("curriculum", "evaluation"))
        curriculum.check(evaluation, self.datamodule)
        if fit.trainer.accelerator != "auto":
            raise InputError(f"trainer.accelerator={fit.trainer.accelerator}: give device instead (cpu, cuda, cuda:N)")
        given = self._get(self.config_init, "trainer")
        asked = str(fit.trainer.precision or "32-true")
        if asked not in PRECISIONS:
            raise InputError(f"trainer.precision={asked}: must be one of {', '.join(PRECISIONS)}")
        on_cpu = "bf16-mixed" if cpu_has_bfloat16() else "32-true"
        clip = fit.trainer.gradient_clip_val
        if clip is not None and not 0 <= clip < float("inf"):
            raise InputError(f"trainer.gradient_clip_val={clip}: must not be below 0, or null")
        precision = on_cpu if asked == "16-mixed" and self._placed.accelerator == "cpu" else asked
        self.stop = Stop()
        summary = RunSummary(fit.username, asked)
        events = Events(fit.logdir, self.checkpoint["metadata"]["timesteps"] if self.checkpoint else None)
        loggers, theirs, plugins = (_listed(given[key]) for key in ("logger", "callbacks", "plugins"))
        for part in (*loggers, *theirs):
            be_patient_with(part)
        settings: dict[str, Any] = {
            **given,
            **self._placed._asdict(),
            "strategy": self._placed.strategy if isinstance(given["strategy"], str) else given["strategy"],
            "precision": precision,
            "logger": [events, *loggers],
            "callbacks": theirs,
            "plugins": [*plugins, AtomicCheckpointIO()],
        }
        own = [self._get(self.config_init, key) for key in CALLBACKS]
        for callback in (*own, summary):
            if hasattr(callback, "config"):
                callback.config = self.config_text
        bar = [TimestepProgressBar()] if settings["enable_progress_bar"] is not False else []
        return self._instantiate_trainer(settings, [*own, summary, self.stop, *bar, *self.observers])

    def _check_shapes(self) -> None:
        """Raise InputError that names the first weight whose shape differs from the checkpoint's, and both shapes."""
        if self.checkpoint is None:
            return
        there, here = self.checkpoint["state_dict"], self.model.state_dict()
        for key in dict.fromkeys([*here, *there]):
            shapes = [tuple(side[key].shape) if key in side else None for side in (there, here)]
            if shapes[0] != shapes[1]:
                raise InputError(
                    f"ckpt_path={self.config['fit'].ckpt_path}: {key} has shape {shapes[0]} in the checkpoint and "
                    f"{shapes[1]} in this configuration (model.hidden_sizes, model.layer_norm, model.close_up, "
                    "model.head or data)"
                )

    def fit(self, **kwargs: Any) -> None:
        """What LightningCLI runs: hold the run's folder, in the first process, while the Trainer fits."""
        logdir, resumed = Path(self.config["fit"].logdir), self.config["fit"].ckpt_path
        resumes_here = resumed is not None and logdir.resolve() in Path(resumed).resolve().parents
        folder = RunFolder(logdir, resume=resumes_here) if self.trainer.is_global_zero else None
        try:
            with start_others(self.arguments):
                self.trainer.fit(**kwargs, weights_only=True)
        except SIGTERMException as error:  # it came before ``Stop`` was listening
            raise SystemExit(128 + signal.SIGTERM) from error
        finally:
            if folder is not None:
                folder.release()


def _listed(given: Any) -> list[Any]:
    """One or several of the Trainer's parts; true and false are Lightning's words for its own or none."""
    if given is None or isinstance(given, bool):
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def train(arguments: Sequence[str], callbacks: Sequence[L.Callback] = ()) -> int:
    """Run ``fit`` with command line arguments, and callbacks besides those that they name; the exit code.

    Raises:
        InputError: something given cannot be used.
    """
    join()
    print("[START] Training", flush=True)
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for advice in UNWANTED_ADVICE:
        warnings.filterwarnings("ignore", message=f".*{advice}")
    words, allowed = arrange(arguments)
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[*ALLOWED_IMPORTS, *allowed],
        instantiate_subclass_spec_in_any=True,  # data.env takes what any allowed class_path makes
        validate_subclass_spec_in_any=True,
        unset_sentinel=True,  # null is a value, and none for a setting that must have one
    )
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a user's own module lies where the command is run
    sys.argv = sys.argv[:1]  # LightningCLI is given its arguments
    TrainCLI.allowed, TrainCLI.arguments, TrainCLI.observers = allowed, list(arguments), callbacks
    try:
        cli = TrainCLI(
            PPO,
            RolloutDataModule,
            save_config_callback=SaveConfig,
            trainer_defaults=TRAINER_DEFAULTS,
            seed_everything_default=True,
            parser_kwargs={
                "description": DESCRIPTION,
                "exit_on_error": False,
                "fit": {"description": DESCRIPTION, "exit_on_error": False},
            },
            args=words,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
        )
    except ArgumentError as error:
        raise InputError(explain(str(error))) from error
    # What the first process started must not look failed to it while it saves.
    return 128 + cli.stop.signum if cli.stop.signum and not is_started() else 0
