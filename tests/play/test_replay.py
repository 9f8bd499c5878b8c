"""A match as the page shows it: its scripts are run by a browser's engine, all but those that need a screen."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from py_mini_racer import MiniRacer

from rlbot.league.opponents import Chaser, Idle
from rlbot.play.matches import play_matches
from rlbot.play.replay import PAGE, Recording, is_page, page, spin
from rlbot.sim.arenas import ArenaBatch
from rlbot.sim.state import ArenaStart

ATOB = """
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const sextets = (text) => [...text.replaceAll("=", "")].map((letter) => LETTERS.indexOf(letter).toString(2));
const atob = (text) => sextets(text).map((bits) => bits.padStart(6, "0")).join("").match(/.{8}/g)
  .map((bits) => String.fromCharCode(parseInt(bits, 2))).join("");
"""  # which a page has and the engine alone has not
SAID = {"names": ["A", "B"], "mode": "2v2", "regular_seconds": 20.0}


def shown(match):
    """What the page's scripts say of a match: ``ask("score(5)")``."""
    engine = MiniRacer()
    engine.eval(ATOB + (PAGE / "match.js").read_text(encoding="utf-8"))
    engine.eval(f"const match = new Match({json.dumps(match)})")

    def ask(call):
        return json.loads(engine.eval(f"JSON.stringify(match.{call})"))

    return ask


def play(a, b, mode, seconds, overtime):
    recording = Recording(8 / 120)
    lengths = {"regular_seconds": seconds, "overtime_seconds": overtime}
    (result,) = play_matches(a, b, mode, 5, [0], **lengths, show=recording)
    match = SAID | {"regular_seconds": seconds} | recording.packed()
    return SimpleNamespace(states=recording.states, result=result, match=match, ask=shown(match))


@pytest.fixture(scope="module")
def crowd():
    """Chasers in 2v2: they bump, jump walls, take boost and score."""
    return play(Chaser(), Chaser(), "2v2", 20.0, 0.0)


@pytest.fixture(scope="module")
def alone():
    """A chaser that nobody stops."""
    return play(Chaser(), Idle(), "1v1", 90.0, 0.0)


def test_every_body_is_drawn_where_it_was_and_as_it_lay(crowd):
    last = len(crowd.states) - 1
    assert crowd.ask("frames") == last + 1 >= 300
    for frame in (0, 7, 100, last):
        ball, cars = crowd.states[frame].ball, crowd.states[frame].cars
        x, y, z = ball.position[0]
        assert crowd.ask(f"vector('position', 0, {frame})") == pytest.approx([x, z, y], abs=0.11)
        for car in range(4):
            for kind, error in (("position", 0.11), ("forward", 1e-4), ("up", 1e-4)):
                x, y, z = getattr(cars, kind)[0, car]
                assert crowd.ask(f"vector('{kind}', {car + 1}, {frame})") == pytest.approx([x, z, y], abs=error)


def test_between_two_frames_everything_is_on_its_way_but_not_into_a_kickoff(alone):
    def position(time):
        return np.array(alone.ask(f"vector('position', 0, {time})"))

    assert position(20.25) == pytest.approx(0.75 * position(20) + 0.25 * position(21), abs=1e-6)
    kickoff = alone.ask("kickoffs")[1]
    assert position(kickoff - 0.01) == pytest.approx(position(kickoff - 1))
    assert np.abs(position(kickoff)[[0, 2]]).max() == 0  # the ball is in the middle again
    assert np.abs(position(kickoff - 1)[2]) > 5120  # after it was in the goal


def test_score_clock_and_touches_are_those_of_the_match(alone):
    result, last = alone.result, alone.ask("frames") - 1
    assert alone.ask(f"score({last})") == [result.goals_for, result.goals_against]
    assert result.goals_for > 0
    assert alone.ask(f"touchesOf(0, {last})") == result.touches > 0
    assert alone.ask(f"seconds({last})") == pytest.approx(result.seconds)
    assert [alone.ask(f"clock({frame})") for frame in (0, 15, last)] == ["1:30", "1:29", "0:00"]
    when, team = alone.ask("goals")[0]
    assert alone.states[when].goal[0] == (1, -1)[team]
    assert [alone.ask(f"score({frame})") for frame in (when - 1, when)] == [[0, 0], [1 - team, team]]


def test_clock_runs_up_in_overtime():
    match = play(Idle(), Idle(), "1v1", 2.0, 3.0)
    assert [match.ask(f"clock({frame})") for frame in (30, 31, 47, 76)] == ["0:00", "0:00", "+0:01", "+0:03"]


