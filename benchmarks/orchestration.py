"""What the primitives cost that agents work together with, beside floors and peers, measured in turns in the same run.

Example:
    python -m benchmarks.orchestration --quick --only future channel_stream --plot figures.svg
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.command import command
from benchmarks.primitives import broadcast, channels, futures, lease, quorum, sharding

__all__ = ["CASES", "main"]

CASES = (
    *futures.CASES,
    *channels.CASES,
    *sharding.CASES,
    *lease.CASES,
    *quorum.CASES,
    *broadcast.CASES,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The words after the command's name; those of the process, if not given.

    Returns:
        The exit status: 0, whether bars are met or missed; 2 for words that were not understood.
    """
    what = "What futures, channels, shards, leases, quorums and broadcasts cost."
    return command("orchestration", what, CASES, argv)


if __name__ == "__main__":
    sys.exit(main())
