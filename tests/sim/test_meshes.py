"""The collision meshes: found where they are, fetched through a real pip from a local wheel, never trusted unread."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from rlbot.sim import meshes
from rlbot.sim.meshes import MeshError


@pytest.fixture(scope="module")
def right_meshes():
    return meshes.find_meshes()


@pytest.fixture
def cache(tmp_path, monkeypatch, right_meshes):
    """An empty user cache, and a pip that knows no index but the wheels in ``tmp_path/wheels``."""
    (tmp_path / "wheels").mkdir()
    monkeypatch.delenv("RS_COLLISION_MESHES", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert meshes.cache_folder().is_relative_to(tmp_path)
    return meshes.cache_folder()


@pytest.fixture
def offer_wheel(tmp_path, right_meshes):
    """Put a wheel named like the one that carries the meshes where pip looks; ``extra`` bytes spoil its files."""

    def offer(extra=b""):
        info = "rlgym_rocket_league-2.0.1.dist-info"
        with zipfile.ZipFile(tmp_path / "wheels" / "rlgym_rocket_league-2.0.1-py3-none-any.whl", "w") as wheel:
            for file in (right_meshes / "soccar").iterdir():
                inside = f"rlgym/rocket_league/sim/collision_meshes/soccar/{file.name}"
                wheel.writestr(inside, file.read_bytes() + extra)
            wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: rlgym-rocket-league\nVersion: 2.0.1\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")

    return offer


def truncate(cache, right_meshes):
    shutil.copytree(right_meshes, cache)
    file = cache / "soccar" / "mesh_7.cmf"
    file.write_bytes(file.read_bytes()[:-1])


def test_the_expected_hash_is_that_of_the_meshes_in_use(right_meshes):
    assert meshes.digest(right_meshes) == meshes.SHA256


def test_the_hash_joins_the_files_in_the_order_of_their_numbers(tmp_path):
    (tmp_path / "soccar").mkdir()
    for i in range(16):
        assert meshes.digest(tmp_path) is None
        (tmp_path / "soccar" / f"mesh_{i}.cmf").write_bytes(bytes([i]))
    assert meshes.digest(tmp_path) == hashlib.sha256(bytes(range(16))).hexdigest()


@pytest.mark.parametrize("spoil", [True, False], ids=["changed", "missing"])
def test_a_named_folder_of_wrong_files_is_refused_by_name(spoil, cache, tmp_path, monkeypatch, right_meshes):
    named = tmp_path / "mine"
    if spoil:
        truncate(named, right_meshes)
    monkeypatch.setenv("RS_COLLISION_MESHES", str(named))
    with pytest.raises(MeshError, match=f"RS_COLLISION_MESHES={named}"):
        meshes.find_meshes()
    assert not cache.exists()


def test_a_named_folder_of_right_files_is_used_as_it_is(cache, monkeypatch, right_meshes):
    monkeypatch.setenv("RS_COLLISION_MESHES", str(right_meshes))
    assert meshes.find_meshes() == right_meshes
    assert not cache.exists()


def test_an_installed_rlgym_lends_its_meshes(cache, tmp_path, monkeypatch, right_meshes):
    inside = tmp_path / "site" / "rlgym" / "rocket_league" / "sim" / "collision_meshes"
    shutil.copytree(right_meshes, inside)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert meshes.find_meshes() == inside
    assert not cache.exists()


def test_an_empty_cache_is_filled_once(cache, offer_wheel, capfd, tmp_path):
    offer_wheel()
    assert meshes.find_meshes() == cache
    assert meshes.digest(cache) == meshes.SHA256
    assert [line.split()[0] for line in capfd.readouterr().out.splitlines()] == ["[START]", "[OK]"]
    shutil.rmtree(tmp_path / "wheels")
    assert meshes.find_meshes() == cache
    assert capfd.readouterr() == ("", "")
    assert {p.name for p in cache.parent.iterdir()} == {
        cache.name,
        "collision_meshes.lock",
    }  # nothing is left lying about


def test_a_truncated_cache_is_fetched_again(cache, offer_wheel, right_meshes):
    truncate(cache, right_meshes)
    offer_wheel()
    assert meshes.digest(meshes.find_meshes()) == meshes.SHA256


def test_fetched_files_of_another_hash_are_not_used(cache, offer_wheel):
    offer_wheel(extra=b"x")
    with pytest.raises(MeshError, match="unexpected SHA-256"):
        meshes.find_meshes()
    assert not cache.exists()


@pytest.mark.parametrize("truncated", [True, False])
def test_without_a_network_one_sentence_says_what_to_do(truncated, cache, capfd, right_meshes):
    if truncated:
        truncate(cache, right_meshes)
    with pytest.raises(
        MeshError, match=r"could not be fetched .*: connect to the internet .* RS_COLLISION_MESHES"
    ) as e:
        meshes.find_meshes()
    shown = str(e.value) + "".join(capfd.readouterr())
    assert "\n" not in str(e.value)
    assert "Traceback" not in shown
    assert [p for p in cache.parent.iterdir() if p.suffix != ".lock"] == ([cache] if truncated else [])


def test_meshes_of_a_folder_with_any_letters_serve_and_the_working_folder_stays(tmp_path, right_meshes):
    folder = tmp_path / "J\u00fcrgen"
    shutil.copytree(right_meshes, folder)
    code = "import os, RocketSim; from rlbot.sim.meshes import initialise; initialise(); "
    code += "RocketSim.Arena(RocketSim.GameMode.SOCCAR).step(1); print(ascii(os.getcwd()))"
    given = os.environ | {"RS_COLLISION_MESHES": "J\u00fcrgen"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=given, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == ascii(str(tmp_path))


def test_rocketsim_is_given_no_letter_of_the_folders_path(monkeypatch, right_meshes):
    given, before = [], os.getcwd()
    monkeypatch.setattr(
        meshes.RocketSim, "init", lambda path: given.append((path, os.path.samefile(".", right_meshes)))
    )
    meshes.initialise.__wrapped__()
    assert (given, os.getcwd()) == ([(".", True)], before)


def test_a_cache_that_cannot_be_written_is_a_mesh_error(cache, tmp_path, offer_wheel):
    offer_wheel()
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(MeshError, match="cache"):
        meshes.find_meshes()
