"""Resident bytes of this process, from Linux's /proc."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["peak", "resident"]


def resident() -> int:
    """The bytes that are resident now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def peak() -> int:
    """The most bytes that ever were.

    Not `getrusage`'s, which starts with what the parent process had.
    """
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError("expected /proc/self/status to tell VmHWM, found none: this needs Linux")
    return int(found[1]) * 1024
