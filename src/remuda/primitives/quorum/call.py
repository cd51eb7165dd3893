"""`quorum`: asks a group of agents, and has an answer as soon as enough of them agree."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar, cast, overload

from remuda._kernel import AgentRef, FrozenDict, Request, Unchecked, Val
from remuda.capabilities.parts import holds_iso
from remuda.durations import check_seconds
from remuda.errors import NotSendable, QuorumNotReached
from remuda.primitives.quorum.round import Round
from remuda.primitives.quorum.votes import PLAIN, QuorumResult, Tally, Vote

if TYPE_CHECKING:
    from remuda._kernel import _AgentTakes

__all__ = ["Threshold", "quorum"]

H = TypeVar("H", bound=Hashable)
M = TypeVar("M")
Q = TypeVar("Q", bound=Hashable)
V = TypeVar("V")

Threshold: TypeAlias = int | Literal["majority", "byzantine", "all"]
"""How many must agree: a number, or a rule that makes one of the number of members."""

_NO_LIMITS: Final[FrozenDict[AgentRef[Any], float]] = FrozenDict()
_BYZANTINE_LEAST: Final = 4
_RULES: Final = '"majority", "byzantine", "all"'


@overload
def quorum(
    agents: Iterable[_AgentTakes[Request[Q, Vote[V]], Q]],
    threshold: Threshold,
    request: Q | Val[Q] | Unchecked[Q],
    *,
    timeout: float | None = None,
    member_timeout: float | Mapping[AgentRef[Any], float] | None = None,
    key: Callable[[V], object] | None = None,
    epoch: int | None = None,
) -> Coroutine[Any, Any, QuorumResult[V]]: ...
@overload
def quorum(
    agents: Iterable[_AgentTakes[Request[Q, V], Q]],
    threshold: Threshold,
    request: Q | Val[Q] | Unchecked[Q],
    *,
    timeout: float | None = None,
    member_timeout: float | Mapping[AgentRef[Any], float] | None = None,
    key: Callable[[V], object] | None = None,
    epoch: int | None = None,
) -> Coroutine[Any, Any, QuorumResult[V]]: ...
@overload
def quorum(
    agents: Iterable[AgentRef[M]],
    threshold: Threshold,
    request: Val[M] | Unchecked[M],
    *,
    timeout: float | None = None,
    member_timeout: float | Mapping[AgentRef[Any], float] | None = None,
    key: Callable[[Any], object] | None = None,
    epoch: int | None = None,
) -> Coroutine[Any, Any, QuorumResult[Any]]: ...
@overload
def quorum(
    agents: Iterable[_AgentTakes[H, H]],
    threshold: Threshold,
    request: H,
    *,
    timeout: float | None = None,
    member_timeout: float | Mapping[AgentRef[Any], float] | None = None,
    key: Callable[[Any], object] | None = None,
    epoch: int | None = None,
) -> Coroutine[Any, Any, QuorumResult[Any]]: ...
def quorum(
    agents: Iterable[_AgentTakes[Any, Any]],
    threshold: Threshold,
    request: Any,
    *,
    timeout: float | None = None,
    member_timeout: float | Mapping[AgentRef[Any], float] | None = None,
    key: Callable[[Any], object] | None = None,
    epoch: int | None = None,
) -> Coroutine[Any, Any, QuorumResult[Any]]:
    """Asks all of a group of agents at once, and returns as soon as enough of them have given the same answer.

    It also ends as soon as that can't happen any more. Members that have not answered by then are not waited for: a
    request that waits for room in a mailbox is taken back, one that a member has is answered to nobody. It is the same
    if the caller is cancelled.

    Which threshold is right depends on what can go wrong. "majority", n // 2 + 1, has any two quorums share a member,
    which is enough where members crash, hang or are cut off, but tell the truth (Gifford 1979, *Weighted voting for
    replicated data*). "byzantine" is for f members out of n >= 3f + 1 that say anything, and not the same to everybody:
    (n + f) // 2 + 1, with f = (n - 1) // 3, has any two quorums share f + 1 members, so at least an honest one (Malkhi
    and Reiter 1998, *Byzantine quorum systems*). It is the well-known 2f + 1 of 3f + 1. "all" means every member.

    Args:
        agents: The members, each once. Each has one vote.
        threshold: How many must agree: a number from 1 to that of the members, "majority", "byzantine" or "all".
        request: What all of them are asked. It goes to many, so it must be shareable: immutable, a val, a tag.
        timeout: Seconds for it all; None waits for ever. With 0 everybody is asked and nobody waited for: only answers
            that are there at once count.
        member_timeout: Seconds until a member counts as one that doesn't answer; or such a number for each of those
            members that have one. The time for it all holds as well.
        key: What of a vote is compared; the votes themselves, if not given. What is compared must have an `==`, and
            need not have a hash.
        epoch: Which epoch it is about. A member that answers `Vote(value, epoch)` with another one is not counted; a
            bare value counts always.

    Returns:
        What was agreed on, who agreed, and what became of the others.

    Raises:
        QuorumNotReached: Too few agreed, in time or at all; `.result` tells who did what.
        NotSendable: The request can be changed by others, or only one could own it, as it is or holds an iso.
        TypeError: A member is no agent; the threshold, a timeout or the epoch is no number; the key can't be called.
        ValueError: There are no members, or one comes twice; the threshold is less than 1, more than the members, or an
            unknown word; there are less than 4 members for "byzantine"; a timeout is negative, or for somebody else.

    Examples:
        >>> import asyncio, remuda
        >>> class Thermometer(remuda.Agent[str]):
        ...     def __init__(self, degrees: float) -> None:
        ...         self.degrees = degrees
        ...
        ...     def receive(self, message: str) -> float:
        ...         return self.degrees
        >>> async def main() -> None:
        ...     async with remuda.Runtime(workers=1) as runtime:
        ...         group = [runtime.spawn(Thermometer, degrees) for degrees in (20.9, 35.0, 21.2)]
        ...         result = await remuda.quorum(group, "majority", "how warm?", key=round)
        ...         print(result.value, len(result.votes), list(result.dissent.values()))
        >>> asyncio.run(main())
        20.9 2 [35.0]
    """
    try:
        found = iter(cast("Iterable[AgentRef[Any]]", agents))
    except TypeError:
        kind = type(agents).__name__
        raise TypeError(f"expected an iterable of agents to ask, got {kind}") from None
    members: tuple[AgentRef[Any], ...] = tuple(found)
    needed = _needed(threshold, _checked(members))
    limit, limits = _times(timeout, member_timeout, members)
    if key is not None and not callable(key):
        raise TypeError(
            f"expected key to be a function of a vote, or None, got {type(key).__name__}"
        )
    if epoch is not None and type(epoch) is not int:
        raise TypeError(f"expected epoch to be an int or None, got {type(epoch).__name__}")
    if type(request) not in PLAIN and holds_iso(request):
        text = (
            f"expected a request that {len(members)} members may have (a val, a tag, something immutable), got one "
            "that is or holds an iso, which only one can own: share() makes a val of it"
        )
        raise NotSendable(text, value=request, path="message", message=request)
    tally = Tally(len(members), needed, key, epoch)
    return _asked(tally, Round(members, request, tally, limit, limits), members, limit)


async def _asked(
    tally: Tally, the_round: Round, members: tuple[AgentRef[Any], ...], limit: float | None
) -> QuorumResult[Any]:
    await the_round
    result = tally.result(members)
    if not result.reached:
        raise QuorumNotReached(_story(result, members, limit), result)
    return result


def _checked(members: tuple[Any, ...]) -> int:
    """The number of members, which are agents, each once."""
    for place, member in enumerate(members):
        if not isinstance(member, AgentRef):
            raise TypeError(f"expected agents to ask, got {type(member).__name__} at place {place}")
    if not members:
        raise ValueError("expected at least one agent to ask, got none")
    if len(set(members)) != len(members):
        twice = next(member for place, member in enumerate(members) if member in members[:place])
        raise ValueError(f"expected each member once, as each has one vote, got {twice.name} twice")
    return len(members)


def _needed(threshold: Threshold, size: int) -> int:
    """How many votes the threshold means."""
    if isinstance(threshold, int) and not isinstance(threshold, bool):
        if not 1 <= threshold <= size:
            raise ValueError(
                f"expected a threshold from 1 to {size}, the number of members, got {threshold}"
            )
        return threshold
    if not isinstance(threshold, str):
        kind = type(threshold).__name__
        raise TypeError(f"expected threshold to be an int, or one of {_RULES}, got {kind}")
    if threshold == "majority":
        return size // 2 + 1
    if threshold == "all":
        return size
    if threshold != "byzantine":
        raise ValueError(f"expected threshold to be an int, or one of {_RULES}, got {threshold!r}")
    if size < _BYZANTINE_LEAST:
        raise ValueError(
            f'expected at least {_BYZANTINE_LEAST} members for "byzantine", got {size}: fewer can\'t stand a single '
            "one that lies"
        )
    return (size + (size - 1) // 3) // 2 + 1


def _times(
    timeout: Any, member_timeout: Any, members: tuple[AgentRef[Any], ...]
) -> tuple[float | None, Mapping[AgentRef[Any], float]]:
    """The time that holds for all, and that of those who have a shorter one."""
    limit = _seconds("timeout", timeout)
    if not isinstance(member_timeout, Mapping):
        each = _seconds("member_timeout", member_timeout)
        if each is not None and (limit is None or each < limit):
            limit = each
        return limit, _NO_LIMITS
    strangers = set(member_timeout).difference(members)
    if strangers:
        raise ValueError(
            f"expected member_timeout for members only, got one for {next(iter(strangers))!r}"
        )
    own = {
        member: _seconds("member_timeout", seconds) for member, seconds in member_timeout.items()
    }
    return limit, {
        member: seconds
        for member, seconds in own.items()
        if seconds is not None and (limit is None or seconds < limit)
    }


def _seconds(name: str, seconds: Any) -> float | None:
    check_seconds(name, seconds, or_none=" or None")
    return None if seconds is None else seconds


def _story(
    result: QuorumResult[Any], members: tuple[AgentRef[Any], ...], limit: float | None
) -> str:
    """What to say about a quorum that was not reached."""
    parts = [f"expected {result.threshold} of {len(members)} members to agree"]
    if limit is not None:
        parts[0] += f" within {limit} s"
    agreed = len(result.votes)
    parts.append(f"got {agreed} equal vote{'' if agreed == 1 else 's'}")
    for number, what in (
        (len(result.dissent), "dissented"),
        (len(result.stale), "voted in another epoch"),
        (len(result.timed_out), "timed out"),
        (len(result.missing), "not waited for"),
    ):
        if number:
            parts.append(f"{number} {what}")
    if result.failed:
        first, error = next(iter(result.failed.items()))
        parts.append(
            f"{len(result.failed)} failed (first {first.name}: {type(error).__name__}: {error})"
        )
    return ", ".join(parts)
