"""What workers cost and buy: where agents are started, woken and moved, and what each heuristic is good for.

On a build with a GIL more workers pay where agents do what lets go of it; the rest of the figures say what that costs.

Example:
    python -m benchmarks.scheduler --quick --only uneven hashes --all
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks import workers
from benchmarks.command import command
from benchmarks.harness import Bar, Case, Contender, Measure, Metric

__all__ = ["CASES", "main"]


def _one(measure: Measure, label: str = "1 worker") -> Contender:
    return Contender(label, "remuda", measure)


def _other(measure: Measure, label: str) -> Contender:
    return Contender(label, "variant", measure)


_LATE = Metric("time", "ns", "late, p99")

CASES = (
    Case(
        "spawn",
        "spawn, local and remote",
        "call of spawn by an agent, or by a thread that is none of the runtime's",
        20_000,
        (
            _one(workers.spawn_local_1),
            _other(workers.spawn_local_2, "2 workers"),
            _other(workers.spawn_remote, "from a thread"),
        ),
        gc=False,
    ),
    Case(
        "yield",
        "turn",
        "ten agents take turns, by sending to themselves",
        50_000,
        (_one(workers.yields_1), _other(workers.yields_2, "2 workers")),
    ),
    Case(
        "chain",
        "chained spawn",
        "an agent starts the next one and ends, per agent",
        20_000,
        (_one(workers.chain_1), _other(workers.chain_2, "2 workers")),
    ),
    Case(
        "ping_pong",
        "ping-pong",
        "round trip between two agents, on one worker or across two",
        10_000,
        (
            _one(workers.ping_pong_1),
            Contender("across 2 workers", "variant", workers.ping_pong_across, 20),
        ),
    ),
    Case(
        "fan_out",
        "fan-out wake",
        "one agent wakes 100, per message",
        50_000,
        (_one(workers.fan_out_1), _other(workers.fan_out_2, "2 workers")),
    ),
    Case(
        "uneven",
        "uneven load",
        "one producer, bursts, every eighth piece of work eight times as long; work without the GIL",
        400,
        (
            _one(workers.uneven_steal, "2 workers, stealing"),
            _other(workers.uneven_no_steal, "2 workers, no stealing"),
            _other(workers.uneven_split, "2 workers, split beforehand"),
            _other(workers.uneven_one, "1 worker"),
        ),
        quick=80,
    ),
    Case(
        "hashes",
        "scaling, without the GIL",
        "agents that hash 256 kB each",
        1_000,
        (
            _one(workers.hashes_2, "2 workers"),
            _other(workers.hashes_1, "1 worker"),
            _other(workers.hashes_4, "4 workers"),
            Contender("2 threads", "floor", workers.hashes_in_threads),
        ),
        quick=200,
    ),
    Case(
        "loops",
        "scaling, in Python",
        "agents that add 8,000 numbers each",
        1_000,
        (
            _one(workers.loops_2, "2 workers"),
            _other(workers.loops_1, "1 worker"),
            _other(workers.loops_4, "4 workers"),
        ),
        quick=200,
    ),
    Case(
        "idle",
        "idle workers",
        "processor time that a runtime uses which has nothing to do, per ms of time",
        500,
        (
            _one(workers.idle_8, "8 workers"),
            _other(workers.idle_1, "1 worker"),
            Contender("asyncio alone", "floor", workers.idle_loop),
        ),
        quick=200,
    ),
    Case(
        "latency",
        "timer delay, p99",
        "of the home loop, while agents saturate all workers",
        500,
        (_one(workers.latency_1), _other(workers.latency_2, "2 workers")),
        metrics=(_LATE,),
        bars=(Bar(2e6, text="<= 2 ms"),),
        quick=100,
    ),
    Case(
        "lifo",
        "LIFO slot",
        "hop of a token in a ring of 50 agents, 2 workers",
        20_000,
        (_one(workers.ring_lifo, "with"), _other(workers.ring_no_lifo, "without")),
    ),
    Case(
        "outside",
        "injector",
        "messages from a thread to 20 agents, 2 workers",
        20_000,
        (
            _one(workers.outside_tuned, "tuned interval, batches"),
            _other(workers.outside_interval_1, "looked at each time"),
            _other(workers.outside_interval_61, "each 61st time"),
            _other(workers.outside_no_batch, "one at a time"),
        ),
    ),
    Case(
        "throttle",
        "search throttle",
        "bursts of 8 short agents, 4 workers, per agent",
        2_000,
        (
            _one(workers.scramble_throttle, "half may search"),
            _other(workers.scramble_no_throttle, "all may search"),
        ),
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: The words after the command's name; those of the process, if not given.

    Returns:
        The exit status: 0, whether bars are met or missed; 2 for words that were not understood.
    """
    return command("scheduler", "What workers cost and buy.", CASES, argv)


if __name__ == "__main__":
    sys.exit(main())
