"""What capabilities cost: checks of messages, proofs of isolation, frozen copies, and the size of a message.

Example:
    python -m benchmarks.capabilities --quick --only check_record isolation --all
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.command import command
from benchmarks.sharing import checks, graphs, sizes

__all__ = ["CASES", "main"]

CASES = (*checks.CASES, *graphs.CASES, *sizes.CASES)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The words after the command's name; those of the process, if not given.

    Returns:
        The exit status: 0, whether bars are met or missed; 2 for words that were not understood.
    """
    what = "What checks, proofs of isolation, freezing and large messages cost."
    return command("capabilities", what, CASES, argv)


if __name__ == "__main__":
    sys.exit(main())
