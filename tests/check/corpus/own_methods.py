"""What the methods of a class, and functions of the file, move of the attributes of what they are given."""

import asyncio
from dataclasses import dataclass
from typing_extensions import override

from remuda import Agent, AgentRef, Iso, MailboxFull, consume, iso


@dataclass
class Job:
    rows: list


class Buffered(Agent[int]):
    def __init__(self, sink: AgentRef[list[int]], other: Agent[int]) -> None:
        self.sink = sink
        self.other = other
        self.buffer: list[int] = []
        self.spare = iso([])

    async def _flush(self) -> None:
        await self.sink.send(iso(self.buffer))

    async def _flush_and_renew(self) -> None:
        await self.sink.send(iso(self.buffer))
        self.buffer = []

    async def _flush_if(self, limit: int) -> None:
        if len(self.buffer) < limit:
            return
        await self.sink.send(iso(self.buffer))
        self.buffer = []

    async def _flush_sometimes(self, ready: bool) -> None:
        if ready:
            await self.sink.send(iso(self.buffer))

    async def _flush_deeper(self) -> None:
        await self._flush()

    async def _flush_and_log(self) -> None:
        await self._flush()
        print("flushed")
        self.buffer = []

    def _try_to_flush(self) -> bool:
        try:
            self.sink.send_nowait(iso(self.buffer))
        except MailboxFull:
            return False
        self.buffer = []
        return True

    async def _flush_copy(self) -> None:
        await self.sink.send(iso(list(self.buffer)))

    async def _renew_and_flush(self) -> None:
        self.buffer = []
        await self.sink.send(iso(self.buffer))

    async def _flush_local(self) -> None:
        buffer = iso([1])
        await self.sink.send(buffer)

    async def _flush_other(self, job: Job) -> None:
        await self.sink.send(iso(job.rows))

    async def _flush_after_rebinding(self, job: Job) -> None:
        job = Job([1])
        await self.sink.send(iso(job.rows))

    async def _flush_spare(self) -> None:
        await self.sink.send(self.spare)

    def _take_spare(self) -> Iso[list[int]]:
        return consume(self.spare)

    async def _flush_until_full(self) -> None:
        await self._flush_again()

    async def _flush_again(self) -> None:
        await self._flush_until_full()

    @staticmethod
    async def _flush_static(job: Job, sink: AgentRef[list[int]]) -> None:
        await sink.send(iso(job.rows))

    async def in_place(self) -> None:
        await self.sink.send(iso(self.buffer))
        self.buffer.append(1)  # expect: RMD103

    async def by_a_method(self) -> None:
        await self._flush()
        self.buffer.append(1)  # expect: RMD103

    async def by_a_method_only_read(self) -> None:
        await self._flush()
        print(len(self.buffer))  # expect: RMD103

    async def by_a_method_of_two_levels(self) -> None:
        await self._flush_deeper()
        self.buffer.append(1)  # expect: RMD103

    async def by_a_method_on_one_path(self, ready: bool) -> None:
        await self._flush_sometimes(ready)
        self.buffer.append(1)  # expect: RMD103

    async def by_a_method_after_making_it(self) -> None:
        await self._renew_and_flush()
        self.buffer.append(1)  # expect: RMD103

    async def by_a_method_of_a_spare(self) -> None:
        await self._flush_spare()
        self.spare.append(1)  # expect: RMD101

    async def by_a_method_that_consumes(self) -> None:
        taken = self._take_spare()
        self.spare.append(1)  # expect: RMD101
        print(taken)

    async def by_a_task(self) -> None:
        task = asyncio.create_task(self._flush())
        self.buffer.append(1)  # expect: RMD103
        await task

    async def in_a_loop(self, numbers: list[int]) -> None:
        for number in numbers:
            self.buffer.append(number)  # expect: RMD103
            if len(self.buffer) > 10:  # expect: RMD103
                await self._flush()

    async def of_a_parameter(self, job: Job) -> None:
        await self._flush_other(job)
        job.rows.append(1)  # expect: RMD103

    async def of_a_parameter_by_keyword(self, job: Job) -> None:
        await self._flush_other(job=job)
        job.rows.append(1)  # expect: RMD103

    async def under_another_name(self, job: Job) -> None:
        same = job
        await self._flush_other(same)
        same.rows.append(1)  # expect: RMD103

    async def then_made_anew(self) -> None:
        await self._flush()
        self.buffer = []
        self.buffer.append(1)

    async def then_cleared_elsewhere(self) -> None:
        await self._flush()
        self.reset()
        self.buffer.append(1)

    def reset(self) -> None:
        self.buffer = []
        self.spare = iso([])

    async def by_a_method_that_renews(self) -> None:
        await self._flush_and_renew()
        self.buffer.append(1)

    async def by_a_method_that_renews_where_it_moves(self) -> None:
        await self._flush_if(10)
        self.buffer.append(1)

    async def by_a_method_that_renews_what_another_moved(self) -> None:
        await self._flush_and_log()
        self.buffer.append(1)

    def by_a_method_that_may_fail(self) -> None:
        if not self._try_to_flush():
            print(self.buffer)
        self.buffer.append(1)

    async def by_a_method_that_copies(self) -> None:
        await self._flush_copy()
        self.buffer.append(1)

    async def by_a_method_of_its_own_local(self) -> None:
        await self._flush_local()
        self.buffer.append(1)

    async def of_another_job(self, job: Job) -> None:
        await self._flush_after_rebinding(job)
        job.rows.append(1)

    async def of_another_object(self) -> None:
        await self.other._flush()
        self.buffer.append(1)

    async def another_attribute(self) -> None:
        await self._flush_spare()
        self.buffer.append(1)

    async def by_a_static_method(self, job: Job) -> None:
        await self._flush_static(job, self.sink)
        self.buffer.append(1)

    async def that_call_each_other(self) -> None:
        await self._flush_until_full()
        self.buffer.append(1)

    async def before_the_move(self) -> None:
        self.buffer.append(1)
        await self._flush()

    async def the_method_itself(self) -> None:
        flush = self._flush
        self.buffer.append(1)
        await flush()

    async def refused(self) -> None:
        try:
            await self._flush()
        except MailboxFull:
            print(self.buffer)

    async def failed(self) -> None:
        try:
            await self._flush()
        except Exception:
            print(self.buffer)

    async def asked_whether_it_was_moved(self) -> None:
        await self.sink.send(self.spare)
        if self.spare.moved:
            self.spare = iso([])
        if self.spare is not None:
            print("there")

    async def by_a_callback(self, renew) -> None:
        await self.sink.send(iso(self.buffer))
        renew()
        self.buffer.append(1)

    async def renewed_by_a_function_within(self) -> None:
        def renew() -> None:
            self.buffer = []

        await self._flush()
        renew()
        self.buffer.append(1)

    async def part_of_a_moved_one(self) -> None:
        await self._flush_spare()
        print(self.spare[0])  # expect: RMD101


