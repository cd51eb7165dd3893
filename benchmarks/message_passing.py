"""What agents and messages cost, beside floors and asyncio, all measured in turns in the same run.

Example:
    python -m benchmarks.message_passing --quick --only spawn stream --plot figures.svg
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.catalogue import CASES
from benchmarks.command import command

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The words after the command's name; those of the process, if not given.

    Returns:
        The exit status: 0, whether bars are met or missed; 2 for words that were not understood.
    """
    what = "What agents and messages cost, beside floors and asyncio."
    return command("message_passing", what, CASES, argv)


if __name__ == "__main__":
    sys.exit(main())
