"""Whole processes: Ctrl-C, errors, and exits with agents alive end cleanly, with nothing odd on stderr."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

SETUP = """
import asyncio, atexit, gc, signal, sys, threading
import remuda

# A shell starts what it runs in the background with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def idle(mailbox):
    async for message in mailbox:
        pass

async def busy(mailbox):
    while True:
        mailbox.me.send_nowait(1)
        await mailbox.recv()

async def tidy(mailbox):
    try:
        async for message in mailbox:
            pass
    finally:
        print("tidy", flush=True)
"""

FATAL = ("Fatal", "Segmentation", "Exception ignored", "panicked", "Aborted", "never retrieved")


def run(program: str, *, interrupts: int = 0) -> tuple[int, str, str]:
    """Runs a program to its end; sends it SIGINT each time it prints "ready"."""
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", SETUP + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A program that hangs says where.
    watchdog = threading.Timer(30, process.send_signal, (signal.SIGABRT,))
    watchdog.start()
    printed = []
    for line in _lines(process):
        printed.append(line)
        if line == "ready" and interrupts:
            interrupts -= 1
            process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    watchdog.cancel()
    for text in FATAL:
        assert text not in errors, errors
    return process.returncode, "\n".join(printed), errors


def _lines(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.strip()


@pytest.mark.parametrize("behaviour", ["idle", "busy", "tidy"])
def test_ctrl_c_ends_a_swarm(behaviour: str) -> None:
    """Ctrl-C in a block with idle or busy agents cancels them, and the program ends as asyncio programs do."""
    code, printed, errors = run(
        f"""
        async def main():
            async with remuda.Runtime() as runtime:
                agents = [runtime.spawn({behaviour}) for _ in range(20)]
                await asyncio.sleep(0.01)
                print("ready", flush=True)
                await asyncio.Event().wait()
        remuda.run(main())
        """,
        interrupts=1,
    )
    assert code in (1, -signal.SIGINT, 130)
    assert "KeyboardInterrupt" in errors
    if behaviour == "tidy":
        assert printed.count("tidy") == 20


def test_a_second_ctrl_c_does_not_crash() -> None:
    """Ctrl-C again, while agents refuse to end, still ends the program without a fatal error."""
    code, _, errors = run(
        """
        async def stubborn(mailbox):
            while True:
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    print("ready", flush=True)

        async def main():
            async with remuda.Runtime() as runtime:
                agent = runtime.spawn(stubborn)
                await asyncio.sleep(0.01)
                print("ready", flush=True)
                await asyncio.Event().wait()
        remuda.run(main())
        """,
        interrupts=2,
    )
    assert code != 0
    assert "KeyboardInterrupt" in errors


def test_an_error_in_main_ends_the_program() -> None:
    """An exception in the block is what the program ends with; agents are cancelled."""
    code, printed, errors = run(
        """
        async def main():
            async with remuda.Runtime() as runtime:
                agents = [runtime.spawn(tidy), runtime.spawn(busy)]
                await asyncio.sleep(0.01)
                raise ValueError("on purpose")
        remuda.run(main())
        """
    )
    assert code == 1
    assert printed == "tidy"
    assert "ValueError: on purpose" in errors


@pytest.mark.parametrize("kept", ["agents = ", "global agents; agents = ", ""])
def test_a_runtime_that_is_never_stopped(kept: str) -> None:
    """A program that forgets to stop its runtime ends; a ResourceWarning says what was forgotten."""
    code, _, errors = run(
        f"""
        import warnings
        warnings.simplefilter("always", ResourceWarning)
        async def main():
            runtime = await remuda.Runtime().start()
            {kept}[runtime.spawn(idle) for _ in range(5)] + [runtime.spawn(busy)]
            await asyncio.sleep(0.01)
        asyncio.run(main())
        print("after")
        """
    )
    assert code == 0, errors


def test_a_runner_with_a_loop_of_its_own_cancels_agents() -> None:
    """Where a runner doesn't make its loop the current one, it still cancels agents and waits for their end."""
    code, printed, errors = run(
        """
        import warnings
        warnings.simplefilter("error", DeprecationWarning)
        ended = []
        async def stubborn(mailbox):
            try:
                await mailbox.recv()
            finally:
                await asyncio.sleep(0.01)
                ended.append(asyncio.current_task().cancelling())
        async def main():
            runtime = await remuda.Runtime(workers=1).start()
            agents = [runtime.spawn(stubborn) for _ in range(20)]
            while any(agent.state != "idle" for agent in agents):
                await asyncio.sleep(0)
            return agents
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            agents = runner.run(main())
        print(ended == [1] * 20, all(agent.cancelled() for agent in agents))
        """
    )
    assert (code, printed) == (0, "True True"), errors


