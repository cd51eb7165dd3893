"""Messages that an agent's annotation takes or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Literal, NewType, Optional, Protocol, TypeVar, Union

import remuda
from elsewhere import Imported
from remuda import AgentRef, Mailbox, Request, Runtime, iso, val

T = TypeVar("T")
Price = NewType("Price", float)
Command = Union[str, int]


@dataclass(frozen=True)
class Quote:
    price: float


@dataclass(frozen=True)
class LateQuote(Quote):
    delay: float = 0.0


@dataclass(frozen=True)
class Trade:
    amount: int


class Unknown(Imported):
    pass


class Side(Enum):
    BUY = 1


class Level(IntEnum):
    LOW = 1


class Named(Protocol):
    name: str


async def adder(mailbox: Mailbox[int], start: int = 0) -> int:
    return start + sum([number async for number in mailbox])


async def quotes(mailbox: Mailbox[Quote | Trade]) -> None:
    async for message in mailbox:
        print(message)


async def lengths(mailbox: Mailbox[Request[str, int]]) -> None:
    async for request in mailbox:
        request.reply(len(request.message))


class Doubler(remuda.Agent[int]):
    def receive(self, message: int) -> int:
        return 2 * message


class Plain:
    def receive(self, message: str) -> None:
        print(message)


async def text_for_a_number(agent: AgentRef[int]) -> None:
    await agent.send("one")  # expect: RMD107


async def nothing_for_a_number(agent: AgentRef[int]) -> None:
    agent.send_nowait(None)  # expect: RMD107


async def a_float_for_an_int(agent: AgentRef[int]) -> None:
    await agent.send(1.5)  # expect: RMD107


async def bytes_for_text(agent: AgentRef[str]) -> None:
    remuda.signal(agent, b"one")  # expect: RMD107


async def a_number_for_a_union(agent: AgentRef[str | bytes | None]) -> None:
    await agent.send(1)  # expect: RMD107


async def asked_with_a_number(agent: AgentRef[Request[str, int]]) -> None:
    await agent.ask(1)  # expect: RMD107


async def of_a_spawned_function(runtime: Runtime) -> None:
    agent = runtime.spawn(adder, 1)
    await agent.send("one")  # expect: RMD107


async def of_a_spawned_class(runtime: Runtime) -> None:
    doubler = runtime.spawn(Doubler)
    await doubler.ask("one")  # expect: RMD107


async def of_a_spawned_object(runtime: Runtime) -> None:
    plain = runtime.spawn(Plain())
    await plain.send(1)  # expect: RMD107


async def the_wrong_class(runtime: Runtime) -> None:
    agent = runtime.spawn(adder)
    await agent.send(Quote(1.0))  # expect: RMD107


async def text_for_classes(runtime: Runtime) -> None:
    agent = runtime.spawn(quotes)
    await agent.send("AAPL")  # expect: RMD107


async def another_class(agent: AgentRef[Trade]) -> None:
    quote = Quote(1.0)
    await agent.send(quote)  # expect: RMD107


async def the_wrong_content(agent: AgentRef[list[int]]) -> None:
    await agent.send(iso({"one": 1}))  # expect: RMD107


async def an_answer_of_the_wrong_type(mailbox: Mailbox[Request[str, int]]) -> None:
    async for request in mailbox:
        request.reply("three")  # expect: RMD107


async def to_oneself(mailbox: Mailbox[int]) -> None:
    mailbox.me.send_nowait("again")  # expect: RMD107


async def by_an_alias(agent: AgentRef[Command]) -> None:
    await agent.send(1.5)  # expect: RMD107


async def a_literal_of_another_type(agent: AgentRef[Literal["start", "stop"]]) -> None:
    await agent.send(1)  # expect: RMD107


class Desk:
    def __init__(self, sink: AgentRef[Trade]) -> None:
        self.sink = sink
        self.audit: AgentRef[str] = sink

    async def run(self) -> None:
        await self.sink.send("trade")  # expect: RMD107
        await self.audit.send(Trade(1))  # expect: RMD107
        await self.sink.send(Trade(1))
        await self.audit.send("trade")


async def of_a_local_function(runtime: Runtime) -> None:
    async def printer(mailbox: Mailbox[str]) -> None:
        async for text in mailbox:
            print(text)

    agent = runtime.spawn(printer)
    await agent.send(1)  # expect: RMD107


async def a_wrong_literal(agent: AgentRef[Literal["start", "stop"]]) -> None:
    await agent.send("pause")  # missed: RMD107: of a Literal only the type of its values is looked at


async def a_list_of_the_wrong_elements(agent: AgentRef[list[int]]) -> None:
    await agent.send(iso(["one"]))  # missed: RMD107: what a container holds is not compared


async def as_annotated(agent: AgentRef[int], other: AgentRef[str | None]) -> None:
    await agent.send(1)
    await agent.send(-1)
    await other.send("one")
    await other.send(None)


async def a_bool_is_an_int(agent: AgentRef[int]) -> None:
    await agent.send(True)
    await agent.send(not agent)


async def an_int_for_a_float(agent: AgentRef[float]) -> None:
    await agent.send(1)


async def a_subclass(runtime: Runtime) -> None:
    agent = runtime.spawn(quotes)
    await agent.send(LateQuote(1.0))
    await agent.send(Trade(1))


async def a_request_by_ask(runtime: Runtime) -> None:
    agent = runtime.spawn(lengths)
    await agent.ask("three")


async def either_to_ask(agent: AgentRef[int | Request[str, int]]) -> None:
    await agent.ask("three")
    await agent.send(1)


async def anything(agent: AgentRef[Any], other: AgentRef[object], third: AgentRef) -> None:
    await agent.send(1)
    await other.send("one")
    await third.send(None)


async def a_variable(agent: AgentRef[T], message: T) -> None:
    await agent.send(message)


async def a_new_type(agent: AgentRef[Price]) -> None:
    await agent.send(Price(1.0))


async def a_protocol(agent: AgentRef[Sequence[int]], other: AgentRef[Named]) -> None:
    await agent.send((1, 2))
    await other.send(Quote(1.0))


async def an_imported_class(agent: AgentRef[Imported]) -> None:
    await agent.send(Quote(1.0))
    await agent.send(1)


async def a_class_with_an_unknown_base(agent: AgentRef[int]) -> None:
    await agent.send(Unknown())


async def optional(agent: AgentRef[Optional[int]]) -> None:
    await agent.send(None)
    await agent.send(1)


async def in_a_handle(agent: AgentRef[list[int]], other: AgentRef[str]) -> None:
    await agent.send(iso([1]))
    await other.send(val("one"))


async def a_level_is_an_int(agent: AgentRef[int]) -> None:
    await agent.send(Level(1))


async def something_computed(agent: AgentRef[int], text: str) -> None:
    await agent.send(int(text))
    await agent.send(len(text) + 1)


async def by_alias(agent: AgentRef[Command]) -> None:
    await agent.send("one")
    await agent.send(1)


async def not_an_agent(client) -> None:
    await client.send("one")


async def one_of_two_agents(agent: AgentRef[int], other: AgentRef[str], ready: bool) -> None:
    chosen = agent if ready else other
    await chosen.send(1)  # expect: RMD107


async def a_name_that_changed(agent: AgentRef[str]) -> None:
    message = 1
    message = str(message)
    await agent.send(message)


async def quoted(agent: "AgentRef[int | str]") -> None:
    await agent.send("one")


async def to_all(agents: list[AgentRef[int]]) -> None:
    for agent in agents:
        await agent.send(1)
    await remuda.broadcast(agents, 1)


async def many_agents(*agents: AgentRef[int], **others: AgentRef[int]) -> None:
    for agent in agents:
        await agent.send("one")  # expect: RMD107
    await others["first"].send("one")  # expect: RMD107


async def the_second_of_a_pair(pair: tuple[AgentRef[str], AgentRef[int]]) -> None:
    await pair[1].send("one")  # expect: RMD107


async def each_of_a_pair(pair: tuple[AgentRef[int], AgentRef[str]]) -> None:
    await pair[0].send(1)
    await pair[1].send("one")
    await pair[-1].send("one")


async def whatever_is_in_a_pair(agent: AgentRef[str], pair: tuple[int, str]) -> None:
    for one in pair:
        if isinstance(one, str):
            await agent.send(one)


async def a_tuple_of_any_length(agents: tuple[AgentRef[int], ...]) -> None:
    first, second = agents
    await second.send(1)
    await agents[5].send(first.id)
