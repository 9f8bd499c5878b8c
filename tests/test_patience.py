"""Loggers and callbacks of a user's own that cannot write do not end a run."""

import errno
from pathlib import Path

import lightning as L  # noqa: N812
import pytest
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

import rlbot.patience
from rlbot.patience import be_patient_with


class Note(L.Callback):
    """Writes where nothing can be written."""

    def on_train_epoch_end(self, trainer, pl_module):
        Path(trainer.log_dir, "config.yaml", "note.txt").write_text("that is a file and no folder")

    def on_train_end(self, trainer, pl_module):
        trainer.print("ended")


class FullDisk(CSVLogger):
    """Has no room."""

    def save(self):
        raise OSError(errno.ENOSPC, "No space left on device")


class Clumsy(L.Callback):
    """Makes another mistake."""

    def on_fit_end(self, trainer, pl_module):
        raise ValueError("not about files")


FULL_DISK = '{"class_path": "test_patience.FullDisk", "init_args": {"save_dir": "SAVE_DIR"}}'


def test_callback_and_logger_without_room_cost_a_warning_a_minute_each(fit, tmp_path):
    run = fit(
        tmp_path, "--allow=test_patience", "--trainer.callbacks=test_patience.Note",
        "--trainer.logger=" + FULL_DISK.replace("SAVE_DIR", str(tmp_path)),
    )  # fmt: skip
    assert (run.code, run.err, run.load()["metadata"]["timesteps"]) == (0, "", 128)
    said = [line for line in run.out.splitlines() if line.startswith("[ERROR]")]
    assert sorted(said) == [
        "[ERROR] FullDisk.save failed (No space left on device): training goes on",
        "[ERROR] Note.on_train_epoch_end failed (Not a directory): training goes on",
    ]
    assert "ended\n" in run.out


def test_after_a_minute_it_is_said_again(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(rlbot.patience.time, "monotonic", lambda: now[0])
    note = Note()
    note.on_fit_end = lambda: Path("/nowhere/file").read_text()
    be_patient_with(note)
    for now[0] in (100.0, 159.9, 160.0):
        note.on_fit_end()
    assert capsys.readouterr().out.count("failed (No such file or directory): training goes on\n") == 2


def test_other_mistakes_are_raised():
    clumsy = Clumsy()
    be_patient_with(clumsy)
    with pytest.raises(ValueError, match="not about files"):
        clumsy.on_fit_end(None, None)


def test_callback_that_others_wait_for_or_that_saves_checkpoints_is_heard(monkeypatch):
    def unwritable():
        raise OSError(errno.ENOSPC, "No space left on device")

    saving, waited_for = ModelCheckpoint(), Note()
    for part in (saving, waited_for):
        part.on_fit_end = unwritable
        be_patient_with(part)
    waited_for.on_fit_end()
    monkeypatch.setattr("rlbot.ppo.together.num_processes", lambda: 2)
    for part in (saving, waited_for):
        with pytest.raises(OSError, match="No space left"):
            part.on_fit_end()
