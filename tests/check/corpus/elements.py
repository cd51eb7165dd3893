"""Elements that are written out, `table["rows"]` and `rows[0]`, and all of them, in a loop; names in classes."""

import asyncio

from remuda import AgentRef, Iso, MailboxFull, Message, iso


async def of_a_dict(agent: AgentRef[object], table) -> None:
    await agent.send(iso(table["rows"]))
    table["rows"].append(1)  # expect: RMD103


async def of_a_dict_that_is_written_here(agent: AgentRef[object]) -> None:
    table = {"rows": iso([1]), "more": iso([2])}
    await agent.send(table["rows"])
    print(table["more"])
    print(table["rows"])  # expect: RMD101


async def moved_under_another_name(agent: AgentRef[object]) -> None:
    rows = iso([1])
    table = {"rows": rows}
    await agent.send(rows)
    print(table["rows"])  # expect: RMD101


async def of_a_list(agent: AgentRef[object], rows: list[list[int]]) -> None:
    await agent.send(iso(rows[0]))
    rows[0].append(1)  # expect: RMD103


async def of_isos(agent: AgentRef[object], batches: list[Iso[list[int]]]) -> None:
    await agent.send(batches[0])
    print(batches[1])
    print(batches[0])  # expect: RMD101


async def of_an_attribute(agent: AgentRef[object], job) -> None:
    await agent.send(iso(job.tables["rows"]))
    job.tables["rows"] += [1]  # expect: RMD103


async def of_a_moved_one(agent: AgentRef[object]) -> None:
    table = iso({"rows": [1]})
    await agent.send(table)
    print(table["rows"])  # expect: RMD101


async def another_element(agent: AgentRef[object], table) -> None:
    await agent.send(iso(table["rows"]))
    table["more"].append(1)


async def given_another(agent: AgentRef[object], table) -> None:
    await agent.send(iso(table["rows"]))
    table["rows"] = []
    table["rows"].append(1)


async def taken_out(agent: AgentRef[object], rows: list[list[int]]) -> None:
    await agent.send(iso(rows[0]))
    rows.pop(0)
    rows[0].append(1)
    await agent.send(iso(rows[0]))
    del rows[0]
    rows[0].append(1)
    await agent.send(iso(rows[0]))
    rows.insert(0, [])
    rows[0].append(1)


async def taken_out_of_a_dict(agent: AgentRef[object], table, default: list[int]) -> None:
    await agent.send(iso(table["rows"]))
    table.update(rows=[])
    table["rows"].append(1)
    await agent.send(iso(table["rows"]))
    table.pop("rows")
    table.setdefault("rows", default)
    table["rows"].append(1)


async def by_another_key(agent: AgentRef[object], table, key: str) -> None:
    await agent.send(iso(table["rows"]))
    table[key] = []
    table["rows"].append(1)


async def from_the_other_end(agent: AgentRef[object], rows: list[list[int]]) -> None:
    await agent.send(iso(rows[0]))
    rows[-1] = []
    rows[0].append(1)


async def under_another_name(agent: AgentRef[object], load) -> None:
    table = {"rows": [1]}
    same = table
    await agent.send(iso(table["rows"]))
    same["rows"] = []
    table["rows"].append(1)


async def by_a_function(agent: AgentRef[object], table, refill) -> None:
    await agent.send(iso(table["rows"]))
    refill(table)
    table["rows"].append(1)


async def by_a_method(agent: AgentRef[object], table) -> None:
    await agent.send(iso(table["rows"]))
    table.refill()
    table["rows"].append(1)


async def by_an_imported_function(agent: AgentRef[object], table) -> None:
    await agent.send(iso(table["rows"]))
    await asyncio.to_thread(print, table)
    table["rows"].append(1)


async def of_the_next_one(agent: AgentRef[object], tables) -> None:
    for table in tables:
        await agent.send(iso(table["rows"]))
        table["rows"] = []
    for table in tables:
        table["rows"].append(1)
        await agent.send(iso(table["rows"]))


async def in_a_queue(agent: AgentRef[object], waiting: list[Iso[list[int]]]) -> None:
    while waiting:
        await agent.send(waiting[0])
        del waiting[0]


async def all_of_them(agent: AgentRef[object], batches: list[Iso[list[int]]]) -> None:
    for batch in batches:
        await agent.send(batch)
    print(batches[0])  # expect: RMD101


