"""Ratings: intervals hold what is true and shrink with games, anchors stay, order is nothing, torn ledgers are read."""

import random
from itertools import pairwise

import numpy as np
import pytest

from rlbot.errors import InputError
from rlbot.league.ratings import MOST, SCALE, Ledger, Rating, Result, ratings

TRUE = {"random": 0.0, "weak": 8.0, "fair": 15.0, "good": 30.0, "best": 36.0}


def win_share(a, b):
    return 1 / (1 + np.exp((TRUE[b] - TRUE[a]) / SCALE))


def exact_results(games):
    """Everyone against the next stronger one, with as many wins as its true chance says."""
    wins = {pair: round(games * win_share(*pair)) for pair in pairwise(TRUE)}
    return [Result("1v1", a, b, won, games - won, 0) for (a, b), won in wins.items()]


def test_players_get_the_ratings_that_made_their_results():
    rated = ratings(exact_results(100_000), "1v1")
    assert {name: rating.mean for name, rating in rated.items()} == pytest.approx(TRUE, abs=0.3)


def test_intervals_hold_the_truth_about_95_times_in_100():
    rng, held = np.random.default_rng(1), 0
    for _ in range(100):
        drawn = {pair: int(rng.binomial(60, win_share(*pair))) for pair in pairwise(TRUE)}
        rated = ratings([Result("1v1", *pair, won, 60 - won, 0) for pair, won in drawn.items()], "1v1")
        held += sum(rated[name].low <= TRUE[name] <= rated[name].high for name in ("weak", "fair", "good", "best"))
    assert 370 <= held <= 392  # of 400; 380 expected


def width(rating):
    return rating.high - rating.low


def test_four_times_the_games_halve_the_intervals_and_distance_from_the_anchor_widens_them():
    few, many = ratings(exact_results(200), "1v1"), ratings(exact_results(800), "1v1")
    assert width(few["weak"]) / width(many["weak"]) == pytest.approx(2, rel=0.05)
    assert width(few["weak"]) < width(few["fair"]) < width(few["good"])


def test_order_and_direction_of_results_do_not_matter():
    results = [*exact_results(50), Result("1v1", "fair", "random", 7, 1, 2)]
    turned = [Result("1v1", r.b, r.a, r.losses, r.wins, r.draws) for r in results]
    random.Random(1).shuffle(turned)
    assert ratings(turned, "1v1") == ratings(results, "1v1")


def test_anchors_keep_their_ratings_and_move_the_others():
    rated = ratings(exact_results(10_000), "1v1", {"random": 100.0, "weak": 108.0})
    assert rated["random"] == Rating(100, 100, 100)
    assert rated["weak"] == Rating(108, 108, 108)
    assert rated["fair"].mean == pytest.approx(115, abs=0.3)


def test_player_that_never_lost_has_a_finite_rating_with_a_width():
    rated = ratings([Result("1v1", "new", "random", 200, 0, 0)], "1v1")["new"]
    assert 15 < rated.low < rated.mean < rated.high < 60


def test_draws_are_half_wins_and_other_modes_and_self_play_do_not_count():
    results = [Result("1v1", "new", "random", 0, 0, 10), Result("1v1", "new", "new", 5, 3, 0)]
    rated = ratings([*results, Result("2v2", "new", "random", 10, 0, 0)], "1v1")
    assert rated["new"].mean == pytest.approx(0, abs=1e-6)
    assert ratings(results, "3v3") == {}


def test_the_same_matches_count_once():
    once, other = Result("1v1", "new", "random", 120, 60, 20, seed=1), Result("1v1", "new", "random", 120, 60, 20, 2)
    assert ratings([once, once], "1v1") == ratings([once], "1v1")
    twice = ratings([once, other], "1v1")["new"]
    assert width(twice) < 0.8 * width(ratings([once], "1v1")["new"])
    unknown = Result("1v1", "new", "random", 120, 60, 20)
    assert ratings([unknown, unknown], "1v1")["new"] == twice
    more = Result("1v1", "new", "random", 200, 160, 40, seed=1)
    for order in ([once, more], [more, once]):
        assert ratings(order, "1v1") == ratings([more], "1v1")


