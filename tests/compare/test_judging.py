"""Curves are read and matches played as the figures say."""

import pytest

from rlbot.compare import command
from rlbot.compare.calls import CallError
from rlbot.compare.judging import at, first_reached


def test_mark_is_reached_where_the_mean_of_five_iterations_reaches_it():
    curve = [(100 * i, float(i)) for i in range(1, 11)]  # 1 at 100, 2 at 200, ...
    assert first_reached(curve, 5.0) == 700  # (3 + 4 + 5 + 6 + 7) / 5
    assert first_reached(curve, 8.5) is None
    assert at(curve, 650) == 4.0  # (2 + 3 + 4 + 5 + 6) / 5
    assert at(curve, 1001) is None


def test_matches_are_played_again_for_another_checkpoint_reference_or_number(commands, tmp_path):
    reference = tmp_path / "guest.ckpt"
    assert commands.compare("--reference", "chaser") == ["train", "evaluate", "evaluate"]
    further = ["--reference", "random"]
    assert commands.compare(*further) == ["evaluate"]
    assert commands.calls[0][2] == "random"
    assert commands.compare(*further) == []
    assert commands.compare(*further, "--games", "4") == ["evaluate", "evaluate"]
    (commands.seed / "run" / "checkpoints" / "last.ckpt").write_text("another")
    assert commands.compare(*further, "--games", "4") == ["evaluate", "evaluate"]
    reference.write_text("one")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "find", lambda name: None)  # it is no real checkpoint
        further = ["--reference", str(reference), "--games", "4"]
        assert commands.compare(*further) == ["evaluate"]
        reference.write_text("another under the same name")
        assert commands.compare(*further) == ["evaluate"]
        assert commands.compare(*further) == []


@pytest.mark.parametrize("left", ["", '{\n  "mode": "1v', "[]"])
def test_matches_of_which_a_full_disk_left_half_a_file_are_played_again(commands, left):
    commands.torn = left
    with pytest.raises(CallError):
        commands.compare()
    commands.torn = None
    assert commands.compare() == ["evaluate"]
    (commands.seed / "against_idle.json").write_text(left)  # as earlier versions did
    assert commands.compare() == ["evaluate"]
    assert commands.compare() == []
    assert [file.name for file in commands.seed.glob("*.json*")] == ["against_idle.json"]
