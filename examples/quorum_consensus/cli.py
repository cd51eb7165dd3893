"""The command line of the consensus example."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.console import Console

from examples.quorum_consensus.history import Broken, Mode, Settings, check
from examples.quorum_consensus.show import plot, timeline
from examples.quorum_consensus.world import run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quorum_consensus", description="A replicated log under faults, and a checker of it."
    )
    parser.add_argument("--seed", type=int, default=0, help="the run, or the first of them (0)")
    parser.add_argument(
        "--seeds", type=int, default=1, help="how many runs are checked (1, which is shown)"
    )
    parser.add_argument(
        "--mode", choices=get_args(Mode), default="crash", help="what members may do (crash)"
    )
    parser.add_argument("--members", type=int, help="how many members (5; 4 if they lie)")
    parser.add_argument(
        "--liars", type=int, help="how many of them lie (0; f of 3f + 1 in the mode byzantine)"
    )
    parser.add_argument("--leaders", type=int, default=2, help="how many leaders compete (2)")
    parser.add_argument("--slots", type=int, default=4, help="the length of the log (4)")
    parser.add_argument(
        "--broken", choices=get_args(Broken), default="no", help="what is done wrong on purpose"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the run (of a wrong one: the first)"
    )
    return parser


def _settings(words: argparse.Namespace) -> Settings:
    """What was asked for.

    Raises:
        ValueError: It makes no sense.
    """
    members = words.members if words.members is not None else 5 if words.mode == "crash" else 4
    settings = Settings(words.mode, members, 0, words.leaders, words.slots, broken=words.broken)
    liars = words.liars if words.liars is not None else settings.tolerated_liars
    least = 1 if words.mode == "crash" else 4
    for name, number, low, high in (
        ("--members", members, least, 99),
        ("--liars", liars, 0, members - 1),
        ("--leaders", words.leaders, 1, 26),
        ("--slots", words.slots, 1, 1000),
        ("--seeds", words.seeds, 1, 10**9),
    ):
        if not low <= number <= high:
            raise ValueError(f"expected {name} from {low} to {high}, got {number}")
    return Settings(words.mode, members, liars, words.leaders, words.slots, broken=words.broken)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The words after the command's name; those of the process, if not given.

    Returns:
        The exit status: 0 if all is as it should be, 1 if the checker has found something, 2 for words that were not
        understood.
    """
    parser = _parser()
    words = parser.parse_args(argv)
    try:
        settings = _settings(words)
    except ValueError as error:
        parser.error(str(error))
    console = Console(highlight=False)
    console.print(
        f"{settings.members} members, {settings.liars} of them lie; quorums of {settings.threshold}, "
        f"which stand {settings.tolerated_liars} that lie"
    )
    began = time.perf_counter()
    wrong = 0
    shown = None
    for seed in range(words.seed, words.seed + words.seeds):
        history = run(seed, settings)
        found = check(history)
        if words.seeds == 1:
            timeline(history, console)
        if found:
            wrong += 1
        if found and wrong == 1:
            told = " ".join(word for word in _again(words, seed))
            console.print(
                f"seed {seed} is wrong:", *found, f"replay: {told}", sep="\n  ", soft_wrap=True
            )
        if shown is None or (found and wrong == 1):
            shown = history
    took = time.perf_counter() - began
    console.print(f"{words.seeds} runs checked in {took:.1f} s: {wrong or 'none'} wrong")
    if words.plot is not None and shown is not None:
        try:
            plot(shown, words.plot)
        except (ImportError, OSError, ValueError) as error:
            print(f"the picture can't be drawn: {error}", file=sys.stderr)
            return 2
        console.print(f"the picture is {words.plot}", soft_wrap=True)
    return 1 if wrong else 0


def _again(words: argparse.Namespace, seed: int) -> list[str]:
    """The words that show one run of many."""
    told = ["python -m examples.quorum_consensus", f"--seed {seed}"]
    for name in ("mode", "members", "liars", "leaders", "slots", "broken"):
        if getattr(words, name) is not None:
            told.append(f"--{name} {getattr(words, name)}")
    return told
