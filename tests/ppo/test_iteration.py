"""What several processes collected side by side, as one iteration."""

from rlbot.ppo.iteration import Iteration


def part(timesteps, seconds, **statistics):
    return Iteration(timesteps, seconds, {"physics": seconds}, 1, [2.0], [3], statistics)


def test_counts_are_added_up_and_the_slowest_decides_the_time():
    whole = Iteration.of_all([part(10, 4.0, touches=(1.0, 2.0)), part(20, 5.0, touches=(3.0, 4.0))])
    assert whole == Iteration(30, 5.0, {"physics": 5.0}, 2, [2.0, 2.0], [3, 3], {"touches": (4.0, 6.0)})


def test_what_only_one_of_them_counted_is_kept():
    """A replaced worker of one may play against somebody whom the others do not know yet."""
    whole = Iteration.of_all([part(10, 4.0, a=(1.0, 2.0)), part(10, 4.0, b=(3.0, 4.0))])
    assert whole.statistics == {"a": (1.0, 2.0), "b": (3.0, 4.0)}
