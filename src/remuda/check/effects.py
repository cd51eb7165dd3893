"""What a call of one of the file's own functions does to what it is given."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Effects"]


@dataclass(frozen=True)
class Effects:
    """What a function does, seen from outside.

    Attributes:
        moves: The parameters, and names of enclosing functions, that it moves if they are isos; whether on every path.
    """

    moves: dict[str, bool] = field(default_factory=dict)
