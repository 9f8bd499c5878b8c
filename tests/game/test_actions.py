"""The 90-row table against RLGym v2's own rows, and what becomes of a user's actions."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from rlbot.game.actions import NUM_ACTIONS, NUM_CONTROLS, TABLE, to_controls


def test_the_table_is_rlgyms_row_by_row():
    reference = np.loadtxt(Path(__file__).parent / "lookup_table.csv", delimiter=",", comments="#")
    assert TABLE.shape == (NUM_ACTIONS, NUM_CONTROLS) == (90, 8)
    assert TABLE.dtype == np.float32
    assert_array_equal(TABLE, reference)


def test_actions_are_clipped_to_the_box():
    controls = to_controls([[-9, -1, -0.5, 0, 0.5, 1, 2, 1e30]], (1, 8))
    assert controls.dtype == np.float32
    assert controls.tolist() == [[-1, -1, -0.5, 0, 0.5, 1, 1, 1]]


@settings(deadline=None)
@given(arrays(np.float32, (3, 8), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_any_finite_action_becomes_controls_in_the_box(actions):
    controls = to_controls(actions, (3, 8))
    assert (np.abs(controls) <= 1).all()
    inside = np.abs(actions) <= 1
    assert_array_equal(controls[inside], actions[inside])


@settings(deadline=None)
@given(st.integers(0, 23), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_one_number_that_is_none_refuses_the_whole_action(place, bad):
    actions = np.zeros((3, 8), np.float32)
    actions.flat[place] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        to_controls(actions, (3, 8))


@pytest.mark.parametrize("shape", [(8,), (2, 8), (3, 7), (3, 8, 1)])
def test_another_shape_is_refused_and_named(shape):
    with pytest.raises(ValueError, match=r"expected \(3, 8\)"):
        to_controls(np.zeros(shape), (3, 8))
