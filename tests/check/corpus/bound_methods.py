"""`send = agent.send`: methods under names of their own."""

from remuda import AgentRef, MailboxFull, Request, channel, iso, ref


async def moved(agent: AgentRef[list[int]]) -> None:
    send = agent.send
    numbers = iso([1])
    await send(numbers)
    print(numbers)  # expect: RMD101


async def moved_in_a_loop(agent: AgentRef[list[int]], rows: list[int]) -> None:
    send = agent.send_nowait
    numbers = iso([1])
    for _ in rows:
        send(numbers)  # expect: RMD102


async def its_content(agent: AgentRef[list[int]]) -> None:
    send = agent.send
    numbers = [1]
    await send(iso(numbers))
    numbers.append(1)  # expect: RMD103


async def bare(agent: AgentRef[list[int]]) -> None:
    send = agent.send
    await send([1])  # expect: RMD106


async def of_the_wrong_type(agent: AgentRef[int]) -> None:
    send = agent.send
    await send("one")  # expect: RMD107


async def into_a_channel() -> None:
    tx, _ = channel(1)
    put = tx.send
    numbers = iso([1])
    await put(numbers)
    print(numbers)  # expect: RMD101


async def as_an_answer(request: Request[str, list[int]]) -> None:
    answer = request.reply
    numbers = iso([1])
    answer(numbers)
    print(numbers)  # expect: RMD101


async def under_a_second_name(agent: AgentRef[list[int]]) -> None:
    send = agent.send
    put = send
    numbers = iso([1])
    await put(numbers)
    print(numbers)  # expect: RMD101


async def a_ref(agent: AgentRef[object]) -> None:
    send = agent.send
    await send(ref([1]))  # expect: RMD105


async def made_anew(agent: AgentRef[list[int]], rows: list[int]) -> None:
    send = agent.send
    for row in rows:
        numbers = iso([row])
        await send(numbers)
    numbers = iso([])
    print(numbers)


async def refused(agent: AgentRef[list[int]]) -> None:
    send = agent.send_nowait
    numbers = iso([1])
    try:
        send(numbers)
    except MailboxFull:
        print(numbers)


def to_a_generator(lines) -> None:
    def collect():
        while True:
            print((yield))

    send = collect().send
    send(None)
    rows = [1]
    send(rows)
    rows.append(1)


async def something_else_by_then(agent: AgentRef[list[int]], write) -> None:
    send = agent.send
    numbers = iso([1])
    send = write
    send(numbers)
    print(numbers)


async def one_of_two(agent: AgentRef[list[int]], write, ready: bool) -> None:
    send = agent.send_nowait if ready else write
    numbers = iso([1])
    send(numbers)
    print(numbers)


async def not_called(agent: AgentRef[list[int]]) -> None:
    send = agent.send
    numbers = iso([1])
    print(send, numbers)


async def an_attribute_of_that_name(agent: AgentRef[list[int]], form) -> None:
    form.send = True
    reply = form.reply
    print(reply, len(reply))
    numbers = iso([1])
    await agent.send(numbers)
