"""How long `remuda check` takes: for ten thousand lines of agents, and of code that has nothing to do with them.

    python -m benchmarks.check [--lines 10000] [--repeats 5]

The floor is what Python needs to parse the same lines. A tenth of the functions of the first program have a finding.
"""

from __future__ import annotations

import argparse
import ast
import gc
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from remuda.check import check_source

__all__ = ["main", "program"]

_HEAD = """\
import asyncio

from remuda import Agent, AgentRef, Mailbox, MailboxFull, Runtime, freeze, iso, val
"""

_AGENTS = """

async def collect_{n}(mailbox: Mailbox[int], sink: AgentRef[list[int]], limit: int = 100) -> int:
    sent = 0
    batch = iso([])
    try:
        async for number in mailbox:
            if number < 0 or number > 1000:
                continue
            batch.append(number)
            if len(batch) >= limit:
                await sink.send(batch)
                sent += len(batch) if {wrong} else limit
                batch = iso([])
    finally:
        await sink.send(batch)
    return sent


class Keeper_{n}(Agent[int]):
    def __init__(self, sink: AgentRef[list[int]]) -> None:
        self.sink = sink
        self.buffer: list[int] = []

    def receive(self, message: int) -> int:
        self.buffer.append(message)
        if len(self.buffer) == 10:
            try:
                self.sink.send_nowait(iso(self.buffer))
            except MailboxFull:
                return len(self.buffer)
            self.buffer = []
        return len(self.buffer)


async def main_{n}(rows: list[list[int]]) -> None:
    settings = val((1, 2, 3))
    async with Runtime() as runtime:
        sinks = [runtime.spawn(collect_{n}, None, settings[0]) for _ in range(10)]
        for index, row in enumerate(rows):
            await sinks[index % 10].send(len(row))
        results = [asyncio.create_task(sink.stop()) for sink in sinks]
        await asyncio.gather(*results)
        print(settings, freeze(rows))
"""

_PLAIN = """

def parse_{n}(text: str, separator: str = ",") -> dict[str, int]:
    table = {{}}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        key, _, value = line.partition(separator)
        try:
            table[key.strip()] = int(value)
        except ValueError as error:
            raise ValueError(f"expected a number, found {{value!r}}") from error
    return {{key: value for key, value in sorted(table.items()) if value > 0}}
"""


def program(lines: int, piece: str) -> str:
    """A program of at least so many lines, made of many pieces."""
    parts, count = [_HEAD], _HEAD.count("\n")
    while count < lines:
        parts.append(piece.format(n=len(parts), wrong=len(parts) % 10 == 0))
        count += piece.count("\n")
    return "".join(parts)


def measure(function: Callable[[], object], repeats: int) -> float:
    """The median of the seconds that it takes, with the garbage collector off, as in the command."""
    samples = []
    gc.collect()
    gc.disable()
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        function()
        samples.append(time.perf_counter() - begin)
    gc.enable()
    return statistics.median(samples[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=10_000, help="how long the programs are")
    parser.add_argument("--repeats", type=int, default=5, help="how often each is measured")
    words = parser.parse_args(arguments)
    print(f"{sys.implementation.name} {sys.version.split()[0]}, median of {words.repeats}\n")
    print(f"{'program':<20}{'lines':>8}{'findings':>10}{'check':>10}{'parse alone':>14}")
    for name, piece in (("agents", _AGENTS), ("nothing of agents", _PLAIN)):
        source = program(words.lines, piece)
        findings = len(check_source(source))
        seconds = measure(lambda text=source: check_source(text), words.repeats)  # type: ignore[misc]  # a default binds it
        floor = measure(lambda text=source: ast.parse(text), words.repeats)  # type: ignore[misc]  # a default binds it
        count = source.count("\n")
        print(f"{name:<20}{count:>8,}{findings:>10}{seconds:>8.3f} s{floor:>12.3f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