class Inherits(Buffered):
    async def by_a_method_above(self) -> None:
        await self._flush_and_renew()
        self.buffer.append(1)
        await self._flush_spare()
        self.spare.append(1)  # expect: RMD101

    async def by_the_one_above(self) -> None:
        await super()._flush_spare()
        self.reset()
        self.spare.append(1)


class Hook(Agent[int]):
    def __init__(self, sink: AgentRef[list[int]]) -> None:
        self.sink = sink
        self.buffer = iso([])

    async def deliver(self) -> None:
        await self.sink.send(self.buffer)

    async def run(self) -> None:
        await self.deliver()
        self.buffer.append(1)


class Hooked(Hook):
    @override
    async def deliver(self) -> None:
        await self.sink.send(self.buffer)
        self.buffer = iso([])


class Watched(Agent[int]):
    def __init__(self, sink: AgentRef[list[int]]) -> None:
        self.sink = sink
        self._buffer = iso([])

    @property
    def buffer(self) -> Iso[list[int]]:
        return iso([])

    async def anew_each_time(self) -> None:
        await self.sink.send(self.buffer)
        await self.sink.send(self.buffer)


async def deliver(job: Job, sink: AgentRef[list[int]]) -> None:
    await sink.send(iso(job.rows))


async def deliver_and_renew(job: Job, sink: AgentRef[list[int]]) -> None:
    await sink.send(iso(job.rows))
    job.rows = []


async def by_a_function(job: Job, sink: AgentRef[list[int]]) -> None:
    await deliver(job, sink)
    job.rows.append(1)  # expect: RMD103


async def by_a_function_of_a_part(batch, sink: AgentRef[list[int]]) -> None:
    await deliver(batch.job, sink)
    batch.job.rows.append(1)  # expect: RMD103


async def by_a_function_that_renews(job: Job, sink: AgentRef[list[int]]) -> None:
    await deliver_and_renew(job, sink)
    job.rows.append(1)


async def by_a_function_of_another(job: Job, other: Job, sink: AgentRef[list[int]]) -> None:
    await deliver(other, sink)
    job.rows.append(1)


async def then_another_job(job: Job, sink: AgentRef[list[int]]) -> None:
    await deliver(job, sink)
    job = Job([])
    job.rows.append(1)


async def under_two_names(job: Job, sink: AgentRef[list[int]]) -> None:
    same = job
    await sink.send(iso(job.rows))
    same.rows = []
    job.rows.append(1)


async def hand_over(agent: AgentRef[list[int]], numbers: Iso[list[int]]) -> None:
    await agent.send(numbers)


async def hand_over_and_log(agent: AgentRef[list[int]], numbers: Iso[list[int]], log) -> None:
    await agent.send(numbers)
    log("sent")


async def refused_in_a_function(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        await hand_over(agent, numbers)
    except MailboxFull:
        print(numbers)


async def failed_in_a_function(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        await hand_over(agent, numbers)
    except Exception:
        print(numbers)


async def failed_after_the_move_in_a_function(agent: AgentRef[list[int]], log) -> None:
    numbers = iso([1])
    try:
        await hand_over_and_log(agent, numbers, log)
    except Exception:
        print(numbers)  # expect: RMD101


async def refused_in_a_longer_function(agent: AgentRef[list[int]], log) -> None:
    numbers = iso([1])
    try:
        await hand_over_and_log(agent, numbers, log)
    except MailboxFull:
        print(numbers)


async def not_refused(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        await hand_over(agent, numbers)
    except MailboxFull:
        return
    print(numbers)  # expect: RMD101


def make() -> Iso[list[int]]:
    return iso([1])


async def load() -> Iso[list[int]]:
    return iso([1])


def plain() -> list[int]:
    return [1]


async def what_a_function_makes(agent: AgentRef[list[int]]) -> None:
    numbers = make()
    await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def what_a_coroutine_makes(agent: AgentRef[list[int]]) -> None:
    numbers = await load()
    await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def made_anew_by_a_call(agent: AgentRef[list[int]]) -> None:
    for _ in range(2):
        numbers = make()
        await agent.send(numbers)
    numbers = make()
    print(numbers)


async def a_list_that_a_function_makes(agent: AgentRef[list[int]]) -> None:
    await agent.send(plain())  # expect: RMD106


async def an_iso_of_what_a_function_makes(agent: AgentRef[list[int]]) -> None:
    await agent.send(iso(plain()))
    await agent.send(iso(plain()))
