"""The plugin for flake8."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from remuda.check.plugin import Plugin

pytest.importorskip("flake8")

PROGRAM = """\
from remuda import AgentRef, iso


async def hand_over(agent: AgentRef[list[int]], other: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    print(numbers)
    await other.send(numbers)  # noqa: RMD101
    print(numbers)  # remuda: ignore[RMD101]
"""
CONFIGURATION = """\
[flake8]
max-line-length = 120

[flake8:local-plugins]
extension =
    RMD = remuda.check.plugin:Plugin
"""


def test_flake8_reports_what_the_checker_finds(tmp_path: Path) -> None:
    """flake8 prints the findings; its own comments and the checker's both count."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "flake8.ini").write_text(CONFIGURATION)
    command = [sys.executable, "-m", "flake8", "--config", "flake8.ini", "-j", "1", "program.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    # Where the package is installed with its entry point, flake8 has the plugin twice.
    assert set(done.stdout.splitlines()) == {
        "program.py:7:11: RMD101 numbers is used after it was sent on line 6"
    }
    assert done.returncode == 1


def test_the_package_tells_flake8_of_it() -> None:
    """The entry point in pyproject.toml is the plugin's class."""
    pyproject = Path(__file__).resolve().parents[2] / "pyproject.toml"
    points = tomllib.loads(pyproject.read_text())["project"]["entry-points"]["flake8.extension"]
    assert points == {"RMD": f"{Plugin.__module__}:{Plugin.__qualname__}"}