async def all_of_them_once_more(agent: AgentRef[object], batches: list[Iso[list[int]]]) -> None:
    for batch in batches:
        await agent.send(batch)
    for batch in batches:
        print(batch)  # expect: RMD101


async def all_arguments(agent: AgentRef[object], *args: Iso[list[int]]) -> None:
    for batch in args:
        await agent.send(batch)
    print(args[0])  # expect: RMD101


async def all_of_their_content(agent: AgentRef[object], rows: list[list[int]]) -> None:
    for row in rows:
        await agent.send(iso(row))
    rows[0].append(1)  # expect: RMD103


async def all_that_are_written_here(agent: AgentRef[object]) -> None:
    first, second = iso([1]), iso([2])
    for batch in (first, second):
        await agent.send(batch)
    print(first)  # expect: RMD101


async def all_that_were_made_here(agent: AgentRef[object]) -> None:
    batches = [iso([]) for _ in range(3)]
    for batch in batches:
        await agent.send(batch)
    for batch in batches:
        batch.append(1)  # expect: RMD101


async def only_counted(agent: AgentRef[object], batches: list[Iso[list[int]]]) -> None:
    for batch in batches:
        await agent.send(batch)
    print(len(batches))
    batches.clear()


async def filled_again(agent: AgentRef[object], batches: list[Iso[list[int]]]) -> None:
    for batch in batches:
        await agent.send(batch)
    batches.clear()
    batches.append(iso([]))
    print(batches[0])


async def filled_by_a_function(agent: AgentRef[object], batches: list[Iso[list[int]]], fill) -> None:
    for batch in batches:
        await agent.send(batch)
    fill(batches)
    for batch in batches:
        print(batch)


async def only_some(agent: AgentRef[object], batches: list[Iso[list[int]]]) -> None:
    for batch in batches:
        if len(batch) > 10:
            await agent.send(batch)
    for batch in batches:
        print(batch.moved)


async def only_the_first(agent: AgentRef[object], batches: list[Iso[list[int]]]) -> None:
    for batch in batches:
        await agent.send(batch)
        break
    print(batches[1])


async def those_that_fit(agent: AgentRef[object], batches: list[Iso[list[int]]]) -> None:
    kept = []
    for batch in batches:
        try:
            agent.send_nowait(batch)
        except MailboxFull:
            kept.append(batch)
    print(kept)


async def made_anew_in_the_loop(agent: AgentRef[object], batches: list[Iso[list[int]]]) -> None:
    for index, _ in enumerate(batches):
        await agent.send(batches[index])
        batches[index] = iso([])
    print(batches[0])


async def copies_of_all(agent: AgentRef[object], rows: list[list[int]]) -> None:
    for row in rows:
        await agent.send(iso(list(row)))
    rows[0].append(1)


async def of_each_turn(agent: AgentRef[object], load) -> None:
    while batches := load():
        for batch in batches:
            await agent.send(iso(batch))


async def all_messages(agent: AgentRef[object], mailbox) -> None:
    async for message in mailbox:
        await agent.send(message)
    async for message in mailbox:
        print(message)


async def the_same_list_each_time(agent: AgentRef[object], rows: list[list[int]]) -> None:
    for row in rows:
        row.append(1)
        await agent.send(iso(row))


async def in_a_class(agent: AgentRef[object]) -> None:
    numbers = iso([1])

    class Inner:
        rows = numbers

    await agent.send(numbers)
    print(Inner.rows)  # expect: RMD101


async def in_a_class_given_another(agent: AgentRef[object]) -> None:
    numbers = iso([1])

    class Inner:
        rows = numbers

    Inner.rows = iso([])
    await agent.send(numbers)
    print(Inner.rows)


async def payload_and_header(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    await agent.send(Message(numbers, headers={"numbers": numbers}))  # expect: RMD108


async def payload_and_another_header(agent: AgentRef[object]) -> None:
    numbers = iso([1])
    names = ["one"]
    await agent.send(Message(numbers, headers={"names": tuple(names), "count": len(numbers)}))
    print(names)


async def headers_of_their_own(agent: AgentRef[object]) -> None:
    names = ["one"]
    await agent.send(Message("numbers", headers={"names": names}))
    await agent.send(Message(payload=1, headers={"names": names}, priority=1))
