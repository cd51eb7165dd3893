"""What is local to its agent."""

from dataclasses import dataclass
from functools import partial

import remuda
from remuda import AgentRef, Mailbox, Message, Ref, Request, Runtime, Tracked, box, channel, iso, ref, tag, trn


@dataclass(frozen=True)
class Parcel:
    content: object


async def sent(agent: AgentRef[object]) -> None:
    seen = ref(set())
    await agent.send(seen)  # expect: RMD105


async def sent_in_place(agent: AgentRef[object]) -> None:
    agent.send_nowait(ref(set()))  # expect: RMD105


async def a_tracked_one(agent: AgentRef[object]) -> None:
    seen = Tracked(set())
    remuda.signal(agent, seen)  # expect: RMD105


async def asked(agent: AgentRef[object]) -> None:
    seen = ref(set())
    await agent.ask(seen)  # expect: RMD105


async def given_as_an_answer(mailbox: Mailbox[Request[str, object]]) -> None:
    seen = ref(set())
    async for request in mailbox:
        request.reply(seen)  # expect: RMD105


async def through_a_channel() -> None:
    tx, _ = channel(1)
    seen = ref([])
    await tx.send(seen)  # expect: RMD105


async def broadcast(agents: list[AgentRef[object]]) -> None:
    await remuda.broadcast(agents, ref([]))  # expect: RMD105


async def spawn_argument(runtime: Runtime, behaviour) -> None:
    seen = ref([])
    runtime.spawn(behaviour, seen)  # expect: RMD105


async def in_a_tuple(agent: AgentRef[object]) -> None:
    seen = ref([])
    await agent.send(("seen", seen))  # expect: RMD105


async def in_an_object(agent: AgentRef[Parcel]) -> None:
    seen = ref([])
    await agent.send(Parcel(seen))  # expect: RMD105


async def set_as_an_attribute(agent: AgentRef[object], make) -> None:
    parcel = Parcel(None)
    parcel.content = ref([])
    await agent.send(parcel)  # expect: RMD105


async def in_an_envelope(agent: AgentRef[object]) -> None:
    await agent.send(Message(ref([]), priority=1))  # expect: RMD105


async def inside_an_iso(agent: AgentRef[list[object]]) -> None:
    seen = ref([])
    await agent.send(iso([seen]))  # expect: RMD105


async def captured_by_a_behaviour(runtime: Runtime) -> None:
    seen = ref([])

    async def watcher(mailbox: Mailbox[int]) -> None:
        async for number in mailbox:
            seen.append(number)

    runtime.spawn(watcher)  # expect: RMD105


async def bound_by_partial(runtime: Runtime, behaviour) -> None:
    seen = ref([])
    runtime.spawn(partial(behaviour, seen))  # expect: RMD105


async def given_to_an_object_that_becomes_an_agent(runtime: Runtime) -> None:
    seen = ref([])
    runtime.spawn(Counter(seen))  # expect: RMD105


class Counter(remuda.Agent[int]):
    def __init__(self, seen: object) -> None:
        self.seen = seen

    def receive(self, message: int) -> None:
        pass


async def a_parameter(agent: AgentRef[object], seen: Ref[list[int]]) -> None:
    await agent.send(seen)  # expect: RMD105


async def on_one_path(agent: AgentRef[object], local: bool) -> None:
    found = ref([]) if local else 1
    await agent.send(found)  # expect: RMD105


async def returned_by_an_agent(mailbox: Mailbox[int]) -> object:
    seen = ref([])
    async for number in mailbox:
        seen.append(number)
    return seen  # expect: RMD105


async def a_trn(agent: AgentRef[object]) -> None:
    draft = trn([])
    await agent.send(draft)  # expect: RMD105


async def a_box(agent: AgentRef[object], order) -> None:
    await agent.send(box(order))  # expect: RMD105


class Watcher(remuda.Agent[str]):
    def __init__(self, sink: AgentRef[object]) -> None:
        self.sink = sink
        self.seen = ref(set())

    def receive(self, message: str) -> None:
        self.seen.add(message)
        self.sink.send_nowait(self.seen)  # expect: RMD105


async def by_a_thread_pool(agent: AgentRef[object], loop) -> None:
    seen = ref([])
    send = agent.send_nowait
    send(seen)  # expect: RMD105


async def used_at_home(agent: AgentRef[int]) -> None:
    seen = ref(set())
    seen.add(1)
    await agent.send(len(seen))
    print(seen)


async def only_its_tag(agent: AgentRef[object]) -> None:
    seen = ref(set())
    await agent.send(("who", tag(seen)))


async def a_copy_of_it(agent: AgentRef[object]) -> None:
    seen = ref([])
    await agent.send(iso(list(seen)))
    await agent.send(remuda.freeze(seen))


async def captured_by_a_helper(agent: AgentRef[int]) -> None:
    seen = ref([])

    def note(number: int) -> None:
        seen.append(number)

    note(1)
    await agent.send(1)


async def a_behaviour_with_its_own(runtime: Runtime) -> None:
    seen = ref([])

    async def watcher(mailbox: Mailbox[int]) -> None:
        seen = ref([])
        async for number in mailbox:
            seen.append(number)

    runtime.spawn(watcher)
    print(seen)


async def not_what_becomes_an_agent(runtime: Runtime) -> None:
    seen = ref([])

    def look() -> int:
        return len(seen)

    async def watcher(mailbox: Mailbox[int]) -> None:
        async for number in mailbox:
            print(number)

    runtime.spawn(watcher)
    print(look())


async def a_name_used_again(agent: AgentRef[object]) -> None:
    seen = ref([])
    print(seen)
    seen = 1
    await agent.send(seen)


async def an_element_of_it(agent: AgentRef[object]) -> None:
    names = ref(["a", "b"])
    await agent.send(names[0])


async def returned_to_the_caller() -> Ref[list[int]]:
    seen = ref([])
    return seen


async def kept_in_an_object(agent: AgentRef[Parcel]) -> None:
    parcel = Parcel(ref([]))
    print(parcel)
    await agent.send(Parcel(1))


async def a_function_of_it(agent: AgentRef[object]) -> None:
    seen = ref([])
    await agent.send(summary(seen))


def summary(seen: object) -> str:
    return repr(seen)


def sent_into_a_generator() -> None:
    def numbers():
        while True:
            print((yield))

    generator = numbers()
    next(generator)
    generator.send(ref([]))


def another_library(connection) -> None:
    from tracking import ref as make_ref

    connection.send(make_ref([]))


async def as_a_default(runtime: Runtime) -> None:
    seen = ref([1])
    runtime.spawn(lambda mailbox, own=seen: own.append(1))  # expect: RMD105


async def in_an_attribute_of_anything(agent: AgentRef[object], make) -> None:
    message = make()
    message.seen = ref([1])
    await agent.send(iso(message))  # expect: RMD105


async def in_an_attribute_of_something_else(agent: AgentRef[object], make) -> None:
    message = make()
    message.seen = ref([1])
    message = make()
    await agent.send(iso(message))
