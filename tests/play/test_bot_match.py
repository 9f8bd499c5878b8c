"""An exported bot in a served match: RLBot's protocol on loopback, RocketSim behind it."""

import subprocess
import sys

import numpy as np
import pytest
import rlbot_flatbuffers as flat
from rlbot_server import PACKET_PADS, Server

from rlbot.game.observations import DefaultObservation, others_in_order
from rlbot.league.frozen import FrozenPolicy
from rlbot.league.opponents import Chaser
from rlbot.play import export
from rlbot.play.bot import bot
from rlbot.play.bot.client import Client, Welcome
from rlbot.play.bot.packets import Pads, cast, pad_order, rotation
from rlbot.sim.state import PAD_POSITIONS


@pytest.fixture(scope="module")
def exported(some_checkpoint, tmp_path_factory):
    """A checkpoint and the bot that it became."""
    folder = tmp_path_factory.mktemp("bots") / "served"
    assert export.main([str(some_checkpoint), "--out", str(folder), "--deterministic"]) == 0
    return some_checkpoint, folder


@pytest.fixture
def serve(exported):
    """Begin a match with the exported bot: ``serve(blue, orange, own)``."""
    servers = []

    def begin(*cars):
        servers.append(Server(exported[1], *cars))
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.mark.parametrize(("blue", "orange", "own"), [(1, 1, 1), (2, 2, 0)])
def test_served_bot_presses_what_the_checkpoint_would(exported, serve, blue, orange, own):
    policy, observe, chaser = FrozenPolicy.load(exported[0], deterministic=True), DefaultObservation(), Chaser()
    server = serve(blue, orange, own)
    order = others_in_order(server.arenas.team)[None]
    pressed, wanted, seen_by_others = [], [], []
    for tick in range(8 * 150):
        if tick % 8 == 0:
            observations = observe(server.state, order)
            noise = np.zeros((1, 1), np.float32)
            wanted.append(policy(observations[:, [own]], noise)[0, 0])
            others = [(k, chaser(observations[:, [k]], noise)[0, 0]) for k in range(blue + orange) if k != own]
            seen_by_others.append(observations[0, own])
        phase = flat.MatchPhase.Kickoff if tick < 100 else flat.MatchPhase.Active
        pressed.append(server.tick(others, phase))
    code, out, err = server.end()
    assert (code, err) == (0, "")
    assert out.splitlines()[1] == f"[OK] Driving 1 of {'blue' if own < blue else 'orange'}'s cars"
    assert np.array_equal(pressed, np.repeat(wanted, 8, axis=0))  # and between decisions it repeats itself
    assert len(np.unique(wanted, axis=0)) > 5
    assert np.ptp(np.array(seen_by_others)[:, 74]) == 1  # it flipped and landed on the way


def test_bot_answers_the_server_as_the_protocol_says_and_rests_when_nothing_is_played(serve):
    server = serve(1, 1, 0)
    assert (server.settings.agent_id, server.settings.close_between_matches) == ("given/by_rlbot", True)
    assert [type(message) for message in server.ready] == [flat.PingResponse, flat.InitComplete]
    assert server.ready[0].cookie == 7
    phases = flat.MatchPhase
    for phase in (phases.Countdown, phases.GoalScored, phases.Replay, phases.Ended, phases.Inactive):
        assert not server.tick(phase=phase).any()
    assert not server.tick(balls=0).any()
    first = server.tick()
    assert np.array_equal(server.tick(phase=phases.Paused), first)
    assert server.end()[0] == 0


def test_bot_decides_late_where_packets_are_missing_and_drives_its_own_car_where_players_are(exported, serve):
    server = serve(1, 1, 1)
    first = server.tick()
    server.number += 100  # packets that never came
    late = server.tick()
    server.number -= 1000  # the game's count begins anew
    again = server.tick()
    alone = server.tick(missing=1)  # it stands first in the packet, and is still the server's second
    assert np.array_equal(again, alone)
    policy, order = FrozenPolicy.load(exported[0], deterministic=True), others_in_order(server.arenas.team)[None]
    server.number += 8
    seen = DefaultObservation()(server.state, order)[:, [1]]
    assert np.array_equal(server.tick(), policy(seen, np.zeros((1, 1), np.float32))[0, 0])
    assert all(pressed.any() for pressed in (first, late, again))
    assert server.end()[0] == 0


