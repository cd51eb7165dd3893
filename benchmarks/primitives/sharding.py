"""What finding the shard of a key costs, and how the ways of consistent hashing compare.

The second is counted, not timed: how evenly keys are spread, and how many move that need not, when a shard in the
middle of the list goes. `python -m benchmarks.primitives.sharding` prints it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b
from importlib.util import find_spec
from time import perf_counter_ns as clock
from typing import Any

from benchmarks.harness import Bar, Case, Contender, Figures
from remuda import ShardMap

__all__ = ["CASES", "main"]

NAMES = [f"shard-{number}" for number in range(1000)]


def _lookups(lookup: Callable[[Any], object], keys: Sequence[Any], size: int) -> Figures:
    start = clock()
    for _ in range(size // len(keys)):
        for key in keys:
            lookup(key)
    return {"time": (clock() - start) / (size // len(keys) * len(keys))}


def _keys(size: int) -> list[str]:
    return [f"key-{number}" for number in range(min(size, 1000))]


def of_ten(size: int) -> Figures:
    return _lookups(ShardMap(NAMES[:10]).owner, _keys(size), size)


def of_ten_bytes(size: int) -> Figures:
    return _lookups(ShardMap(NAMES[:10]).owner, [key.encode() for key in _keys(size)], size)


def of_ten_numbers(size: int) -> Figures:
    return _lookups(ShardMap(NAMES[:10]).owner, range(min(size, 1000)), size)


def of_thousand(size: int) -> Figures:
    return _lookups(ShardMap(NAMES).owner, _keys(size), size)


def in_dict(size: int) -> Figures:
    keys = _keys(size)
    return _lookups(dict.fromkeys(keys, "shard").__getitem__, keys, size)


def by_uhashring(size: int) -> Figures:
    from uhashring import HashRing  # type: ignore[import-untyped]  # it has no types

    return _lookups(HashRing(NAMES[:10]).get_node, _keys(size), size)


_PEERS = (
    ()
    if find_spec("uhashring") is None
    else (Contender("uhashring", "peer", by_uhashring, 20, "10 shards"),)
)

CASES = (
    Case(
        "shard",
        "map.owner(key)",
        "lookup of a thousand keys in turn",
        200_000,
        (
            Contender("str, 10 shards", "remuda", of_ten),
            Contender("bytes, 10 shards", "variant", of_ten_bytes),
            Contender("int, 10 shards", "variant", of_ten_numbers),
            Contender("str, 1,000 shards", "variant", of_thousand),
            Contender("dict[key]", "floor", in_dict),
            *_PEERS,
        ),
        bars=(Bar(150),),
    ),
)


def _hash(*parts: object) -> int:
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


def _ring(shards: list[str]) -> Callable[[int], str]:
    return ShardMap(shards).owner


def _jump(shards: list[str]) -> Callable[[int], str]:
    """Lamping and Veach, "A fast, minimal memory, consistent hash algorithm" (2014)."""

    def owner(key: int) -> str:
        state, place, following = _hash(key), -1, 0
        while following < len(shards):
            place = following
            state = (state * 2862933555777941757 + 1) % 2**64
            following = int((place + 1) * (2**31 / ((state >> 33) + 1)))
        return shards[place]

    return owner


def _rendezvous(shards: list[str]) -> Callable[[int], str]:
    """Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (1998)."""
    return lambda key: max(shards, key=lambda shard: _hash(shard, key))


def _maglev(shards: list[str], size: int = 65537) -> Callable[[int], str]:
    """Eisenbud and others, "Maglev: a fast and reliable software network load balancer" (2016)."""
    table: list[str | None] = [None] * size
    walks = [(_hash(shard, "o") % size, _hash(shard, "s") % (size - 1) + 1) for shard in shards]
    steps = [0] * len(shards)
    filled = 0
    while filled < size:
        for number, (offset, skip) in enumerate(walks):
            place = (offset + steps[number] * skip) % size
            while table[place] is not None:
                steps[number] += 1
                place = (offset + steps[number] * skip) % size
            table[place] = shards[number]
            steps[number] += 1
            filled += 1
            if filled == size:
                break
    return lambda key: table[_hash(key) % size] or ""


def main() -> int:
    """Prints how evenly each way spreads 50,000 keys over 50 shards, and what moves when the 26th goes.

    Returns:
        The exit status, 0.
    """
    shards, keys = NAMES[:50], range(50_000)
    left = [shard for shard in shards if shard != NAMES[25]]
    ways = {
        "ShardMap: ring, 1024 points": _ring,
        "rendezvous": _rendezvous,
        "jump": _jump,
        "maglev": _maglev,
    }
    print(f"{'':28}  peak / mean   moved / least")
    for name, way in ways.items():
        before, after = list(map(way(shards), keys)), list(map(way(left), keys))
        counts = Counter(before)
        moved = sum(one != other for one, other in zip(before, after, strict=True))
        print(f"{name:28}  {max(counts.values()) / 1000:11.2f}   {moved / counts[NAMES[25]]:13.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
