"""The scripted opponents: what they answer, and that the chaser reaches the ball in the real simulator."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from rlbot.errors import InputError
from rlbot.game.actions import TABLE
from rlbot.game.endings import Clock, Scored
from rlbot.game.match import Match
from rlbot.game.observations import (
    BALL_POSITION,
    BALL_VELOCITY,
    OWN_BALL,
    OWN_FORWARD,
    OWN_ON_GROUND,
    OWN_POSITION,
    OWN_UP,
    OWN_VELOCITY,
    POSITION,
)
from rlbot.game.starts import Kickoff, Start
from rlbot.league.opponents import SCRIPTED, Chaser, Goalie, Idle, Random, find
from rlbot.ppo.module import PPO
from rlbot.sim.state import BALL_MAX_SPEED, CAR_MAX_SPEED


@pytest.mark.parametrize("name", SCRIPTED)
def test_every_opponent_answers_with_controls_in_the_box(name):
    rng = np.random.default_rng(0)
    controls = find(name)(rng.normal(size=(5, 2, 180)).astype(np.float32), rng.random((5, 2), np.float32))
    assert controls.shape == (5, 2, 8)
    assert controls.dtype == np.float32
    assert (np.abs(controls) <= 1).all()
    assert np.isin(controls[..., 5:], [0, 1]).all()


def test_random_picks_its_row_by_the_noise_alone():
    noise = np.array([[0, 1 / 90 + 1e-6, 0.5 + 1e-6, 1 - 2**-24]], np.float32)
    assert_array_equal(Random()(np.zeros((1, 4, 180), np.float32), noise), TABLE[None, [0, 1, 45, 89]])


def test_idle_does_nothing():
    assert not Idle()(np.ones((2, 3, 180), np.float32), np.ones((2, 3))).any()


def chase(ahead, right, on_ground=True):
    observations = np.zeros((1, 1, 180), np.float32)
    observations[..., OWN_BALL] = ahead, right, 0
    observations[..., OWN_ON_GROUND] = on_ground
    return Chaser()(observations, np.zeros((1, 1)))[0, 0].tolist()


def test_the_chaser_turns_to_the_side_the_ball_is_on():
    assert chase(1, 0) == [1, 0, 0, 0, 0, 0, 1, 0]
    assert chase(0, 1) == [1, 1, 0, 0, 0, 0, 0, 1]
    assert chase(0, -1) == [1, -1, 0, 0, 0, 0, 0, 1]
    assert chase(-1, 0.1)[1] == 1
    assert chase(0.5, 0.5, on_ground=False)[3] == 1


@pytest.mark.parametrize(("angle", "boost", "handbrake"), [(0.3, 1, 0), (0.5, 0, 0), (1.4, 0, 0), (1.6, 0, 1)])
@pytest.mark.parametrize("side", [-1, 1])
def test_the_chaser_boosts_at_a_ball_before_it_and_slides_round_to_one_behind(angle, boost, handbrake, side):
    assert chase(np.cos(angle), side * np.sin(angle))[6:] == [boost, handbrake]
    assert chase(np.cos(angle), side * np.sin(angle), on_ground=False)[7] == 0


class Placed(Start):
    """Orange waits far away; blue and the ball where the test says."""

    def __init__(self, car, yaw, ball, roll=0):
        super().__init__()
        self.car, self.angles, self.ball = car, (yaw, 0, roll), ball

    def __call__(self, rng, team):
        start = Kickoff()(rng, team)
        start.ball_position = np.array(self.ball)
        start.car_position[:] = self.car, (3000, 4000, 17)
        start.car_yaw_pitch_roll[0] = self.angles
        return start


def let_chase(start, seconds):
    """Steps of a chaser driving the blue car: touches of the ball, and its last observation."""
    match, chaser = Match(1, starts=[start], endings=[Clock()]), Chaser()
    observations = match.begin([np.random.default_rng(0)])
    for _ in range(int(seconds * 15)):
        controls = np.zeros((1, 2, 8), np.float32)
        controls[:, :1] = chaser(observations[:, :1], np.zeros((1, 1)))
        observations = match.step(controls).observations
    return match.take_statistics()["game/touches_per_minute"][0], observations[0, 0]


@pytest.mark.parametrize("yaw", [0, 1.57, 3.14, -1.57])
@pytest.mark.parametrize("ball", [(-1500, 500, 93.15), (1500, -500, 93.15)])
def test_the_chaser_reaches_a_ball_on_any_side(yaw, ball):
    touches, _ = let_chase(Placed((0, 0, 17), yaw, ball), seconds=6)
    assert touches > 0


@pytest.mark.parametrize("yaw", [0, 1.57, 3.14, -1.57])
@pytest.mark.parametrize("roll", [-1, 1])
def test_the_chaser_rolls_upright_in_the_air_whichever_way_it_faces(yaw, roll):
    ball = (3000 * np.cos(yaw), 3000 * np.sin(yaw), 93.15)
    _, seen = let_chase(Placed((0, 0, 1700), yaw, ball, roll), seconds=0.8)
    assert not seen[OWN_ON_GROUND]
    assert seen[65] > 0.8  # up, z; 0.54 at first


class Shot(Placed):
    """The ball rolls or flies toward blue's goal."""

    def __init__(self, ball, velocity, car):
        super().__init__(car, 0.5 * np.pi, ball)
        self.velocity = velocity

    def __call__(self, rng, team):
        start = super().__call__(rng, team)
        start.ball_velocity = np.array(self.velocity)
        return start


