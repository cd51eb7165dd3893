"""What is taken out of objects, in programs that are right: parts that are replaced, copied, renewed or just numbers."""

from dataclasses import dataclass

from remuda import Agent, AgentRef, Iso, Mailbox, MailboxFull, iso, swap


@dataclass
class Job:
    name: str
    rows: list


class Batcher(Agent[int]):
    def __init__(self, sink: AgentRef[list[int]]) -> None:
        self.sink = sink
        self.buffer = iso([])

    async def flush(self) -> None:
        await self.sink.send(self.buffer)

    async def flush_and_go_on(self) -> None:
        await self.flush()
        self.buffer.append(1)  # expect: RMD101

    async def flush_and_renew(self) -> None:
        await self.flush()
        self.buffer = iso([])
        self.buffer.append(1)


async def in_groups(agents: dict[str, AgentRef[list[int]]], rows) -> None:
    groups: dict[str, list[int]] = {}
    for key, group in groups.items():
        await agents[key].send(iso(group))
        groups[key] = []
    for key in list(groups):
        groups[key].append(rows)


async def in_halves(agent: AgentRef[object], rows: list[list[int]]) -> None:
    left, right = rows[:2], rows[2:]
    await agent.send(iso(left))
    right.append([1])
    await agent.send(iso(right))


async def in_pieces(agent: AgentRef[object], rows: list[int]) -> None:
    for start in range(0, len(rows), 10):
        await agent.send(iso(rows[start : start + 10]))
    rows.append(1)


async def replaced_before(agent: AgentRef[object]) -> None:
    job = Job("one", [])
    rows = job.rows
    job.rows = []
    await agent.send(iso(job))
    rows.append(1)


async def of_another_object(agent: AgentRef[object]) -> None:
    job = Job("one", [])
    rows = job.rows
    job = Job("two", [])
    await agent.send(iso(job))
    rows.append(1)


async def swapped_out(agent: AgentRef[object], load) -> None:
    own = iso(load())
    rows = swap(own, "rows", [])
    await agent.send(own)
    rows.append(1)


async def copied_out(agent: AgentRef[object], rows: list[int]) -> None:
    own = iso(rows)
    one, two = list(own), own.copy()
    await agent.send(own)
    one.append(1)
    two.append(1)


async def still_there_when_the_send_failed(agent: AgentRef[object], load) -> None:
    own = iso(load())
    first = own[0]
    try:
        agent.send_nowait(own)
    except MailboxFull:
        first.append(1)


async def replaced_in_the_list(agent: AgentRef[object], rows: list[list[int]]) -> None:
    for position, row in enumerate(rows):
        rows[position] = []
        await agent.send(iso(row))
        rows[position].append(1)


async def names_of_what_was_sent(agent: AgentRef[object], jobs: list[Job]) -> None:
    seen = {}
    for job in jobs:
        seen[job.name] = len(job.rows)
        await agent.send(iso(job))
        seen["last"] = 1


async def changed_while_owned(agent: AgentRef[object], mailbox: Mailbox[Iso[Job]]) -> None:
    async for job in mailbox:
        rows = job.rows
        rows.append(1)
        await agent.send(job)


async def renewed_after_the_loop(agent: AgentRef[object], table) -> None:
    own = iso(table)
    last = None
    for row in own:
        last = row
        last.append(1)
    await agent.send(own)
    last = []
    last.append(1)


async def the_rest_of_a_list(agent: AgentRef[object], rows: list[int]) -> None:
    head, *tail = rows
    await agent.send((head, *tail))
    await agent.send(iso(rows))
    tail.append(head)
