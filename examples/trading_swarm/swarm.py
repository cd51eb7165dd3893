"""The swarm: who is wired to whom, and a run of it.

              Publish                Opening
    clock ─────────────► market data ─────────► execution ◄─────────────────┐
      ▲                    │  │  │                  │ Executed              │
      │         Closing    │  │  └──────────────┐   ▼                       │ Orders
      │         ┌──────────┘  └──────────┐      └► portfolio ◄───── ask ──┐ │
      │         ▼                        ▼                                │ │
      │     analyzers ────────────► risk manager ─────────────────────────┴─┘
      │               Signal             │
      └───────────────────────── Settled ┘

A book is all of this once, with its own account: 4 agents, and 4 more for each symbol. They can't
come to wait for one another in a circle: the risk manager waits for the portfolio's answer, the
portfolio for the feeds' bars, a feed for room in an analyzer's mailbox, and an analyzer for nobody:
the clock's credit bounds what can be in all other mailboxes, and they are made for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from examples.trading_swarm.analyzers import ANALYZERS, Slow
from examples.trading_swarm.execution import Execution
from examples.trading_swarm.feed import Subscribers, clock, market_data
from examples.trading_swarm.market import Market
from examples.trading_swarm.messages import (
    Begin,
    Closing,
    GetObservations,
    GetStatement,
    Kind,
    Observations,
    Settled,
    Statement,
)
from examples.trading_swarm.observe import Mark, Monitor, MonitorRef, Progress, Watermarks
from examples.trading_swarm.parameters import Parameters
from examples.trading_swarm.portfolio import portfolio
from examples.trading_swarm.risk import risk_manager
from remuda import AgentRef, MailboxStatistics, Runtime

KINDS: tuple[Kind, ...] = get_args(Kind)

_MONITOR_MAILBOX = 100_000


@dataclass(frozen=True, slots=True)
class Settings:
    """How the swarm is run. None of it has any influence on what is traded.

    Attributes:
        books: How many independent books trade the same market, each with all agents of its own.
        window: How many days may be published and not yet settled. 1 is lockstep.
        mailbox: The bound of a slow analyzer's mailbox, in messages. All others have room for the
            whole window.
        slow: Seconds that an analyzer waits before each bar, by kind and symbol.
        sample: The latencies of one day's messages in this many are sampled, for each symbol.
    """

    books: int = 1
    window: int = 1
    mailbox: int = 16
    slow: Mapping[tuple[Kind, str], float] = field(default_factory=dict)
    sample: int = 17

    def __post_init__(self) -> None:
        """Refuses what has no meaning.

        Raises:
            ValueError: A number is not positive; the message names it.
        """
        for name in ("books", "window", "mailbox", "sample"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} >= 1, got {getattr(self, name)}")
        for (kind, symbol), seconds in self.slow.items():
            if not seconds >= 0:
                raise ValueError(f"expected {kind}:{symbol} to wait >= 0 s, got {seconds}")


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run of the swarm.

    Attributes:
        statements: What each book did.
        stops: On which days each book hit its drawdown stop.
        agents: How many agents there were, observers included.
        messages: How many messages were delivered, those to observers not counted.
        started: When the clocks were started: `time.perf_counter_ns()`.
        seconds: From then until every book's last day was settled.
        observations: What the monitor was told.
        unobserved: Observations that were dropped because the monitor was behind.
        marks: Watermark events, of all mailboxes.
        slow: The mailboxes of the slow analyzers, by name, as they were at the end.
    """

    statements: tuple[Statement, ...]
    stops: tuple[tuple[int, ...], ...]
    agents: int
    messages: int
    started: int
    seconds: float
    observations: Observations
    unobserved: int
    marks: tuple[Mark, ...]
    slow: Mapping[str, MailboxStatistics]


@dataclass(frozen=True, slots=True, eq=False)
class _Book:
    clock: AgentRef[Begin | Settled]
    feeds: tuple[AgentRef[Any], ...]
    risk: AgentRef[Any]
    portfolio: AgentRef[Any]
    slow: tuple[AgentRef[Any], ...]
    agents: tuple[AgentRef[Any], ...]