def test_bot_that_the_match_has_no_car_for_says_so(exported, monkeypatch, capsys):
    monkeypatch.setattr(Client, "__init__", lambda self, agent_id: None)
    monkeypatch.setattr(Client, "join", lambda self: Welcome(flat.FieldInfo(), 2, []))
    assert bot.play(bot.NumpyPolicy.load(exported[1]), "x/y") == 2
    assert "no car for this bot: bot.toml's agent_id is not x/y?" in capsys.readouterr().err


def test_bot_of_another_version_of_the_protocol_says_so(exported, monkeypatch, capsys):
    monkeypatch.setattr(Client, "__init__", lambda self, agent_id: None)
    monkeypatch.setattr(Client, "join", lambda self: flat.CorePacket.unpack(b"\xff" * 20))
    assert bot.play(bot.NumpyPolicy.load(exported[1]), "x/y") == 2
    assert "RLBot speaks another version" in capsys.readouterr().err


def test_bot_without_a_server_says_what_to_do(exported, capsys):
    policy = bot.NumpyPolicy.load(exported[1])
    assert bot.play(policy, "x/y", patience=0.2) == 75
    assert capsys.readouterr().err.startswith("[ERROR] no RLBot server (")


def test_bot_needs_neither_this_trainer_nor_torch(exported):
    blocked = "sys.modules.update(dict.fromkeys(['rlbot', 'torch', 'RocketSim', 'gymnasium']))"
    itself = "sys.argv[1:] = ['--selftest']; runpy.run_path('bot.py', run_name='__main__')"
    code = f"import sys, runpy; {blocked}; {itself}"
    done = subprocess.run([sys.executable, "-c", code], cwd=exported[1], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("[OK] It sees and decides in all recorded states")


# What packets say.


def places(order):
    return [flat.BoostPad(flat.Vector3(*map(float, PAD_POSITIONS[k]), 70.0)) for k in order]


def test_pads_are_found_by_their_places_and_no_others_are_taken_for_them():
    assert [PACKET_PADS[k] for k in pad_order(places(PACKET_PADS))] == list(range(34))
    assert pad_order(places(PACKET_PADS[:-1])) is None
    assert pad_order(places([5, *PACKET_PADS[1:]])) is None  # one twice
    moved = places(PACKET_PADS)
    moved[3].location.x += 500
    assert pad_order(moved) is None


def packet(tick, active, teams=(0, 1)):
    return flat.GamePacket(
        players=[flat.PlayerInfo(team=team) for team in teams],
        boost_pads=[flat.BoostPadState(is_active, 9.9) for is_active in active],
        match_info=flat.MatchInfo(frame_num=tick),
    )


def test_pads_come_back_after_ten_and_four_seconds_by_the_bots_own_count():
    pads, active = Pads(np.arange(34)), [True] * 34
    assert not pads.seen(packet(100, active)).any()
    active[0] = active[3] = False  # a small one and a big one
    assert pads.seen(packet(240, active))[[0, 3]].tolist() == [1, 1]
    assert pads.seen(packet(480, active))[[0, 3]] == pytest.approx([0.5, 0.8])
    active[0] = True
    assert pads.seen(packet(720, active))[[0, 3]] == pytest.approx([0, 0.6])
    active[0] = False
    assert pads.seen(packet(840, active))[0] == 1
    assert pads.seen(packet(1330, active))[0] == pytest.approx(1 - 10 / 480)  # taken again as it came back
    assert not Pads(None).seen(packet(840, active)).any()


def test_observation_has_room_for_two_mates_and_three_opponents():
    crowded = packet(0, [], teams=(1, 0, 1, 0, 1, 0, 1, 0))
    assert cast(crowded, 2) == [1, 3, 5, 0, 2, 4]  # blue first, itself among them
    assert cast(crowded, 6) == [1, 3, 5, 0, 2, 6]
    assert cast(packet(0, [], teams=(1, 0)), 0) == [1, 0]


def test_rotation_is_that_of_the_simulator():
    import RocketSim

    angles = np.random.default_rng(0).uniform(-1.5, 1.5, (3, 20))
    turned = rotation(*angles)
    for k, (pitch, yaw, roll) in enumerate(angles.T.tolist()):
        matrix = RocketSim.Angle(yaw, pitch, roll).as_rot_mat()
        for name in ("forward", "right", "up"):
            vector = getattr(matrix, name)
            assert getattr(turned, name)[k] == pytest.approx([vector.x, vector.y, vector.z], abs=1e-5)
