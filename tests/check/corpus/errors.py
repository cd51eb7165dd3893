"""Exceptions: a send that fails hands its message back; what comes after a send does not."""

import asyncio
import contextlib

import pytest

from remuda import AgentRef, MailboxClosed, MailboxFull, iso
from remuda.errors import AskTimeout, CapabilityError, MovedError, SendError


async def used_after_the_handler(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        agent.send_nowait(numbers)
    except MailboxFull:
        print("full")
    print(numbers)  # expect: RMD101


async def used_in_the_else(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        agent.send_nowait(numbers)
    except MailboxFull:
        pass
    else:
        print(numbers)  # expect: RMD101


async def used_in_the_finally(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        await agent.send(numbers)
    finally:
        print(numbers)  # expect: RMD101


async def a_later_call_raises(agent: AgentRef[list[int]], log) -> None:
    numbers = iso([1])
    try:
        agent.send_nowait(numbers)
        log()
    except ValueError:
        print(numbers)  # expect: RMD101


async def the_answer_does_not_come(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        await agent.ask(numbers, timeout=1.0)
    except AskTimeout:
        print(numbers)  # expect: RMD101


async def the_second_send_fails(agent: AgentRef[list[int]], other: AgentRef[list[int]]) -> None:
    first, second = iso([1]), iso([2])
    try:
        agent.send_nowait(first)
        other.send_nowait(second)
    except MailboxFull:
        print(first)  # expect: RMD101


async def suppressed(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    with contextlib.suppress(MailboxFull):
        agent.send_nowait(numbers)
    print(numbers)  # expect: RMD101


async def moved_in_the_handler(agent: AgentRef[list[int]], other: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        agent.send_nowait(numbers)
    except MailboxFull:
        other.send_nowait(numbers)
        print(numbers)  # expect: RMD101


async def moved_in_the_finally(agent: AgentRef[list[int]], work) -> None:
    numbers = iso([1])
    try:
        work()
    finally:
        await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def moved_before_the_try(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    agent.send_nowait(numbers)
    try:
        print("sent")
    except MailboxFull:
        print(numbers)  # expect: RMD101


async def gathered_with_another(agent: AgentRef[list[int]], other: AgentRef[list[int]]) -> None:
    first, second = iso([1]), iso([2])
    try:
        await asyncio.gather(agent.send(first), other.send(second))
    except Exception:
        print(first)  # expect: RMD101


async def moved_in_a_group(agent: AgentRef[list[int]], work) -> None:
    numbers = iso([1])
    try:
        agent.send_nowait(numbers)
        await work()
    except* ValueError:
        print(numbers)  # expect: RMD101


async def finally_after_return(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    try:
        if ready:
            await agent.send(numbers)
            return
    finally:
        print("done", numbers)  # expect: RMD101
    numbers.append(1)


async def in_the_exit_of_a_block(agent: AgentRef[list[int]], lock) -> None:
    numbers = iso([1])
    async with lock:
        await agent.send(numbers)
    print(numbers)  # expect: RMD101


async def what_was_handed_back_is_the_same(
    agent: AgentRef[list[int]], other: AgentRef[list[int]]
) -> None:
    numbers = iso([1])
    try:
        agent.send_nowait(numbers)
    except MailboxFull as error:
        other.send_nowait(error.message)
        print(numbers)  # missed: RMD101: the message in an exception is not followed


async def back_when_full(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        agent.send_nowait(numbers)
    except MailboxFull:
        numbers.append(2)


async def back_when_closed(agent: AgentRef[list[int]], other: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        await agent.send(numbers)
    except (MailboxFull, MailboxClosed):
        await other.send(numbers)


async def back_by_the_base_class(agent: AgentRef[list[int]], other: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        await agent.send(numbers)
        print("sent")
    except SendError:
        await other.send(numbers)


async def back_although_something_follows(agent: AgentRef[list[int]], log) -> None:
    numbers = iso([1])
    try:
        agent.send_nowait(numbers)
        log("sent")
    except MailboxFull:
        log(numbers)


async def back_when_an_ask_is_refused(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        await agent.ask(numbers, timeout=1.0)
    except MailboxClosed:
        print(numbers)


async def back_when_cancelled(agent: AgentRef[list[int]], journal) -> None:
    numbers = iso([1])
    try:
        await agent.send(numbers)
    except asyncio.CancelledError:
        journal.append(len(numbers))
        raise


async def back_when_time_is_up(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        async with asyncio.timeout(1.0):
            await agent.send(numbers)
    except TimeoutError:
        print(numbers)


async def back_when_waited_for(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    try:
        await asyncio.wait_for(agent.send(numbers), 1.0)
    except TimeoutError:
        print(numbers)


async def one_after_the_other(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1])
    try:
        agents[0].send_nowait(numbers)
    except MailboxFull:
        try:
            agents[1].send_nowait(numbers)
        except MailboxFull:
            print("nobody took", numbers)


async def remade_in_the_handler(agent: AgentRef[list[int]], log) -> None:
    numbers = iso([1])
    try:
        agent.send_nowait(numbers)
        log()
    except Exception:
        numbers = iso([2])
        agent.send_nowait(numbers)


async def the_handler_returns(agent: AgentRef[list[int]], load) -> None:
    try:
        numbers = iso(load())
    except OSError:
        return
    await agent.send(numbers)


async def raised_before_the_move(agent: AgentRef[list[int]], check) -> None:
    numbers = iso([1])
    try:
        check(numbers)
    except ValueError:
        numbers.clear()
    await agent.send(numbers)


async def finally_does_something_else(agent: AgentRef[list[int]], lock) -> None:
    numbers = iso([1])
    await lock.acquire()
    try:
        await agent.send(numbers)
    finally:
        lock.release()


async def return_goes_through_the_finally(agent: AgentRef[list[int]], ready: bool, log) -> None:
    numbers = iso([1])
    try:
        if ready:
            await agent.send(numbers)
            return
    finally:
        log("done")
    numbers.append(1)


async def break_goes_through_the_finally(agents: list[AgentRef[list[int]]], log) -> None:
    numbers = iso([1])
    for agent in agents:
        try:
            if agent.depth == 0:
                agent.send_nowait(numbers)
                break
        finally:
            log("looked at", agent)
    else:
        numbers.append(1)


def a_test_of_the_move(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    agent.send_nowait(numbers)
    with pytest.raises(MovedError):
        numbers.append(2)


def a_test_of_a_full_mailbox(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    with pytest.raises(MailboxFull):
        agent.send_nowait(numbers)
    numbers.append(2)


def a_test_of_any_refusal(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    agent.send_nowait(numbers)
    with pytest.raises(CapabilityError, match="moved"):
        agent.send_nowait(numbers)


async def asks_whether_it_was_moved(agent: AgentRef[list[int]], ready: bool) -> None:
    numbers = iso([1])
    if ready:
        await agent.send(numbers)
    try:
        print(numbers)
    except MovedError:
        print("gone")


async def suppressed_and_made_anew(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    with contextlib.suppress(MailboxFull):
        agent.send_nowait(numbers)
    numbers = iso([2])
    print(numbers)


async def refused_through_a_finally(agent: AgentRef[list[int]], closed) -> None:
    numbers = iso([1])
    try:
        try:
            agent.send_nowait(numbers)
        finally:
            closed()
    except MailboxFull:
        print(numbers)
        agent.send_nowait(numbers)
        print(numbers)  # expect: RMD101


async def refused_and_raised_again(agent: AgentRef[list[int]], log) -> None:
    numbers = iso([1])
    try:
        try:
            agent.send_nowait(numbers)
        except MailboxFull:
            log(numbers)
            raise
    except MailboxFull:
        agent.send_nowait(numbers)
        log(numbers)  # expect: RMD101


async def refused_and_handled_within(agent: AgentRef[list[int]], other: AgentRef[list[int]]) -> None:
    first, second = iso([1]), iso([2])
    try:
        try:
            agent.send_nowait(first)
            other.send_nowait(second)
        except MailboxFull:
            first = iso([3])
        else:
            return
        await agent.send(first)
    except MailboxFull:
        print("only the last one, so the first is as it was", first)


async def made_anew_between_two_sends(
    agent: AgentRef[list[int]], first: list[int], more
) -> None:
    numbers, others = iso([1]), iso([2])
    while more():
        try:
            agent.send_nowait(numbers)
            numbers = iso([])
            agent.send_nowait(others)
            others = iso([])
        finally:
            print(numbers, others, first)
