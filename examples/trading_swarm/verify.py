"""Swarm against reference: every trade, and equity and positions at every close, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from itertools import zip_longest
from typing import Any

from examples.trading_swarm.market import Market
from examples.trading_swarm.messages import Statement
from examples.trading_swarm.reference import Book
from examples.trading_swarm.swarm import Run


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found: nothing, if they agree.

    Attributes:
        books: How many books were compared.
        trades: How many trades of the reference each was compared with.
        days: How many days.
        differences: The first difference of each kind in each book.
    """

    books: int
    trades: int
    days: int
    differences: tuple[str, ...]

    @property
    def agreed(self) -> bool:
        """Whether there is no difference."""
        return not self.differences


def compare(market: Market, run: Run, reference: Book) -> Verdict:
    """Compares every book of a run with the reference."""
    differences = [
        f"book {number}: {difference}"
        for number, (statement, stops) in enumerate(zip(run.statements, run.stops, strict=True))
        for difference in _differences(market, statement, stops, reference)
    ]
    return Verdict(
        len(run.statements), len(reference.trades), len(reference.equity), tuple(differences)
    )


def _differences(
    market: Market, statement: Statement, stops: Sequence[int], reference: Book
) -> Iterator[str]:
    accounts = statement.accounts
    pairs: tuple[tuple[str, Sequence[Any], Sequence[Any]], ...] = (
        ("trade", [astuple(fill) for fill in statement.fills], reference.trades),
        ("equity", [account.equity for account in accounts], reference.equity),
        (
            "positions",
            [account.positions for account in accounts],
            [tuple(row) for row in reference.positions.tolist()],
        ),
        ("drawdown stop", stops, reference.stops),
    )
    for what, ours, theirs in pairs:
        for number, (our, their) in enumerate(zip_longest(ours, theirs)):
            if our != their:
                place = market.days[number] if what in ("equity", "positions") else f"#{number}"
                yield f"{what} {place}: the swarm has {our}, the reference has {their}"
                break
