"""Which of several shards a key belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

from remuda._kernel import AgentRef, ShardMap

__all__ = ["ShardMap", "shard"]

Name: TypeAlias = str | bytes | int
S = TypeVar("S", bound=Name | AgentRef[Any])


def shard(key: str | bytes | int, shards: Iterable[S] | ShardMap[S]) -> S:
    """Picks the shard that a key belongs to, by consistent hashing.

    The same key and shards give the same shard in every process, on every version of Python, whatever the order of the
    shards. One shard more or less moves no keys but those that are its own. For many lookups keep a `ShardMap`: this
    looks at all shards every time.

    Args:
        key: The key. "1", b"1" and 1 are different keys.
        shards: Names (str, bytes or int) or agents, which go by their names; or a map of them.

    Returns:
        One of the shards.

    Raises:
        TypeError: The key, or a shard, is something else.
        ValueError: There is no shard, or the same one twice.

    Examples:
        >>> from remuda import shard
        >>> shard("order-17", ["paris", "quito", "tokyo"])
        'quito'
    """
    if isinstance(shards, ShardMap):
        return shards.owner(key)
    if isinstance(shards, str | bytes):
        raise TypeError("expected several shards, got one text: put it into a list")
    try:
        all_shards = iter(shards)
    except TypeError:
        raise TypeError(f"expected an iterable of shards, got {type(shards).__name__}") from None
    found = tuple(all_shards)
    # By name, so that no agent is kept alive here; with the types, because True equals 1.
    names = tuple([each.name if isinstance(each, AgentRef) else each for each in found])
    try:
        shard_map, places = _map_of(names, tuple(map(type, names)))
    except TypeError:
        ShardMap(names)  # it says what is no shard, and not only that this has no hash
        raise
    return found[places[shard_map.owner(key)]]


@lru_cache(maxsize=8)  # a map of a thousand shards is 32 MB
def _map_of(
    names: tuple[Name, ...], _types: tuple[type, ...]
) -> tuple[ShardMap[Name], dict[Name, int]]:
    return ShardMap(names), {name: place for place, name in enumerate(names)}
