"""What type checkers accept of sends, and refuse, and how far the run time agrees.

`tests/test_typing.py` runs every line of these functions by itself, and fails if the run time does something else than
what the function's docstring says. See `agents.py` for the comments.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import remuda
from remuda import (
    AgentRef,
    Box,
    FrozenDict,
    Ref,
    Request,
    Resolver,
    Sender,
    Tag,
    Trn,
    iso,
    tag,
    unchecked,
    val,
)


@dataclass(frozen=True)
class Order:
    size: int


@dataclass
class Basket:
    size: int


class Sized(Protocol):
    @property
    def size(self) -> int: ...


def shout(word: str) -> str:
    return word.upper()


async def agree(
    of_int: AgentRef[int],
    of_list: AgentRef[list[int]],
    of_either: AgentRef[int | list[int]],
    of_any: AgentRef[Any],
    of_orders: AgentRef[Order | Literal["stop"]],
    of_pair: AgentRef[tuple[remuda.Iso[list[int]], str]],
    of_tag: AgentRef[Tag[list[int]]],
    of_class: AgentRef[type[Order]],
    of_function: AgentRef[Callable[[str], str]],
    of_sequence: AgentRef[Sequence[int]],
    of_mapping: AgentRef[Mapping[str, int]],
    of_agent: AgentRef[AgentRef[int]],
    asked: AgentRef[Request[list[int], int]],
    anyhow: AgentRef[Request[Any, int]],
    sender: Sender[list[int]],
    either: Sender[int | list[int]],
    anything: Sender[Any],
    promise: Resolver[list[int]],
    any_promise: Resolver[Any],
    request: Request[str, list[int]],
    any_request: Request[str, Any],
    numbers: list[int],
    own: Ref[int],
    half: Trn[int],
    view: Box[int],
) -> None:
    """What is marked raises `NotSendable`, everything else is sent."""
    of_int.send_nowait(1)
    await of_int.send(True)
    await of_int.send(val(1))
    await of_list.send(iso(numbers))
    await of_list.send(unchecked(numbers))
    await of_either.send(1)
    await of_either.send(iso(numbers))
    await of_any.send("anything")
    await of_any.send(None)
    await of_any.send(shout)
    await of_any.send(Order)
    await of_any.send((1, "two"))
    await of_any.send(iso(numbers))
    await of_orders.send(Order(1))
    await of_orders.send("stop")
    await of_pair.send((iso(numbers), "two"))
    await of_tag.send(tag(numbers))
    await of_class.send(Order)
    await of_function.send(shout)
    await of_sequence.send((1, 2))
    await of_sequence.send(iso(numbers))
    await of_mapping.send(val(FrozenDict(one=1)))
    await of_agent.send(of_int)
    of_list.send_nowait(iso(numbers))
    remuda.signal(of_list, iso(numbers))
    remuda.signal(of_either, 1)
    remuda.signal(of_any, 1)
    await asked.ask(iso(numbers))
    await anyhow.ask(1)
    await remuda.broadcast([of_any, of_either], 1)
    await remuda.quorum([anyhow], 1, 1)
    await sender.send(iso(numbers))
    sender.send_nowait(iso(numbers))
    await either.send(1)
    await anything.send(iso(numbers))
    promise.set_result(iso(numbers))
    any_promise.set_result(1)
    request.reply(iso(numbers))
    any_request.reply(1)

    await of_list.send(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await of_list.send([1])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    of_list.send_nowait([1])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await of_either.send(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    of_either.send_nowait([1])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_any.send(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_any.send({"a": 1})  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_any.send({1})  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_any.send(bytearray())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    of_any.send_nowait([1])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_any.send(own)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_any.send(half)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_any.send(view)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_int.send(own)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    remuda.signal(of_list, numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    remuda.signal(of_either, numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    remuda.signal(of_any, numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    remuda.signal(of_any, own)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_any.ask(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_either.ask(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await asked.ask(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await anyhow.ask(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await anyhow.ask(own)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await remuda.broadcast([of_list], numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await remuda.broadcast([of_list], iso(numbers))  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await remuda.broadcast([of_any], numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await remuda.quorum([asked], 1, numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await remuda.quorum([asked], 1, iso(numbers))  # type: ignore[list-item, misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await remuda.quorum([anyhow], 1, numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await remuda.quorum([of_any], 1, numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await sender.send(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    sender.send_nowait(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await either.send(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await anything.send(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    anything.send_nowait(own)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    promise.set_result(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    any_promise.set_result(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    request.reply(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    any_request.reply(numbers)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


async def beyond(
    of_object: AgentRef[object],
    of_any: AgentRef[Any],
    of_sequence: AgentRef[Sequence[int]],
    of_mapping: AgentRef[Mapping[str, int]],
    of_basket: AgentRef[Basket],
    of_pair: AgentRef[tuple[list[int], str]],
    adopted: AgentRef[int],
    numbers: list[int],
    named: dict[str, int],
    seen_as: Sequence[int],
) -> None:
    """Everything raises `NotSendable`, and a checker doesn't see it, if it is not marked for it.

    To a checker a message is mutable if it can't be hashed; if an agent takes an abstract type, then that type decides,
    and a sequence can be hashed. It doesn't look into a tuple. To mypy any object can be hashed, and a dataclass that
    isn't frozen. The arguments of `spawn` may be any that the behaviour takes.
    """
    await of_object.send(numbers)  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_sequence.send(numbers)
    await of_sequence.send(seen_as)
    await of_mapping.send(named)  # pyright: ignore[reportArgumentType]
    await of_pair.send((numbers, "two"))
    await of_any.send((numbers, "two"))
    await of_any.send(Basket(1))  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_basket.send(Basket(1))  # pyright: ignore[reportArgumentType]
    await remuda.broadcast([of_any], iso(numbers))
    adopted.runtime.spawn(takes, numbers)


async def takes(mailbox: remuda.Mailbox[int], numbers: list[int]) -> None: ...


async def needless(
    of_words: AgentRef[Literal["go", "stop"]],
    of_sized: AgentRef[Sized],
    of_iterable: AgentRef[Iterable[int]],
    of_mapping: AgentRef[Mapping[str, int]],
    of_three: AgentRef[int | str | list[int]],
    word: Literal["go"],
) -> None:
    """Everything is sent, and a checker refuses it, if it is marked for it.

    To mypy a protocol that doesn't name `__hash__` can't be hashed, and a word is any str where it looks at the agent
    and the message at the same time. To pyright a mapping can't be hashed, and of a union with something mutable in it
    all but the first of the other members can't. `val(x)`, or a variable of the word's type, is a way round.
    """
    of_words.send_nowait("go")
    remuda.signal(of_words, "go")  # type: ignore[arg-type]
    remuda.signal(of_words, word)
    await of_sized.send(Order(1))  # type: ignore[call-overload]
    await of_sized.send(val(Order(1)))
    await of_iterable.send((1, 2))  # type: ignore[call-overload]
    await of_iterable.send(val((1, 2)))
    await of_mapping.send(FrozenDict(one=1))  # pyright: ignore[reportArgumentType]
    await of_three.send(1)
    await of_three.send("two")  # pyright: ignore[reportArgumentType, reportCallIssue]
    await of_three.send(val("two"))