def test_boost_deeds_and_pads_are_those_of_the_states(crowd):
    taken = next(k for k, state in enumerate(crowd.states) if state.pads.any())
    demolished = next(k for k, state in enumerate(crowd.states) if state.cars.demolished.any())
    for frame in (0, 40, taken, demolished):
        state = crowd.states[frame]
        cars = state.cars
        boosting = (cars.controls[0, :, 6] > 0) & (cars.boost[0] > 0)
        for car in range(4):
            assert crowd.ask(f"boost({car}, {frame})") == round(float(cars.boost[0, car]))
            assert crowd.ask(f"does(BOOSTING, {car}, {frame})") == boosting[car]
            assert crowd.ask(f"does(DEMOLISHED, {car}, {frame})") == cars.demolished[0, car]
        ready = [crowd.ask(f"padIsReady({pad}, {frame})") for pad in range(34)]
        assert ready == (state.pads[0] == 0).tolist()


def test_ball_turns_as_a_body_of_the_simulator_does():
    """A car in the air is the witness, for RocketSim keeps its rotation: R(t) forward(0) is forward(t)."""
    arenas = ArenaBatch([np.random.default_rng(0)], 1, 0, tick_skip=1)
    nowhere, far = np.zeros((1, 3)), np.array([3000.0, 4000.0, 93.0])
    start = ArenaStart(
        far, far * 0, far * 0, np.array([[0.0, 0.0, 1500.0]]), np.array([[0.5, 0.3, 0.1]]), nowhere,
        np.array([[1.0, -2.0, 3.0]]), np.zeros(1),
    )  # fmt: skip
    before = arenas.reset([(0, start)])
    states = [arenas.step(np.zeros((1, 1, 8), np.float32)) for _ in range(60)]
    turned = spin(np.concatenate([state.cars.angular_velocity[:, 0] for state in states]), 1 / 120)
    forward, up = turned[-1]
    rotation = np.column_stack([forward, np.cross(up, forward), up])
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation @ before.cars.forward[0, 0] == pytest.approx(states[-1].cars.forward[0, 0], abs=0.02)
    assert before.cars.forward[0, 0] != pytest.approx(states[-1].cars.forward[0, 0], abs=0.5)


@pytest.mark.parametrize("ticks", [7, 13, 14])
def test_clock_stands_at_nothing_when_a_match_of_other_steps_is_over(ticks):
    recording = Recording(ticks / 120)
    play_matches(Idle(), Idle(), "1v1", 1, [0], regular_seconds=5, overtime_seconds=0, tick_skip=ticks, show=recording)
    ask = shown(SAID | {"regular_seconds": 5} | recording.packed())
    assert ask(f"clock({ask('frames')} - 1)") == "0:00"


def test_bodies_are_turned_so_that_their_right_is_right(crowd):
    """The page's own placing, by three.js: a body's axes are forward, up and right."""
    engine = MiniRacer()
    engine.eval("const console = {warn() {}, error() {}}; const self = globalThis;" + ATOB)
    for script in ("three.min.js", "match.js", "scene.js"):
        engine.eval((PAGE / script).read_text(encoding="utf-8"))
    engine.eval(f"const scene = {{ match: new Match({json.dumps(crowd.match)}) }}")
    engine.eval("""
        function axes(body, time) {
            const object = new THREE.Object3D();
            Scene.prototype.place.call(scene, object, body, time);
            const of = (...axis) => new THREE.Vector3(...axis).applyQuaternion(object.quaternion).toArray();
            return JSON.stringify([of(1, 0, 0), of(0, 1, 0), of(0, 0, 1), object.position.toArray()]);
        }
    """)
    for frame in (0, 60, 200):
        cars = crowd.states[frame].cars
        for car in range(4):
            found = json.loads(engine.eval(f"axes({car + 1}, {frame})"))
            for axis, name in zip(found[:3], ("forward", "up", "right"), strict=True):
                x, y, z = getattr(cars, name)[0, car]
                assert axis == pytest.approx([x, z, y], abs=1e-3)
            assert found[3] == pytest.approx(cars.position[0, car][[0, 2, 1]].tolist(), abs=0.11)


def test_every_script_is_whole_and_every_part_of_the_page_that_it_names_is_there():
    html = (PAGE / "page.html").read_text(encoding="utf-8")
    for name in ("match.js", "scene.js", "player.js"):
        text = (PAGE / name).read_text(encoding="utf-8")
        MiniRacer().eval(f"new Function({json.dumps(text)})")  # or it is a syntax error
        named = set(re.findall(r'\$\("([a-z-]+)"\)', text)) - {"packed"}
        assert [part for part in named if f'id="{part}"' not in html] == []


def test_page_needs_nothing_from_outside_and_no_name_breaks_it(crowd):
    match = crowd.match | {"names": ["</script><script>alert(1)", "Zo\u00eb & <b>"]}
    text = page(match)
    assert is_page(text.encode())
    assert not is_page(b"<!doctype html>")
    assert json.loads(re.search(r'id="packed">(.*?)</script>', text, re.DOTALL)[1]) == match
    assert "alert(1)" not in re.sub(r'id="packed">.*?</script>', "", text, flags=re.DOTALL)
    without_libraries = text.replace((PAGE / "three.min.js").read_text(encoding="utf-8"), "")
    assert not re.search(r"(src|href)\s*=|https?:|import\s", without_libraries)
    assert len(text) < 1_500_000
