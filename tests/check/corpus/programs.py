"""Longer pieces, as programs have them."""

import asyncio
import contextlib
import logging
from collections import defaultdict, deque
from dataclasses import dataclass, field

import remuda
from remuda import (
    Agent,
    AgentRef,
    Iso,
    Mailbox,
    MailboxClosed,
    MailboxFull,
    Request,
    Runtime,
    Val,
    channel,
    consume,
    freeze,
    iso,
    ref,
    val,
)

log = logging.getLogger(__name__)


@dataclass
class Batch:
    name: str
    rows: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    name: str
    total: int


async def flush_at_the_end(mailbox: Mailbox[int], sink: AgentRef[list[int]]) -> int:
    sent = 0
    batch = iso([])
    try:
        async for number in mailbox:
            batch.append(number)
            if len(batch) >= 100:
                await sink.send(batch)
                sent += 1
                batch = iso([])
    finally:
        if batch:
            await sink.send(batch)
    return sent


async def retry_with_backoff(sink: AgentRef[list[int]], numbers: Iso[list[int]]) -> bool:
    delay = 0.1
    for attempt in range(5):
        try:
            sink.send_nowait(numbers)
        except MailboxFull:
            log.info("attempt %d: full, %d numbers kept", attempt, len(numbers))
            await asyncio.sleep(delay)
            delay *= 2
        except MailboxClosed:
            log.warning("nobody takes %r", numbers)
            return False
        else:
            return True
    return False


async def fall_back(
    first: AgentRef[list[int]], second: AgentRef[list[int]], numbers: Iso[list[int]]
) -> None:
    try:
        await first.send(numbers)
        return
    except MailboxClosed:
        log.info("the first one is gone")
    try:
        await second.send(numbers)
    except MailboxClosed:
        log.error("lost %d numbers", len(numbers))
        raise


async def fall_back_without_return(
    first: AgentRef[list[int]], second: AgentRef[list[int]], numbers: Iso[list[int]]
) -> None:
    try:
        await first.send(numbers)
    except MailboxClosed:
        log.info("the first one is gone")
    await second.send(numbers)  # expect: RMD101


class Aggregator(Agent[int]):
    def __init__(self, sinks: list[AgentRef[dict[str, int]]]) -> None:
        self.sinks = deque(sinks)
        self.table = iso({})
        self.seen = ref(defaultdict(int))

    def receive(self, message: int) -> int:
        self.seen[message] += 1
        self.table[str(message)] = message
        if len(self.table) < 10:
            return len(self.table)
        sink = self.sinks[0]
        self.sinks.rotate(1)
        full, self.table = self.table, iso({})
        sink.send_nowait(full)
        return len(self.table)

    def lose(self) -> int:
        self.sinks[0].send_nowait(self.table)
        return len(self.table)  # expect: RMD101

    def hand_over(self) -> None:
        table = consume(self.table)
        self.table = iso({})
        self.sinks[0].send_nowait(table)
        self.table.clear()


async def pipeline(source: list[int]) -> list[int]:
    tx, rx = channel(10)

    async def produce() -> None:
        for number in source:
            await tx.send(iso([number]))
        tx.close()

    async def gather() -> list[int]:
        found = []
        async for numbers in rx:
            found.extend(numbers)
        return found

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        task = group.create_task(gather())
    return task.result()


async def fan_out_and_gather(runtime: Runtime, rows: list[list[int]]) -> int:
    async def total(mailbox: Mailbox[Request[list[int], int]]) -> None:
        async for request in mailbox:
            request.reply(sum(request.message))

    workers = [runtime.spawn(total) for _ in range(4)]
    asks = [workers[place % 4].ask(iso(list(row))) for place, row in enumerate(rows)]
    return sum(await asyncio.gather(*asks)) + len(rows)


async def fan_out_the_same(workers: list[AgentRef[list[int]]], row: list[int]) -> list[int]:
    shared = iso(row)
    return await asyncio.gather(*[worker.ask(shared) for worker in workers])  # expect: RMD102


async def settings_for_all(runtime: Runtime, behaviour, settings: dict[str, int]) -> None:
    shared = freeze(settings)
    for number in range(10):
        runtime.spawn(behaviour, number, shared)
    settings["changed"] = 1
    log.info("started with %s", shared)


async def settings_changed_too_late(runtime: Runtime, behaviour, settings) -> None:
    shared = val(settings)
    runtime.spawn(behaviour, shared)
    settings["changed"] = 1  # expect: RMD104