def test_the_pair_of_1v2_is_another_player_than_the_lone_car():
    rated = ratings([Result("1v2", "new", "new", 10, 90, 0), Result("1v2", "random", "new", 2, 98, 0)], "1v2")
    assert list(rated) == ["new", "new x2", "random"]
    assert 0 < rated["new"].mean < rated["new x2"].mean


def test_ledger_gives_back_what_was_added_and_skips_torn_lines(tmp_path, capsys):
    ledger, first, second = Ledger(tmp_path / "results.jsonl"), *exact_results(100)[:2]
    assert ledger.read() == []
    ledger.add(first)
    with ledger.path.open("a") as file:
        file.write('{"mode": "1v1", "a": "x"}\n{"mode": "1v1", "a": "new", "b"')  # the second one torn by a crash
    ledger.add(second)
    assert ledger.read() == [first, second]
    warned = f"[WARN] {ledger.path}: 2 lines that are no result were skipped (first: line 2)\n"
    assert capsys.readouterr().out == warned


GOOD = '{"mode": "1v1", "a": "x", "b": "y", "wins": 1, "losses": 2, "draws": 3}'


@pytest.mark.parametrize(
    "line", ["[" * 100_000, GOOD.replace("1,", "9" * 400 + ","), GOOD.replace("1,", "true,"), "[]", "\0", "1"]
)
def test_damaged_lines_are_skipped_and_a_file_of_nothing_else_is_no_ledger(line, tmp_path, capsys):
    ledger = Ledger(tmp_path / "results.jsonl")
    ledger.path.write_text(f"\n{line}\n")
    with pytest.raises(InputError, match=r"ledger=.*results.jsonl: is no ledger"):
        ledger.check()
    ledger.path.write_text(f"{GOOD}\n{line}\n")
    ledger.check()
    assert capsys.readouterr().out == ""
    assert ledger.read() == [Result("1v1", "x", "y", 1, 2, 3)]
    assert "1 line that is no result was skipped (first: line 2)" in capsys.readouterr().out


def test_the_most_matches_a_result_may_have_can_be_rated():
    rated = ratings([Result("1v1", "x", "y", MOST, 0, 0), Result("1v1", "y", "z", MOST, MOST, 0)], "1v1")
    assert all(np.isfinite(rating).all() for rating in rated.values())
    with pytest.raises(ValueError, match="no result"):
        Result("1v1", "x", "y", MOST + 1, 0, 0)


@pytest.mark.parametrize(
    "change", [{"mode": "4v4"}, {"wins": True}, {"wins": -1}, {"draws": 0.5}, {"a": 3}, {"losses": None}, {"seed": "x"}]
)
def test_results_that_cannot_be_are_refused(change):
    good = {"mode": "1v1", "a": "x", "b": "y", "wins": 1, "losses": 2, "draws": 3, "seed": 1}
    assert Result.of(good) == Result("1v1", "x", "y", 1, 2, 3, seed=1)
    with pytest.raises(ValueError, match="no result"):
        Result.of(good | change)


def test_who_played_little_is_pulled_to_the_anchors_and_not_to_zero():
    results = [Result("1v1", "new", "old", 5, 5, 0), Result("1v1", "old", "random", 1, 1, 0)]
    rated = ratings(results, "1v1", {"random": 100.0})
    assert (rated["new"].mean, rated["old"].mean) == pytest.approx((100, 100), abs=1e-3)


def test_ledger_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Ledger(tmp_path).read()


def test_dropped_results_are_gone_and_every_other_line_stays_as_it_was(tmp_path):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.drop(lambda result: True) == 0
    assert not ledger.path.exists()
    for name in ("new", "old", "new"):
        ledger.add(Result("1v1", name, "idle", 1, 1, 0))
    first, second, third = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(first + b"no result\n" + second + third + b'{"torn')
    assert ledger.drop(lambda result: result.a == "new") == 2
    assert ledger.path.read_bytes() == b"no result\n" + second + b'{"torn'
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.jsonl"]
