"""The analyzers: classes with a plain `receive`, the cheapest kind of agent.

Every symbol has one of each. They keep running sums of whole numbers, so nothing drifts, however
long they run.
"""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections import deque

from examples.trading_swarm.market import Bar
from examples.trading_swarm.messages import Closing, Depth, Kind, Range, Reversion, Signal, Trend
from examples.trading_swarm.observe import MonitorRef, arrived
from examples.trading_swarm.parameters import WHOLE, Parameters
from remuda import Agent, AgentRef


class RollingSum:
    """The sum of the last `length` numbers."""

    def __init__(self, length: int) -> None:
        self._values: deque[int] = deque(maxlen=length)
        self._length = length
        self.total = 0

    def add(self, value: int) -> bool:
        """Adds a number, and drops the oldest if there are too many.

        Returns:
            Whether there are as many as there should be.
        """
        if len(self._values) == self._length:
            self.total -= self._values[0]
        self._values.append(value)
        self.total += value
        return len(self._values) == self._length


class Analyzer(Agent[Closing]):
    """Makes a signal of every bar.

    It sends with `send_nowait`: the clock's credit is what the risk manager's mailbox is made for.
    """

    def __init__(self, symbol: str, risk: AgentRef[Signal], monitor: MonitorRef) -> None:
        self._symbol = symbol
        self._risk = risk
        self._monitor = monitor

    def receive(self, message: Closing) -> None:
        """Takes a day, and tells the risk manager."""
        sent = arrived(self._monitor, "bar to analyzer", message.sent)
        self._risk.send_nowait(self._signal(message.day, message.bar, sent))

    @abstractmethod
    def _signal(self, day: int, bar: Bar | None, sent: int) -> Signal: ...


class Momentum(Analyzer):
    """Section 2: is the fast moving average above the slow one?"""

    def __init__(
        self, symbol: str, risk: AgentRef[Signal], monitor: MonitorRef, parameters: Parameters
    ) -> None:
        super().__init__(symbol, risk, monitor)
        self._trend = TrendIndicator(parameters.fast, parameters.slow)

    def _signal(self, day: int, bar: Bar | None, sent: int) -> Trend:
        side = None if bar is None else self._trend.update(bar.close)
        return Trend(day, self._symbol, side, sent)


class MeanReversion(Analyzer):
    """Section 3: is the price so far from its mean that it should come back?"""

    def __init__(
        self, symbol: str, risk: AgentRef[Signal], monitor: MonitorRef, parameters: Parameters
    ) -> None:
        super().__init__(symbol, risk, monitor)
        self._reversion = ReversionIndicator(parameters.reversion, parameters.entry)

    def _signal(self, day: int, bar: Bar | None, sent: int) -> Reversion:
        side = None if bar is None else self._reversion.update(bar.close)
        return Reversion(day, self._symbol, side, sent)


class Volatility(Analyzer):
    """Section 4: how far do prices move in a day, and is that unusual?"""

    def __init__(
        self, symbol: str, risk: AgentRef[Signal], monitor: MonitorRef, parameters: Parameters
    ) -> None:
        super().__init__(symbol, risk, monitor)
        self._range = RangeIndicator(parameters.atr, parameters.calm, parameters.stress)

    def _signal(self, day: int, bar: Bar | None, sent: int) -> Range:
        total, stressed = (None, False) if bar is None else self._range.update(bar)
        return Range(day, self._symbol, total, stressed, sent)


ANALYZERS: dict[Kind, type[Momentum | MeanReversion | Volatility]] = {
    "momentum": Momentum,
    "mean_reversion": MeanReversion,
    "volatility": Volatility,
}


class Slow(Agent[Closing]):
    """An analyzer that waits before each bar, like one that asks a service over the network.

    It tells the monitor how its mailbox looks after each wait.
    """

    def __init__(self, analyzer: Analyzer, seconds: float, monitor: MonitorRef) -> None:
        self._analyzer = analyzer
        self._seconds = seconds
        self._monitor = monitor

    async def receive(self, message: Closing) -> None:
        """Waits, and lets the analyzer take the day."""
        await asyncio.sleep(self._seconds)
        me = self.me
        mailbox = me.statistics()
        self._monitor.send_nowait(
            Depth(me.name, time.perf_counter_ns(), mailbox.depth, mailbox.waiting)
        )
        self._analyzer.receive(message)


class TrendIndicator:
    """The sign of the fast moving average minus the slow one."""

    def __init__(self, fast: int, slow: int) -> None:
        self._lengths = fast, slow
        self._fast, self._slow = RollingSum(fast), RollingSum(slow)

    def update(self, close: int) -> int | None:
        """Takes a close; None until there are enough of them."""
        self._fast.add(close)
        if not self._slow.add(close):
            return None
        fast, slow = self._lengths
        left, right = self._fast.total * slow, self._slow.total * fast
        return (left > right) - (left < right)


class ReversionIndicator:
    """Takes the side of the mean when the price is `entry` deviations away, until it is back."""

    def __init__(self, length: int, entry: int) -> None:
        self._length = length
        self._entry = entry
        self._sum, self._squares = RollingSum(length), RollingSum(length)
        self._side = 0

    def update(self, close: int) -> int | None:
        """Takes a close; None until there are enough of them."""
        self._squares.add(close * close)
        if not self._sum.add(close):
            return None
        total = self._sum.total
        away = close * self._length - total
        variance = self._squares.total * self._length - total * total
        if away * away > variance * self._entry**2:
            self._side = -1 if away > 0 else 1
        elif away * self._side >= 0:
            self._side = 0
        return self._side


class RangeIndicator:
    """The sum of the last true ranges, and whether their mean is far above that of many."""

    def __init__(self, recent: int, usual: int, stress: int) -> None:
        self._lengths = recent, usual
        self._stress = stress
        self._recent, self._usual = RollingSum(recent), RollingSum(usual)
        self._before: int | None = None

    def update(self, bar: Bar) -> tuple[int | None, bool]:
        """Takes a bar; None until there are enough of them."""
        before = bar.open if self._before is None else self._before
        self._before = bar.close
        true_range = max(bar.high, before) - min(bar.low, before)
        self._recent.add(true_range)
        if not self._usual.add(true_range):
            return None, False
        recent, usual = self._lengths
        limit = self._usual.total * recent * self._stress
        return self._recent.total, self._recent.total * usual * WHOLE > limit
