"""Files that are whole or not there, and that wait for programs which read what they replace."""

import errno
import os

import pytest

from rlbot import files
from rlbot.files import rename, write_whole


def test_new_content_takes_the_place_of_the_old(tmp_path):
    file = tmp_path / "a.txt"
    for content in (b"old", memoryview(b"new")):
        write_whole(file, content)
        assert (file.read_bytes(), os.listdir(tmp_path)) == (bytes(content), ["a.txt"])


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt("full")])
def test_full_disk_and_ctrl_c_leave_what_was_there(tmp_path, monkeypatch, error):
    file = tmp_path / "a.txt"
    file.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(error))
    with pytest.raises(type(error), match="full"):
        write_whole(file, b"new")
    assert (file.read_bytes(), os.listdir(tmp_path)) == (b"old", ["a.txt"])


class Busy:
    """Refuses to replace a file some times, as Windows does while it is read."""

    def __init__(self, times):
        self.times, self.replace = times, os.replace

    def __call__(self, *paths):
        self.times -= 1
        if self.times >= 0:
            raise PermissionError(errno.EACCES, "used by another process")
        self.replace(*paths)


@pytest.mark.parametrize("times", [0, 2, 3])
def test_file_that_is_read_is_replaced_later(tmp_path, monkeypatch, times):
    monkeypatch.setattr(files, "WAITS", (0.0, 0.0))  # three tries
    monkeypatch.setattr("os.replace", Busy(times))
    (tmp_path / "new").write_bytes(b"new")
    if times == 3:
        with pytest.raises(PermissionError):
            rename(tmp_path / "new", tmp_path / "a.txt")
    else:
        rename(tmp_path / "new", tmp_path / "a.txt")
    assert os.listdir(tmp_path) == ["new" if times == 3 else "a.txt"]
