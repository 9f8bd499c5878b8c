"""Tiny benchmarks in this process, in a folder of their own."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import BASE, TINY

from rlbot.benchmark.command import main


@pytest.fixture
def benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The benchmark command on a tiny network: ``benchmark(*arguments)`` gives what ``--json`` holds."""
    monkeypatch.chdir(tmp_path)
    for name in ("path", "argv"):  # training changes both
        monkeypatch.setattr(sys, name, getattr(sys, name)[:])

    def command(*arguments: str) -> dict[str, Any]:
        (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
        own = ["--config", BASE, "--config", "tiny.yaml", "--iterations=2", "--repeats=2", "--json=out.json"]
        assert main([*own, *arguments]) == 0
        return dict(json.loads((tmp_path / "out.json").read_text(encoding="utf-8")))

    return command
