"""Seconds among the arguments: what is refused, and how that is said."""

from __future__ import annotations

__all__ = ["check_seconds"]


def check_seconds(name: str, seconds: object, *, or_none: str = "") -> None:
    """Refuses a time to wait that makes no sense. What says `or_none=" or None"` takes None, too.

    Raises:
        TypeError: It is no number.
        ValueError: It is negative, or larger than a float can be.
    """
    if or_none and seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        kind = type(seconds).__name__
        raise TypeError(f"expected {name} as a number of seconds{or_none}, got {kind}")
    try:
        waits = float(seconds)
    except OverflowError:
        raise ValueError(
            f"expected {name} >= 0 and < 2**1024 (seconds){or_none}, got an int of {int(seconds).bit_length()} bits"
        ) from None
    if not waits >= 0:
        raise ValueError(f"expected {name} >= 0 (seconds){or_none}, got {seconds}")
