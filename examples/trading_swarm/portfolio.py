"""The portfolio: fills and closes become an account, one for each day."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from examples.trading_swarm.messages import (
    Account,
    Closing,
    Executed,
    Fill,
    GetAccount,
    GetStatement,
    Statement,
)
from remuda import Mailbox, Request


class Ledger:
    """Section 8: cash, shares and last closes, brought forward day by day."""

    def __init__(self, symbols: tuple[str, ...], capital: int) -> None:
        self._symbols = symbols
        self._cash = capital
        self._positions = dict.fromkeys(symbols, 0)
        self._marks = dict.fromkeys(symbols, 0)
        self.accounts: list[Account] = []
        self.fills: list[Fill] = []

    def close(self, fills: tuple[Fill, ...], closes: dict[str, int | None]) -> None:
        """Books a day: its fills, then the closes; None for a symbol that was not traded."""
        for fill in fills:
            self._cash -= fill.shares * fill.price + fill.fee
            self._positions[fill.symbol] += fill.shares
        self.fills.extend(fills)
        for symbol, price in closes.items():
            if price is not None:
                self._marks[symbol] = price
        equity = self._cash + sum(
            shares * self._marks[symbol] for symbol, shares in self._positions.items()
        )
        self.accounts.append(
            Account(
                len(self.accounts),
                self._cash,
                equity,
                tuple(self._positions[symbol] for symbol in self._symbols),
                tuple(self._marks[symbol] for symbol in self._symbols),
            )
        )


async def portfolio(
    mailbox: Mailbox[Closing | Executed | Request[GetAccount | GetStatement, Any]],
    symbols: tuple[str, ...],
    capital: int,
) -> None:
    """Keeps the account. A day is complete with all of its bars and what was executed on it.

    Who asks for the account of a day that is not complete gets the answer when it is: the request
    is kept.
    """
    ledger = Ledger(symbols, capital)
    executed: dict[int, tuple[Fill, ...]] = {}
    closes: defaultdict[int, dict[str, int | None]] = defaultdict(dict)
    asked: dict[int, Request[GetAccount | GetStatement, Any]] = {}
    async for message in mailbox:
        today = len(ledger.accounts)
        match message:
            case Closing(day, symbol, bar):
                closes[day][symbol] = None if bar is None else bar.close
            case Executed(day, fills):
                executed[day] = fills
            case Request(message=GetAccount(day)) if day < today:
                message.reply(ledger.accounts[day])
            case Request(message=GetAccount(day)):
                asked[day] = message
            case Request(message=GetStatement()):
                message.reply(Statement(tuple(ledger.accounts), tuple(ledger.fills)))
        if today in executed and len(closes[today]) == len(symbols):
            ledger.close(executed.pop(today), closes.pop(today))
            if today in asked:
                asked.pop(today).reply(ledger.accounts[today])