async def a_result_for_each_batch(mailbox: Mailbox[Batch], sink: AgentRef[Result]) -> None:
    async for batch in mailbox:
        batch.rows.sort()
        total = sum(batch.rows)
        await sink.send(Result(batch.name, total))
        batch.rows.clear()


async def passes_the_batch_on(mailbox: Mailbox[Batch], sink: AgentRef[Batch]) -> None:
    async for batch in mailbox:
        batch.rows.append(0)
        await sink.send(iso(batch))
        log.info("passed on %s", batch.name)  # expect: RMD103


async def passes_on_and_tells(mailbox: Mailbox[Batch], sink: AgentRef[Batch]) -> None:
    async for batch in mailbox:
        name = batch.name
        await sink.send(iso(batch))
        log.info("passed on %s", name)


async def commands(mailbox: Mailbox[object], sink: AgentRef[list[int]]) -> list[int]:
    stock = iso([])
    while True:
        match await mailbox.recv():
            case ("add", int(number)):
                stock.append(number)
            case "ship":
                await sink.send(stock)
                stock = iso([])
            case "stop":
                break
            case "count":
                log.info("%d in stock", len(stock))
            case _:
                continue
    return stock


async def commands_that_forget(mailbox: Mailbox[object], sink: AgentRef[list[int]]) -> None:
    stock = iso([])
    while True:
        match await mailbox.recv():
            case ("add", int(number)):
                stock.append(number)  # expect: RMD101
            case "ship":
                await sink.send(stock)  # expect: RMD102
            case _:
                return


async def with_a_time_limit(agent: AgentRef[list[int]], numbers: Iso[list[int]]) -> None:
    try:
        async with asyncio.timeout(1):
            await agent.send(numbers)
            return
    except TimeoutError:
        numbers.clear()
    await agent.send(numbers)


async def locked(agent: AgentRef[list[int]], lock: asyncio.Lock, pending: dict[str, int]) -> None:
    async with lock:
        numbers = iso(list(pending.values()))
        pending.clear()
    await agent.send(numbers)
    async with lock:
        pending["sent"] = 1


async def two_ends(agent: AgentRef[list[int]], ready: asyncio.Event) -> None:
    numbers = iso([1])
    while not ready.is_set():
        numbers.append(0)
        try:
            await asyncio.wait_for(ready.wait(), 1)
        except TimeoutError:
            continue
    await agent.send(numbers)


async def first_of_several(agents: list[AgentRef[list[int]]]) -> AgentRef[list[int]] | None:
    numbers = iso([1])
    chosen = next((agent for agent in agents if agent.depth == 0), None)
    if chosen is None:
        numbers.clear()
        return None
    await chosen.send(numbers)
    return chosen


async def each_in_turn(agents: list[AgentRef[list[int]]], rows: list[list[int]]) -> None:
    for agent, row in zip(agents, rows, strict=True):
        numbers = iso(list(row))
        await agent.send(numbers)
    for row in rows:
        row.clear()


async def not_in_turn(agents: list[AgentRef[list[int]]], row: list[int]) -> None:
    handles = [iso(row) for _ in agents]
    for agent, handle in zip(agents, handles, strict=True):
        await agent.send(handle)  # missed: RMD108: two handles of one object, made in a comprehension, are not told apart


async def nested_finally(agent: AgentRef[list[int]], opened, closed) -> None:
    numbers = iso([1])
    try:
        try:
            opened()
            await agent.send(numbers)
        finally:
            closed("inner")
    finally:
        closed("outer")


async def nested_finally_with_use(agent: AgentRef[list[int]], opened, closed) -> None:
    numbers = iso([1])
    try:
        try:
            opened()
        finally:
            await agent.send(numbers)
    finally:
        closed(numbers)  # expect: RMD101


async def restart(agent: AgentRef[list[int]], make, errors: list[Exception]) -> None:
    while len(errors) < 3:
        numbers = iso([0])
        try:
            make(numbers)
            await agent.send(numbers)
        except ValueError as error:
            errors.append(error)
        else:
            break


async def stop_when_full(agent: AgentRef[list[int]], rows: list[int]) -> list[int]:
    for position, row in enumerate(rows):
        numbers = iso([row])
        with contextlib.suppress(MailboxFull):
            agent.send_nowait(numbers)
            continue
        return rows[position:]
    return []


async def keep_what_was_refused(agent: AgentRef[list[int]], rows: list[int]) -> None:
    refused = []
    for row in rows:
        numbers = iso([row])
        try:
            agent.send_nowait(numbers)
        except MailboxFull:
            refused.append(numbers)
    for numbers in refused:
        await agent.send(numbers)


