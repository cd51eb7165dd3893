"""Time: the clock that lets days begin, and the market data agents that publish them.

The clock hands out days as credit: at most `window` days are published and not yet settled. So
nobody ever has more than `window` days of messages to hold, and those who only have to be large
enough for that never make anybody wait. Only the analyzers have smaller mailboxes. A feed waits for
them, with `await send`: that is the backpressure.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from examples.trading_swarm.market import Bar
from examples.trading_swarm.messages import Begin, Closing, Opening, Publish, Settled
from remuda import AgentRef, Mailbox


@dataclass(frozen=True, slots=True)
class Subscribers:
    """To whom a feed publishes: the opening price to one, the bar to the others."""

    opening: AgentRef[Opening]
    closing: tuple[AgentRef[Closing], ...]


async def clock(
    mailbox: Mailbox[Begin | Settled],
    days: int,
    window: int,
    progress: AgentRef[Settled] | None = None,
) -> int:
    """Lets days begin, at most `window` more than are settled.

    Returns:
        How many days were settled: all of them.
    """
    begin = await mailbox.recv()
    assert isinstance(begin, Begin), begin
    published = 0
    for settled in range(days):
        while published < min(settled + window, days):
            for feed in begin.feeds:
                await feed.send(Publish(published))
            published += 1
        message = await mailbox.recv()
        assert isinstance(message, Settled), message
        assert message.day == settled, f"expected day {settled} to be settled, got {message}"
        if progress is not None:
            await progress.send(message)
    return days


async def market_data(
    mailbox: Mailbox[Publish],
    symbol: str,
    bars: Sequence[Bar | None],
    to: Subscribers,
    sample: int,
    phase: int,
) -> None:
    """Publishes a symbol's days as the clock lets them begin.

    Args:
        mailbox: Days to publish.
        symbol: The symbol.
        bars: Its bars, by day.
        to: To whom.
        sample: Every how many days the latency of the messages is sampled.
        phase: On which of them, so that not all symbols are sampled on the same day.
    """
    async for message in mailbox:
        day, bar = message.day, bars[message.day]
        price = None if bar is None else bar.open
        if (day + phase) % sample:
            await to.opening.send(Opening(day, symbol, price))
            closing = Closing(day, symbol, bar)
            for subscriber in to.closing:
                await subscriber.send(closing)
        else:
            await to.opening.send(Opening(day, symbol, price, time.perf_counter_ns()))
            for subscriber in to.closing:
                await subscriber.send(Closing(day, symbol, bar, time.perf_counter_ns()))
