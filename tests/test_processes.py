"""Distributed runs of the train command: what the processes agree on, and how all of them end."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L  # noqa: N812
import psutil
import pytest
import torch
from running import TRAIN, arguments_of
from side_by_side import free_port, number

from rlbot.errors import InputError
from rlbot.ppo.checkpoint import AtomicCheckpointIO
from rlbot.processes import place

STAGES = "[{mode: 1v1}, {mode: 1v2, opponent: checkpoint, from_timesteps: 128}]"
ENDLESS = ("--timesteps=100000000", "--checkpoint.interval=100000000", "--save_interval=128")


class Facts(L.Callback):
    """Keeps what a process knows after each iteration; the second one spoils a minibatch of the second iteration."""

    def __init__(self) -> None:
        self.facts: list[dict[str, Any]] = []
        self.actions: list[Any] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.actions.append(batch["actions"].tolist())
        if trainer.global_rank == 1 and trainer.current_epoch == 1 and batch_idx == 0:
            batch["advantages"].fill_(torch.nan)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        curriculum = next(c for c in trainer.callbacks if hasattr(c, "stage_name"))
        weights = torch.cat([p.flatten() for p in pl_module.parameters()]).tolist()
        scale = [float(buffer) for buffer in pl_module.return_scale.buffers()]
        data = trainer.datamodule
        self.facts.append({
            "weights": weights, "scale": scale, "stage": curriculum.stage_name, "timesteps": data.timesteps,
            "skipped": pl_module._bad_steps, "iteration": data.iteration._asdict(),
        })  # fmt: skip
        torch.save((self.facts, self.actions), f"facts_{trainer.global_rank}.pt")


def nothing(rank: int) -> None:
    """Both processes are as they are."""


def hide_files(rank: int) -> None:
    if rank == 1:
        AtomicCheckpointIO.load_checkpoint.__globals__["load"] = None


def fill_disk(rank: int) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    AtomicCheckpointIO.save_checkpoint = refuse  # type: ignore[method-assign]


def start_two(start: Any, folder: Path, *arguments: str, before: Any = nothing) -> list[Any]:
    """Both processes of a run; what they print is in ``0/output.txt`` and ``1/output.txt``."""
    port, processes = free_port(), []
    for rank in (0, 1):
        (own := folder / str(rank)).mkdir()
        words = ("--device=cpu", "--trainer.devices=2", f"--logdir={folder / 'run'}", *arguments)
        processes.append(start(own, *words, before=partial(begin, rank, port, folder, before)))
    return processes


def begin(rank: int, port: int, folder: Path, before: Any) -> None:
    number(rank, port)
    os.chdir(folder)
    before(rank)


def wait_for(file: Path, text: str, seconds: float = 90) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if file.exists() and text in (printed := file.read_text(encoding="utf-8")):
            return printed
        time.sleep(0.05)
    raise AssertionError(f"no {text!r} in {file.read_text(encoding='utf-8')}")


@pytest.fixture(scope="module")
def two(start, tmp_path_factory):
    """A run of 128, 128 and 64 timesteps through two stages: facts and actions of each process, what was printed."""
    folder = tmp_path_factory.mktemp("two")
    mine = ("--allow=test_processes", "--trainer.callbacks=test_processes.Facts")
    processes = start_two(start, folder, f"--curriculum.stages={STAGES}", "--timesteps=320", *mine)
    for process in processes:
        process.join(90)
    printed = [(folder / str(rank) / "output.txt").read_text(encoding="utf-8") for rank in (0, 1)]
    assert [process.exitcode for process in processes] == [0, 0], printed
    facts, actions = zip(*(torch.load(folder / f"facts_{rank}.pt") for rank in (0, 1)), strict=True)
    return SimpleNamespace(facts=facts, actions=actions, printed=printed, logdir=folder / "run")


def test_processes_agree_on_everything(two):
    assert two.facts[0] == two.facts[1]
    assert [fact["timesteps"] for fact in two.facts[0]] == [128, 256, 320]
    assert [fact["stage"] for fact in two.facts[0]] == ["1v1", "1v2", "1v2"]


def test_processes_act_differently(two):
    assert all(first != second for first, second in zip(*two.actions, strict=True))


def test_update_that_is_spoilt_in_one_process_is_skipped_in_both(two):
    assert [fact["skipped"] for fact in two.facts[0]] == [fact["skipped"] for fact in two.facts[1]] == [0, 1, 1]


def test_only_the_first_process_prints_and_writes(two):
    assert "(4 agents) in each of 2 processes" in two.printed[0]
    assert two.printed[1] == ""
    assert len(list(two.logdir.glob("events*"))) == 1
    saved = torch.load(two.logdir / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["metadata"]["timesteps"] == saved["RolloutDataModule"]["timesteps"] == 320


def test_resumed_by_two_processes_that_do_not_both_see_the_file(start, two, tmp_path):
    mine = ("--allow=test_processes", "--trainer.callbacks=test_processes.Facts", "--timesteps=448")
    last = two.logdir / "checkpoints" / "last.ckpt"
    processes = start_two(start, tmp_path, f"--ckpt_path={last}", *mine, before=hide_files)
    for process in processes:
        process.join(60)
    facts = [torch.load(tmp_path / f"facts_{rank}.pt")[0] for rank in (0, 1)]
    assert [fact["timesteps"] for fact in facts[0]] == [448]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("rank", [0, 1])
def test_signal_to_one_process_stops_both_at_the_same_boundary(start, tmp_path, rank):
    processes = start_two(start, tmp_path, *ENDLESS)
    wait_for(tmp_path / "0/output.txt", "[OK] Training speed")
    os.kill(processes[rank].pid, signal.SIGTERM)
    for process in processes:
        process.join(60)
    printed = (tmp_path / "0/output.txt").read_text(encoding="utf-8")
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["metadata"]["timesteps"]
    assert [process.exitcode for process in processes] == [143, 143]
    assert int(re.findall(r"at (\d+) timesteps", printed)[-1]) == saved
    assert printed.count("[OK] Stopping after SIGTERM: saving") == 1


def test_full_disk_of_the_first_process_ends_both(start, tmp_path):
    processes = start_two(start, tmp_path, *ENDLESS, before=fill_disk)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [75, 75]
    assert "3 checkpoints in a row" in (tmp_path / "0/output.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("rank", [0, 1])
def test_killed_process_ends_the_other_with_one_line(start, tmp_path, rank):
    processes = start_two(start, tmp_path, *ENDLESS)
    wait_for(tmp_path / "0/output.txt", "[OK] Training speed")
    os.kill(processes[rank].pid, signal.SIGKILL)
    processes[1 - rank].join(60)
    assert processes[1 - rank].exitcode == 75
    printed = (tmp_path / f"{1 - rank}/output.txt").read_text(encoding="utf-8")
    assert "another process of this run is gone" in printed
    assert "Traceback" not in printed


def spawn(folder: Path, *command: str) -> "subprocess.Popen[bytes]":
    with (folder / "output.txt").open("wb") as output:
        return subprocess.Popen([sys.executable, *command], cwd=folder, stdout=output, stderr=subprocess.STDOUT)


def test_killed_run_leaves_no_process_that_it_started(tmp_path):
    main = spawn(tmp_path, TRAIN, *arguments_of(tmp_path, ("--device=cpu", "--trainer.devices=2", *ENDLESS)))
    wait_for(tmp_path / "output.txt", "[OK] Training speed")
    (other,) = psutil.Process(main.pid).children()
    assert "--trainer.devices=2" in other.cmdline()
    main.kill()
    gone, alive = psutil.wait_procs([other], timeout=60)
    main.wait()
    assert (len(gone), alive) == (1, [])


DIES_ONCE = """
import os, pathlib, signal
import lightning as L

