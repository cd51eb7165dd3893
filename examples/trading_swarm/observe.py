"""Watching the swarm without slowing it.

What is observed goes to the monitor as messages. Its mailbox drops what it has no room for, so a
swarm that is faster than its observer loses observations (they are counted) and never waits for
them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from examples.trading_swarm.messages import (
    Depth,
    GetObservations,
    Hop,
    Latency,
    Observations,
    Settled,
)
from remuda import Agent, AgentRef, WatermarkEvent

MonitorRef = AgentRef[Latency | Depth | GetObservations]


class Monitor(Agent[Latency | Depth | GetObservations]):
    """Keeps what it is told, and answers `GetObservations`."""

    def __init__(self) -> None:
        self._latencies: list[Latency] = []
        self._depths: list[Depth] = []

    def receive(self, message: Latency | Depth | GetObservations) -> Observations | None:
        """Keeps an observation, or answers with all of them."""
        match message:
            case Latency():
                self._latencies.append(message)
            case Depth():
                self._depths.append(message)
            case GetObservations():
                return Observations(tuple(self._latencies), tuple(self._depths))
        return None


class Progress(Agent[Settled]):
    """Counts settled days, of all books together, and tells a progress bar."""

    def __init__(self, show: Callable[[int], object]) -> None:
        self._show = show
        self._settled = 0

    def receive(self, message: Settled) -> None:
        """Counts a day."""
        self._settled += 1
        self._show(self._settled)


def arrived(monitor: MonitorRef, hop: Hop, sent: int) -> int:
    """Reports the latency of a sampled message that has just arrived.

    Returns:
        The `sent` for the message that answers it: now, if this one is sampled, and 0 if not.
    """
    if not sent:
        return 0
    now = time.perf_counter_ns()
    monitor.send_nowait(Latency(hop, now - sent))
    return now


@dataclass(frozen=True, slots=True)
class Mark:
    """A watermark event and when it was."""

    agent: str
    at: int
    kind: Literal["high", "low"]
    depth: int


@dataclass(slots=True)
class Watermarks:
    """Collects watermark events: a callback for `Runtime.on_watermark`."""

    marks: list[Mark] = field(default_factory=list)

    def __call__(self, event: WatermarkEvent) -> None:
        """Keeps an event."""
        self.marks.append(Mark(event.agent.name, time.perf_counter_ns(), event.kind, event.depth))
