"""For pytest, which loads it by itself: options for the seeds of deterministic tests and for proofs, and fixtures."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from remuda.testing.proofs import prove_isos
from remuda.testing.repeat import run

__all__ = ["pytest_addoption", "pytest_configure", "remuda_run", "remuda_seed"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--remuda-seed`, `--remuda-runs` and `--remuda-prove`."""
    group = parser.getgroup("remuda")
    group.addoption(
        "--remuda-seed", type=int, metavar="N", help="run deterministic tests with this seed only"
    )
    group.addoption(
        "--remuda-runs", type=int, metavar="N", help="run deterministic tests with so many seeds"
    )
    group.addoption(
        "--remuda-prove",
        action="store_true",
        help="prove of every iso(x) that nothing else refers into x",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Hands the options on to where they are looked for."""
    for option in ("seed", "runs"):
        value = config.getoption(f"--remuda-{option}")
        if value is not None:
            os.environ[f"REMUDA_{option.upper()}"] = str(value)
    if config.getoption("--remuda-prove"):
        proofs = ExitStack()
        proofs.enter_context(prove_isos())
        config.add_cleanup(proofs.close)


@pytest.fixture
def remuda_seed() -> int:
    """The seed of `remuda_run`: that of `--remuda-seed`, or 0."""
    return int(os.environ.get("REMUDA_SEED") or 0)


@pytest.fixture
def remuda_run(remuda_seed: int) -> Callable[..., Any]:
    """`remuda_run(main, *args)` runs an async function deterministically, and returns what it returns."""
    return functools.partial(run, seed=remuda_seed)