async def generator_of_batches(source: list[int]):
    batch = iso([])
    for number in source:
        batch.append(number)
        if len(batch) == 10:
            yield batch
            batch = iso([])
    yield batch


async def drain(agent: AgentRef[list[int]], source: list[int]) -> None:
    async for batch in generator_of_batches(source):
        await agent.send(batch)


class Cache(Agent[str]):
    limits: Val[dict[str, int]]

    def __init__(self, limits: Val[dict[str, int]]) -> None:
        self.limits = limits
        self.entries: dict[str, int] = {}

    def receive(self, message: str) -> int:
        self.entries[message] = self.limits.get(message, 0)
        return self.entries[message]

    def relax(self) -> None:
        self.limits["all"] = 0  # expect: RMD104

    def replace(self, limits: Val[dict[str, int]]) -> None:
        self.limits = limits
        self.entries.clear()


class Server(Agent[bytes]):
    def __init__(self, peers: dict[str, AgentRef[bytes]]) -> None:
        self.peers = peers
        self.buffer = bytearray()

    async def receive(self, message: bytes) -> None:
        self.buffer += message
        if len(self.buffer) > 1000:
            for peer in self.peers.values():
                await peer.send(bytes(self.buffer))
            self.buffer.clear()

    async def leak(self) -> None:
        for peer in self.peers.values():
            await peer.send(bytearray(10))  # expect: RMD106,RMD107


def made_by_a_helper() -> Iso[list[int]]:
    numbers = iso([])
    numbers.append(1)
    return numbers


async def helpers_result(agent: AgentRef[list[int]]) -> None:
    numbers = made_by_a_helper()
    await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def annotated_result(agent: AgentRef[list[int]]) -> None:
    numbers: Iso[list[int]] = made_by_a_helper()
    await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def ternary_agents(left: AgentRef[list[int]], right: AgentRef[list[int]], odd: bool) -> None:
    numbers = iso([1])
    target = left if odd else right
    await target.send(numbers)
    numbers = iso([2])
    await (right if odd else left).send(numbers)


async def counted(agent: AgentRef[list[int]], times: int) -> None:
    while times:
        times -= 1
        if times % 2:
            continue
        numbers = iso([times])
        await agent.send(numbers)


async def a_queue_of_isos(agent: AgentRef[list[int]], queue: asyncio.Queue[Iso[list[int]]]) -> None:
    while not queue.empty():
        numbers = await queue.get()
        await agent.send(numbers)
        queue.task_done()


async def global_settings(agent: AgentRef[object]) -> None:
    await agent.send(SETTINGS)
    await agent.send(LIMIT)
    print(SETTINGS)


SETTINGS = val((1, 2))
LIMIT = 10
TABLE = ref({})


async def global_table(agent: AgentRef[object]) -> None:
    await agent.send(TABLE)  # expect: RMD105


async def ask_and_use_the_answer(agent: AgentRef[Request[list[int], list[int]]]) -> list[int]:
    numbers = iso([3, 1])
    numbers = await agent.ask(numbers)
    numbers.append(4)
    return numbers


async def same_name_in_a_with(agent: AgentRef[list[int]], pool) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    async with pool.acquire() as numbers:
        numbers.append(1)


async def same_name_in_a_handler(agent: AgentRef[list[int]], work) -> None:
    error = iso([1])
    await agent.send(error)
    try:
        work()
    except ValueError as error:
        print(error)


async def same_name_in_an_import(agent: AgentRef[list[int]]) -> None:
    json = iso([1])
    await agent.send(json)
    import json

    print(json.dumps([]))


async def same_name_in_a_definition(agent: AgentRef[list[int]]) -> None:
    handler = iso([1])
    await agent.send(handler)

    def handler() -> None: ...

    handler()


async def same_name_in_a_pattern(agent: AgentRef[list[int]], command) -> None:
    rest = iso([1])
    await agent.send(rest)
    match command:
        case [_, *rest]:
            print(rest)
        case {"key": 1, **rest}:
            print(rest)


async def a_loop_variable(agents: list[AgentRef[list[int]]], made) -> None:
    for numbers in [iso([1]), iso([2])]:
        await agents[0].send(numbers)
    for numbers in made:
        print(numbers)


async def a_loop_variable_after_the_loop(agent: AgentRef[list[int]]) -> None:
    for numbers in [iso([1]), iso([2])]:
        await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def main() -> None:
    async with remuda.Runtime() as runtime:
        sink = runtime.spawn(a_result_for_each_batch, None)
        for name in ("a", "b"):
            await sink.send(iso(Batch(name)))
        await sink.stop()