class DiesOnce(L.Callback):
    def on_train_epoch_start(self, trainer, pl_module):
        if trainer.global_rank == 1 and trainer.datamodule.num_iterations == 3 and not pathlib.Path("died").exists():
            pathlib.Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="torchrun does not start there")
def test_torchrun_goes_on_from_the_last_save_after_a_kill(tmp_path):
    (tmp_path / "dies_once.py").write_text(DIES_ONCE)
    dies = ("--allow=dies_once", "--trainer.callbacks=dies_once.DiesOnce")
    run = arguments_of(tmp_path, ("--device=cpu", "--timesteps=1280", "--throughput.print_seconds=1000", *dies))
    elastic = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1")
    assert spawn(tmp_path, *elastic, TRAIN, *run).wait(90) == 0
    printed = (tmp_path / "output.txt").read_text(encoding="utf-8")
    assert printed.count("[OK] Started again by torchrun: going on from the last save") == 1
    (begun,) = re.findall(r"Timesteps: (\d+) of 1280", printed)[1:]
    assert int(begun) >= 128
    saved = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    assert saved["metadata"]["timesteps"] == 1280


def under_torchrun(monkeypatch: pytest.MonkeyPatch, world: int, local: int) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": local}.items():
        monkeypatch.setenv(name, str(value))


def test_torchrun_says_how_many_processes_and_machines_there_are(monkeypatch):
    under_torchrun(monkeypatch, world=6, local=2)
    placed = place("cpu", "auto", 1, "auto")
    assert (placed.devices, placed.num_nodes) == (2, 3)
    with pytest.raises(InputError, match=r"trainer.devices=4, trainer.num_nodes=1: torchrun started 6 processes"):
        place("cpu", 4, 1, "auto")


def test_one_process_has_no_strategy_and_several_have_ddp():
    assert place("cpu", "auto", 1, "auto").strategy == "auto"
    assert place("cpu", 1, 1, "auto") == ("cpu", 1, 1, "auto")
    for placed in (place("cpu", 2, 1, "auto"), place("cpu", 1, 2, "auto"), place("cpu", 2, 1, "ddp")):
        assert placed.strategy._ddp_kwargs == {"broadcast_buffers": False}


def test_one_named_device_stays_that_one(monkeypatch):
    monkeypatch.setattr("rlbot.processes.choose_device", lambda device: ("cuda", [1]))
    assert [place("cuda:1", devices, 1, "auto").devices for devices in ("auto", 1, "1")] == [[1]] * 3
    for devices in (2, [0], "0,1"):
        with pytest.raises(InputError, match=r"device=cuda:1: names one device, but trainer\.devices="):
            place("cuda:1", devices, 1, "auto")


@pytest.mark.parametrize(
    ("devices", "strategy", "named"), [("many", "auto", "devices=many"), (2, "fsdp", "strategy=fsdp")]
)
def test_other_words_are_refused(devices, strategy, named):
    with pytest.raises(InputError, match=f"trainer.{named}"):
        place("cpu", devices, 1, strategy)