async def trade(
    market: Market,
    parameters: Parameters,
    settings: Settings | None = None,
    progress: Callable[[int], object] | None = None,
) -> Run:
    """Lets a swarm trade a market.

    Args:
        market: The prices.
        parameters: The strategy's parameters.
        settings: How the swarm is run.
        progress: Called with the number of days settled, over all books.

    Returns:
        What happened.

    Raises:
        ExceptionGroup: Agents have failed.
        KeyError: A slow analyzer is for a symbol that the market does not have.
    """
    settings = Settings() if settings is None else settings
    if unknown := {symbol for _, symbol in settings.slow} - set(market.symbols):
        raise KeyError(
            f"expected slow analyzers of {', '.join(market.symbols)}, "
            f"got {', '.join(sorted(unknown))}"
        )
    watermarks = Watermarks()
    async with Runtime(on_failure="raise") as runtime:
        runtime.on_watermark(watermarks)
        monitor = runtime.spawn(
            Monitor, mailbox=_MONITOR_MAILBOX, overflow="drop_newest", name="monitor"
        )
        shown = None if progress is None else runtime.spawn(Progress, progress, name="progress")
        books = [
            _wire(runtime, market, parameters, settings, monitor, shown, number)
            for number in range(settings.books)
        ]
        agents = runtime.statistics().agents
        started = time.perf_counter_ns()
        for book in books:
            await book.clock.send(Begin(book.feeds))
        for book in books:
            await book.clock
        seconds = (time.perf_counter_ns() - started) / 1e9
        statements = [await book.portfolio.ask(GetStatement()) for book in books]
        observations: Observations = await monitor.ask(GetObservations())
        unobserved = monitor.statistics().dropped
        slow = {agent.name: agent.statistics() for book in books for agent in book.slow}
    # Counted when all have ended: with several workers the last ones may be on their way until then.
    delivered = sum(agent.statistics().delivered for book in books for agent in book.agents)
    messages = delivered - len(
        statements
    )  # that a statement was asked for is no part of the trading
    return Run(
        tuple(statements),
        tuple(book.risk.result() for book in books),
        agents,
        messages,
        started,
        seconds,
        observations,
        unobserved,
        tuple(watermarks.marks),
        slow,
    )


def _wire(
    runtime: Runtime,
    market: Market,
    parameters: Parameters,
    settings: Settings,
    monitor: MonitorRef,
    progress: AgentRef[Settled] | None,
    number: int,
) -> _Book:
    """Spawns a book's agents, those first that others send to."""
    symbols, days, window = market.symbols, len(market.days), settings.window
    # What the clock's credit lets come at most, and a few that ask or tell the end.
    credit = window * len(symbols) + window + 4
    end = f".{number}" if settings.books > 1 else ""
    book_clock = runtime.spawn(
        clock, days, window, progress, mailbox=window + 4, name=f"clock{end}"
    )
    account = runtime.spawn(
        portfolio, symbols, parameters.capital, mailbox=credit, name=f"portfolio{end}"
    )
    execution = runtime.spawn(
        Execution, symbols, parameters, account, monitor, mailbox=credit, name=f"execution{end}"
    )
    risk = runtime.spawn(
        risk_manager,
        symbols,
        parameters,
        account,
        execution,
        book_clock,
        monitor,
        mailbox=credit * 4,
        name=f"risk{end}",
    )
    feeds: list[AgentRef[Any]] = []
    analyzers: list[AgentRef[Closing]] = []
    slow: list[AgentRef[Closing]] = []
    for phase, symbol in enumerate(symbols):
        own: list[AgentRef[Closing]] = []
        for kind in KINDS:
            analyzer = ANALYZERS[kind](symbol, risk, monitor, parameters)
            name = f"{kind}:{symbol}{end}"
            seconds = settings.slow.get((kind, symbol))
            if seconds is None:
                own.append(runtime.spawn(analyzer, mailbox=window + 4, name=name))
            else:
                waiter = Slow(analyzer, seconds, monitor)
                own.append(runtime.spawn(waiter, mailbox=settings.mailbox, name=name))
                slow.append(own[-1])
        analyzers += own
        feeds.append(
            runtime.spawn(
                market_data,
                symbol,
                market.bars(symbol),
                Subscribers(execution, (account, risk, *own)),
                settings.sample,
                phase,
                mailbox=window + 4,
                name=f"feed:{symbol}{end}",
            )
        )
    everybody: tuple[AgentRef[Any], ...] = (
        book_clock,
        account,
        execution,
        risk,
        *feeds,
        *analyzers,
    )
    return _Book(book_clock, tuple(feeds), risk, account, tuple(slow), everybody)