def goes_in(keeper, start, seconds=4):
    """Whether the shot goes in."""
    match = Match(1, starts=[start], endings=[Scored()])
    observations = match.begin([np.random.default_rng(0)])
    for _ in range(int(seconds * 15)):
        controls = np.zeros((1, 2, 8), np.float32)
        controls[:, :1] = keeper(observations[:, :1], np.zeros((1, 1)))
        step = match.step(controls)
        if step.terminated[0]:
            return True
        observations = step.observations
    return False


SHOTS = [
    ((x, -1000, 93.15), (-x / 2.6 + aim, -1600, lift))
    for x in (-1500, 0, 1500)
    for aim in (-150, 0, 150)
    for lift in (0, 500)
]


def test_the_goalie_keeps_shots_out_that_would_go_in():
    shots = [Shot(*shot, car=(0, -4600, 17)) for shot in SHOTS]
    assert sum(goes_in(Idle(), shot) for shot in shots) == 12
    assert sum(goes_in(Goalie(), shot) for shot in shots) == 0


@pytest.mark.parametrize("place", [(2000, 1000, 17), (-3000, -3000, 17), (0, -4000, 17), (600, -4900, 17)])
def test_the_goalie_goes_back_to_its_goal_and_stays(place):
    match = Match(1, starts=[Placed(place, 0.5 * np.pi, (0, 3000, 93.15))], endings=[Clock()])
    observations = match.begin([np.random.default_rng(0)])
    for _ in range(8 * 15):
        controls = np.zeros((1, 2, 8), np.float32)
        controls[:, :1] = Goalie()(observations[:, :1], np.zeros((1, 1)))
        observations = match.step(controls).observations
    car = match.arenas.step(controls, active=np.zeros(1, bool)).cars
    assert np.abs(car.position[0, 0] - (0, -4620, 17)).max() < 300
    assert np.linalg.norm(car.velocity[0, 0]) < 200


def test_the_goalie_does_not_drive_a_ball_behind_it_into_its_goal():
    """It turns to its post, a little to the right, and not to the ball, sharply."""
    seen = np.zeros((1, 1, 180), np.float32)
    seen[..., BALL_POSITION], seen[..., OWN_POSITION] = (
        place * POSITION for place in np.array([(2000, -3500, 93), (0, -3000, 17)])
    )
    seen[..., OWN_FORWARD], seen[..., OWN_UP], seen[..., OWN_ON_GROUND] = (0, -1, 0), (0, 0, 1), 1
    assert 0 < Goalie()(seen, np.zeros((1, 1)))[0, 0, 1] < 0.9


def guard(place, velocity=(0, 0, 0), forward=(0, -1, 0), ball=(0, 3000, 93), rolls=(0, 0, 0)):
    """What the goalie does in a car at ``place``, whose post is at (0, -4620, 17) for a ball in the middle."""
    seen = np.zeros((1, 1, 180), np.float32)
    seen[..., BALL_POSITION], seen[..., OWN_POSITION] = (np.array(spot) * POSITION for spot in (ball, place))
    seen[..., OWN_VELOCITY], seen[..., BALL_VELOCITY] = (
        np.array(velocity) / CAR_MAX_SPEED,
        np.array(rolls) / BALL_MAX_SPEED,
    )
    seen[..., OWN_FORWARD], seen[..., OWN_UP], seen[..., OWN_ON_GROUND] = forward, (0, 0, 1), 1
    return Goalie()(seen, np.zeros((1, 1)))[0, 0]


@pytest.mark.parametrize(
    ("away", "speed", "throttle"),
    [(200, 0, 1), (200, 150, 0.5), (200, 300, 0), (200, 450, -0.5), (100, 0, 0), (100, 150, -0.5), (1600, 2300, 0)],
)
def test_the_goalie_slows_down_before_its_post(away, speed, throttle):
    """It wants 1.5 uu/s for each uu that is left, and to stand within 150."""
    assert guard((0, -4620 + away, 17), velocity=(0, -speed, 0))[0] == pytest.approx(throttle, abs=1e-3)


@pytest.mark.parametrize("aside", [-400, 400])
def test_the_goalie_reverses_to_a_post_that_is_not_far_behind(aside):
    """Reversing, a car's tail goes to the side it steers to."""
    near = guard((aside, -4000, 17), forward=(0, 1, 0))
    assert near[0] == -1
    assert near[1] == np.sign(aside)  # facing +y, the middle is on the right of a car at +x
    assert near[7] == 0
    assert guard((0, -3000, 17), forward=(0, 1, 0))[[0, 7]].tolist() == [1, 1]  # farther: it turns round


def test_the_goalie_meets_a_ball_where_it_will_be():
    """The ball rolls across in front of it: it steers to where it goes, not to where it is."""
    still, rolling = (guard((0, -4620, 17), (0, 0, 0), (0, 1, 0), (-800, -3000, 93), (vx, 0, 0)) for vx in (0, 1200))
    assert still[1] * rolling[1] < 0


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="opponent='nobody' is none of random, idle, chaser, goalie and no checkpoint"):
        find("nobody")


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(ValueError, match="but a folder: give a checkpoint in it"):
        find(str(tmp_path))


def test_a_policy_that_sees_something_else_than_matches_show_is_refused(tmp_path):
    module = PPO(hidden_sizes=(8,), observation_size=6, symmetry=None, close_up=False)
    torch.save({"architecture": module.architecture, "state_dict": module.state_dict()}, tmp_path / "own.ckpt")
    with pytest.raises(InputError, match=r"own\.ckpt: its policy sees 6 numbers, not the 180"):
        find(str(tmp_path / "own.ckpt"))
