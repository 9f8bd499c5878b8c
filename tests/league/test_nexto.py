"""Nexto's view of a scene worked out by hand, and TorchScript files with the right and the wrong shapes."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from rlbot.errors import InputError
from rlbot.game.actions import TABLE
from rlbot.game.match import Match
from rlbot.league.nexto import Nexto, entities
from rlbot.league.opponents import find
from rlbot.sim.state import HALF_TURN

OWN_ROW, MATE, FOE, BALL, PADS = 0, 1, 2, 3, slice(4, 38)


def scene():
    """(1, 180): the own car at (1024, -1500, 511) faces +x; a mate and an opponent; the ball north-east of it."""
    seen = np.zeros((1, 180), np.float32)
    seen[0, 0:9] = 0.5, 0.25, 0.25, 0.1, 0, 0, 0, 0, 1  # ball at (2048, 1500, 511), 600 uu/s along x, spins at 6
    seen[0, 9] = 0.5  # the first pad, at (0, -4240), was taken
    seen[0, 43:51] = 1, -1, 0, 0, 0, 0, 1, 0
    seen[0, 51:60] = 0.25, -0.25, 0.25, 1, 0, 0, 0, 1, 0  # 2300 uu/s along x, 5.5 rad/s
    seen[0, 60:66] = 1, 0, 0, 0, 0, 1
    seen[0, 72:75] = 0.4, 1, 0
    seen[0, 75:96] = 0.1, 0, 0, -1, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0.6, 1, 0, 1, 1, 1  # mate 512 ahead, spins at 5.5
    seen[0, 117:138] = 0, 0.1, 0, -2, 0, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0.2, 0, 1, 1, 0, 1
    return seen


def test_query_is_the_own_car_unturned_and_its_last_controls():
    own = entities(scene()).q[0, 0]
    assert_allclose(own[:5], [1, 1, 0, 0, 0])
    assert_allclose(own[5:11], [1024 / 2300, -1500 / 2300, 511 / 2300, 1, 0, 0], rtol=1e-6)
    assert_allclose(own[11:24], [1, 0, 0, 0, 0, 1, 0, 1, 0, 0.4, 0, 1, 0], rtol=1e-6)
    assert_allclose(own[24:], [1, -1, 0, 0, 0, 0, 1, 0])


def test_entities_are_relative_and_turned_so_that_the_car_faces_y():
    kv, mask = entities(scene())[1:]  # +x becomes +y, +y becomes -x
    assert kv.shape == (1, 38, 24)
    assert not mask.any()
    assert_allclose(kv[0, OWN_ROW, 5:14], [0, 0, 0, 0, 1, 0, 0, 1, 0], atol=1e-6)
    assert_allclose(kv[0, MATE, :8], [0, 1, 0, 0, 0, 0, 512 / 2300, 0], atol=1e-6)
    assert_allclose(kv[0, MATE, 8:20], [-1, 0, 0, -1, 0, 0, 0, 0, 1, 0, 1, 0], atol=1e-6)
    assert_allclose(kv[0, MATE, 20:], [0.6, 0, 1, 1])  # boost, demolished, on ground, has flip
    assert_allclose(kv[0, FOE, :11], [0, 0, 1, 0, 0, -512 / 2300, 0, 0, 0, -1, 0], atol=1e-6)
    assert_allclose(kv[0, FOE, 20:], [0.2, 1, 0, 1])
    assert_allclose(kv[0, BALL, :8], [0, 0, 0, 1, 0, -3000 / 2300, 1024 / 2300, 0], atol=1e-6)
    assert_allclose(kv[0, BALL, 8:], [0, 600 / 2300, 0, *[0] * 6, 0, 0, 6 / 5.5, *[0] * 4], atol=1e-6)


def test_pads_are_at_their_places_with_what_they_give_and_whether_they_are_ready():
    pads = entities(scene()).kv[0, PADS]
    assert_allclose(pads[0, :8], [0, 0, 0, 0, 1, 2740 / 2300, -1024 / 2300, (70 - 511) / 2300], atol=1e-6)
    assert_allclose(pads[:5, 20:22], [[0.12, 0], [0.12, 1], [0.12, 1], [1, 1], [1, 1]])
    assert_allclose(pads[:5, 7], (np.array([70, 70, 70, 73, 73]) - 511) / 2300, atol=1e-6)  # small ones lie lower


def test_slot_without_a_car_is_neither_mate_nor_opponent():
    seen = np.concatenate((scene(), scene()))
    seen[1, 117:138] = 0
    kv, mask = entities(seen)[1:]
    assert kv[:, FOE, 1:3].tolist() == [[0, 1], [0, 0]]
    assert mask[:, FOE].tolist() == [0, 1]


def test_car_that_only_others_see_is_masked():
    lone = scene()
    lone[0, 75:96] = 0
    q, kv, mask = entities(np.concatenate((scene(), lone)))
    assert (q.shape, kv.shape) == ((2, 1, 32), (2, 38, 24))
    assert mask.sum() == mask[1, MATE] == 1


def test_orange_sees_the_real_field_turned_and_moved():
    match = Match(1, "1v1")
    match.begin([np.random.default_rng(3)])
    seen = match.step(np.tile(TABLE[[8, 20]], (1, 1, 1))).observations[0]
    state = match.arenas.step(np.zeros((1, 2, 8), np.float32), active=np.zeros(1, bool))
    place, nose = state.cars.position[0] * HALF_TURN, state.cars.forward[0, 1] * HALF_TURN
    for row, point in ((1, place[0]), (2, state.ball.position[0] * HALF_TURN)):
        way = (point - place[1]) / 2300
        ahead = way[:2] @ nose[:2] / np.linalg.norm(nose[:2])
        assert entities(seen)[1][1, row, 6] == pytest.approx(ahead, abs=1e-5)
        assert np.linalg.norm(entities(seen)[1][1, row, 5:8]) == pytest.approx(np.linalg.norm(way), abs=1e-5)


class Tiny(torch.nn.Module):
    """Takes and gives what Nexto does."""

    def __init__(self, query_size: int = 32, rows: int = 90):
        super().__init__()
        self.layer = torch.nn.Linear(query_size + 24, rows)

    def forward(self, state: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        q, kv, mask = state
        weights = (1 - mask) / (1 - mask).sum(1, keepdim=True)
        return 9 * self.layer(torch.cat((q[:, 0], (kv * weights[..., None]).sum(1)), dim=1)), weights


@pytest.fixture
def save(tmp_path):
    def as_torchscript(module):
        torch.jit.script(module).save(str(tmp_path / "nexto.pt"))
        return str(tmp_path / "nexto.pt")

    return as_torchscript


def test_torchscript_file_drives_by_name_by_its_own_logits(save):
    torch.manual_seed(1)
    module, seen = Tiny(), np.random.default_rng(1).normal(size=(40, 2, 180)).astype(np.float32)
    noise = np.random.default_rng(2).random((40, 2), np.float32)
    with torch.no_grad():
        logits = module(tuple(map(torch.from_numpy, entities(seen.reshape(80, 180)))))[0]
    best = find(save(module), deterministic=True)(seen, noise)
    assert np.array_equal(best.reshape(80, 8), TABLE[logits.argmax(1)])
    drawn = find(save(module))(seen, noise).reshape(80, 8)
    below = logits.softmax(1).cumsum(1) <= torch.from_numpy(noise.reshape(80, 1))
    assert np.array_equal(drawn, TABLE[below.sum(1)])


def test_nexto_of_a_file_goes_to_a_worker_process_whatever_becomes_of_the_file(save, tmp_path):
    torch.manual_seed(1)
    nexto = find(save(Tiny()))
    (tmp_path / "nexto.pt").unlink()
    seen = np.random.default_rng(1).normal(size=(40, 2, 180)).astype(np.float32)
    noise = np.random.default_rng(2).random((40, 2), np.float32)
    assert np.array_equal(pickle.loads(pickle.dumps(nexto))(seen, noise), nexto(seen, noise))


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Tiny(rows=89), r"logits of shape \(2, 89\), not \(2, 90\)"),
        (Tiny(query_size=30), r"does not take q \(2, 1, 32\), kv \(2, 37, 24\), mask \(2, 37\)"),
        (torch.nn.Linear(3, 90), "does not take"),
    ],
)
def test_network_of_other_shapes_is_refused_at_loading(save, module, reason):
    with pytest.raises(InputError, match=rf"nexto\.pt: no network like Nexto's: .*{reason}"):
        find(save(module))


def test_file_that_is_no_torchscript_is_refused(tmp_path):
    (tmp_path / "nexto.pt").write_bytes(b"no torchscript")
    with pytest.raises(InputError, match="cannot be read as a TorchScript file"):
        find(str(tmp_path / "nexto.pt"))


def test_the_wrapped_module_is_asked_once_for_all_cars():
    asked = []

    def module(state):
        asked.append(state[1].shape)
        return torch.zeros(len(state[0]), 90)

    Nexto(module)(np.zeros((3, 2, 180), np.float32), np.zeros((3, 2), np.float32))
    assert asked[1:] == [(6, 36, 24)]


def test_logits_may_have_the_query_s_dimension_too():
    """(B, 1, 90), as a decoder's output for a query of length one."""

    def module(state):
        return torch.nn.functional.one_hot(torch.arange(5, 5 + len(state[0])), 90)[:, None].float()

    controls = Nexto(module, deterministic=True)(np.zeros((2, 1, 180), np.float32), np.zeros((2, 1), np.float32))
    assert np.array_equal(controls[:, 0], TABLE[[5, 6]])
