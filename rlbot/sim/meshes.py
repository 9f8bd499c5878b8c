"""Find the arena's collision meshes, or fetch them once into the user's cache and verify them.

RocketSim needs the shape of the field but ships none. The files come with rlgym-rocket-league 2.0.1 (Apache-2.0), which
cannot be a dependency because it pins numpy below 2, so it is downloaded by itself and only its meshes are kept.
"""

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs
import RocketSim
from filelock import FileLock

from rlbot.errors import InputError
from rlbot.files import rename

NUM_MESHES = 16
SHA256 = "78f599a5464291c021c92fbb636d7139d17286321a3892281a19d9b5e765aea8"  # of mesh_0 … mesh_15, joined
REQUIREMENT = "rlgym-rocket-league==2.0.1"
INSIDE_PACKAGE = Path("rocket_league", "sim", "collision_meshes")


class MeshError(InputError):
    """The collision meshes are missing or are not the right files; the message says what to do."""


def digest(folder: Path) -> str | None:
    """SHA-256 of ``folder/soccar/mesh_0.cmf`` to ``mesh_15.cmf`` joined; None when a file is missing."""
    files = [folder / "soccar" / f"mesh_{i}.cmf" for i in range(NUM_MESHES)]
    if not all(file.is_file() for file in files):
        return None
    sha = hashlib.sha256()
    for file in files:
        sha.update(file.read_bytes())
    return sha.hexdigest()


def cache_folder() -> Path:
    """Where fetched meshes are kept for every later run of this user."""
    return Path(platformdirs.user_cache_dir("rlbot-lightning", appauthor=False)) / "collision_meshes"


def find_meshes() -> Path:
    """Folder of verified meshes: ``RS_COLLISION_MESHES``, the user's cache, an installed rlgym, or fetched now.

    Raises:
        MeshError: the named folder holds other files, or nothing was found and nothing could be fetched.
    """
    named = os.environ.get("RS_COLLISION_MESHES")
    if named:
        if digest(Path(named)) != SHA256:
            raise MeshError(
                f"RS_COLLISION_MESHES={named} does not hold the {NUM_MESHES} soccar meshes of {REQUIREMENT} "
                "(missing or changed files): unset it to let them be fetched, or correct the folder"
            )
        return Path(named)
    cache = cache_folder()
    if digest(cache) == SHA256:
        return cache
    installed = _installed_rlgym()
    if installed is not None and digest(installed) == SHA256:
        return installed
    _fetch(cache)
    return cache


def _installed_rlgym() -> Path | None:
    spec = importlib.util.find_spec("rlgym")
    locations = spec.submodule_search_locations if spec else None
    return next(
        (Path(place) / INSIDE_PACKAGE for place in locations or () if (Path(place) / INSIDE_PACKAGE).is_dir()), None
    )


def _fetch(cache: Path) -> None:
    """Download the package that carries the meshes and move them into ``cache`` in one step."""
    print("[START] Fetching the arena's collision meshes (once)", flush=True)
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(cache.with_suffix(".lock")):  # several processes may start at once
            if digest(cache) != SHA256:
                _download(cache)
    except OSError as error:
        raise MeshError(
            f"the cache for the collision meshes cannot be written ({error}): correct it, or set RS_COLLISION_MESHES"
        ) from error
    print("[OK] Collision meshes ready", flush=True)


def _download(cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache.parent, ignore_cleanup_errors=True) as scratch:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*command, "--target", scratch, REQUIREMENT], capture_output=True, text=True, errors="replace", check=False
        )
        fetched = Path(scratch, "rlgym") / INSIDE_PACKAGE
        found = digest(fetched)
        if done.returncode != 0 or found is None:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise MeshError(
                f"the arena's collision meshes could not be fetched ({reason}): connect to the internet for the first "
                f"run, or set RS_COLLISION_MESHES to the collision_meshes folder of {REQUIREMENT}"
            )
        if found != SHA256:
            raise MeshError(f"the meshes fetched with {REQUIREMENT} have an unexpected SHA-256 ({found}): not used")
        shutil.rmtree(cache, ignore_errors=True)
        rename(fetched, cache)


@functools.cache
def initialise() -> None:
    """Give RocketSim its meshes; RocketSim allows that once in a process.

    Raises:
        MeshError: see ``find_meshes``.
    """
    folder, before = find_meshes(), Path.cwd()
    os.chdir(folder)  # on Windows RocketSim cannot read a path with letters outside ASCII, as in a user's name
    try:
        RocketSim.init(".")
    finally:
        os.chdir(before)