def test_a_loop_that_is_closed_under_agents() -> None:
    """Agents in global variables, whose loop was closed by hand, do no harm at the interpreter's exit."""
    code, printed, errors = run(
        """
        loop = asyncio.new_event_loop()
        async def start():
            runtime = await remuda.Runtime().start()
            return runtime, [runtime.spawn(idle) for _ in range(5)] + [runtime.spawn(busy)]
        runtime, agents = loop.run_until_complete(start())
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        agents[0].send_nowait(1) if len(sys.argv) > 1 else None
        print("after", len(agents))
        """
    )
    assert (code, printed) == (0, "after 6"), errors


def test_sys_exit_in_an_agent() -> None:
    """sys.exit in an agent ends the program with that status."""
    code, printed, errors = run(
        """
        async def leave(mailbox):
            sys.exit(7)
        async def main():
            async with remuda.Runtime() as runtime:
                agents = [runtime.spawn(tidy), runtime.spawn(leave)]
                await asyncio.Event().wait()
        remuda.run(main())
        """
    )
    assert code == 7, errors
    assert printed == "tidy"


def test_threads_that_send_while_the_program_ends() -> None:
    """A daemon thread that goes on sending after the runtime has stopped gets MailboxClosed, and nothing crashes."""
    code, printed, errors = run(
        """
        def send(agent):
            try:
                while True:
                    try:
                        agent.send_nowait(1)
                    except remuda.MailboxFull:
                        pass
            except remuda.MailboxClosed:
                print("closed", flush=True)
        async def main():
            async with remuda.Runtime() as runtime:
                agent = runtime.spawn(idle)
                thread = threading.Thread(target=send, args=(agent,), daemon=True)
                thread.start()
                await asyncio.sleep(0.02)
                await agent.stop()
            thread.join(10)
        remuda.run(main())
        """
    )
    assert (code, printed) == (0, "closed"), errors


def test_an_agent_that_dies_while_a_stop_waits() -> None:
    """An agent that a finaliser brought back, and that goes for good in a collection, does not crash the program."""
    code, printed, errors = run(
        """
        saved = []
        class Back:
            def __init__(self, agent):
                self.agent = agent
                self.me = self
            def __del__(self):
                saved.append(self.agent)

        async def holder(mailbox, box):
            async for message in mailbox:
                pass

        async def main():
            gc.collect()
            gc.disable()
            runtime = await remuda.Runtime().start()
            box = []
            agent = runtime.spawn(holder, remuda.unchecked(box))
            box.extend((Back(agent), agent))
            await asyncio.sleep(0.01)
            del agent, box
            gc.collect()
            stop = asyncio.ensure_future(runtime.stop(deadline=0))
            gc.set_threshold(1, 0, 100)
            gc.enable()
            saved.clear()
            gc.disable()
            await stop
            gc.collect()
            print("stopped")
        asyncio.run(main())
        """
    )
    assert (code, printed) == (0, "stopped"), errors


def test_threads_share_no_kept_exception() -> None:
    """Several threads that drive asks by hand, and keep the StopIteration, each get their own value."""
    code, printed, errors = run(
        """
        import types
        sys.setswitchinterval(1e-6)

        @types.coroutine
        def drive(awaitable, hold):
            iterator = awaitable.__await__()
            while True:
                try:
                    yielded = next(iterator)
                except StopIteration as stop:
                    hold[0] = stop
                    return stop.value
                yield yielded

        class Echo:
            def receive(self, message):
                return message

        ended = []
        def thread(agent, name):
            async def one():
                hold = [None]
                for number in range(300):
                    assert await drive(agent.ask((name, number)), hold) == (name, number)
            async def main():
                await asyncio.gather(*[one() for _ in range(4)])
            asyncio.run(main())
            ended.append(name)

        async def main():
            async with remuda.Runtime() as runtime:
                agent = runtime.spawn(Echo, mailbox=100)
                reader = runtime.spawn(idle)
                threads = [threading.Thread(target=thread, args=(agent, n)) for n in range(3)]
                for t in threads:
                    t.start()
                while any(t.is_alive() for t in threads):
                    for number in range(20):
                        await reader.send((number,))
                    await asyncio.sleep(0)
            print(sorted(ended))
        remuda.run(main())
        """
    )
    assert (code, printed) == (0, "[0, 1, 2]"), errors


def test_a_runtime_may_start_after_asyncio_has_run() -> None:
    """The first runtime looks for asyncio's set of tasks, and takes no object that asyncio keeps for its next use."""
    code, printed, _ = run(
        """
        async def soon():
            await asyncio.gather(*[asyncio.ensure_future(asyncio.sleep(0.001)) for _ in range(10)])

        async def main():
            await soon()
            async with remuda.Runtime(workers=2):
                await soon()
            await soon()
            print("done")

        asyncio.run(main())
        """
    )
    assert (code, printed) == (0, "done")
