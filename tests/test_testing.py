"""The testing kit: the same seed does the same again, time jumps, and faults come as ordered."""

import asyncio
import contextvars
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import remuda
from remuda import testing, unchecked
from tests.support import Log, collect, echo

pytest_plugins = ["pytester"]


async def worker(mailbox: remuda.Mailbox[int], name: str, log: Log) -> None:
    async for number in mailbox:
        log.append((name, number))
        if number % 3 == 0:
            await asyncio.sleep(0)


async def crowd(log: Log) -> None:
    """Ten agents get twenty messages each, from two tasks."""

    async def send(agents: list[remuda.AgentRef[int]], numbers: range) -> None:
        for number in numbers:
            for agent in agents:
                await agent.send(number)

    async with remuda.Runtime() as runtime:
        agents = [runtime.spawn(worker, name, unchecked(log), mailbox=3) for name in "abcdefghij"]
        await asyncio.gather(send(agents, range(10)), send(agents, range(10, 20)))


def orders(seed: int) -> Log:
    log: Log = []
    testing.run(crowd, log, seed=seed)
    return log


def test_a_seed_decides_the_order() -> None:
    """The same seed interleaves agents in the same way, another one differently; what happens is the same."""
    first = orders(1)
    assert orders(1) == first
    others = [orders(seed) for seed in range(2, 12)]
    assert all(sorted(other) == sorted(first) for other in others)
    assert len({tuple(other) for other in others}) == len(others)


def test_a_seed_decides_in_another_process_too() -> None:
    """The order doesn't depend on addresses, hashes or the time."""
    program = "import sys, tests.test_testing as t; print(t.orders(5))"
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-c", program]
        environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "src:."}
        found = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            env=environment,
            cwd=Path(__file__).parents[1],
        )
        assert found.stdout.strip() == repr(orders(5))


def test_each_sender_keeps_its_order() -> None:
    """Chance chooses among agents, not among messages."""

    async def main(log: Log) -> None:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(collect, unchecked(log), mailbox=2)
            for number in range(100):
                await agent.send(number)

    for seed in range(20):
        log: Log = []
        testing.run(main, log, seed=seed)
        assert log == list(range(100))


def test_every_interleaving_is_found() -> None:
    """A race that needs one agent to run between two steps of another is found within a few seeds."""

    async def withdraw(mailbox: remuda.Mailbox[Any], account: dict[str, int]) -> None:
        seen = account["balance"]
        await asyncio.sleep(0)
        account["balance"] = seen - 10

    @testing.deterministic(runs=20)
    async def race() -> None:
        account = {"balance": 100}
        async with remuda.Runtime() as runtime:
            agents = [runtime.spawn(withdraw, unchecked(account)) for _ in range(2)]
            await asyncio.gather(*agents)
        balances.append(account["balance"])

    balances: Log = []
    race()
    assert len(balances) == 20
    assert 90 in balances


# Time.


def test_sleeping_takes_no_time() -> None:
    """The clock jumps to the next timer when everything waits: hours pass at once, in order."""

    async def sleeper(mailbox: remuda.Mailbox[Any], hours: float) -> None:
        await asyncio.sleep(3600 * hours)
        log.append((hours, asyncio.get_running_loop().time() / 3600))

    async def main() -> None:
        async with remuda.Runtime(deadline=1e9) as runtime:
            for hours in (3, 1, 2.5):
                runtime.spawn(sleeper, hours)

    log: Log = []
    before = time.monotonic()
    testing.run(main)
    assert log == [(hours, pytest.approx(hours)) for hours in (1, 2.5, 3)]
    assert time.monotonic() - before < 60


def test_time_outs_are_on_the_jumping_clock() -> None:
    """`asyncio.timeout`, `wait_for` and `ask(timeout=...)` run out when nothing else is left to do."""

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            deaf = runtime.spawn(collect, unchecked([]))
            loop = asyncio.get_running_loop()
            with pytest.raises(remuda.AskTimeout):
                await deaf.ask("question", timeout=500)
            assert loop.time() == pytest.approx(500)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(100):
                    await asyncio.Event().wait()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 100)
            assert loop.time() == pytest.approx(700)

    testing.run(main)


def test_the_clock_stands_still_while_a_thread_works() -> None:
    """A time-out doesn't run out because a thread takes real time."""

    async def main() -> None:
        gate = threading.Event()
        loop = asyncio.get_running_loop()
        loop.call_soon(gate.set)
        async with asyncio.timeout(0.001):
            assert await asyncio.to_thread(gate.wait, 30)
        assert loop.time() == 0
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        await asyncio.sleep(5)
        assert loop.time() == 5

    testing.run(main)


def test_what_waits_for_ever_is_told() -> None:
    """A program in which nothing can happen any more raises Stuck, which names what waits, and where."""

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(collect, unchecked([]), name="idle one")
            await asyncio.get_running_loop().create_future()
            agent.stop()

    with pytest.raises(testing.Stuck, match="everything waits:") as caught:
        testing.run(main, patience=0.01)
    told = str(caught.value).splitlines()
    assert any(re.search(r"Task-\d+, in .*test_testing\.py:\d+", line) for line in told)
    assert any(re.search(r"idle one, in .*support\.py:\d+", line) for line in told)


def test_sockets_are_waited_for() -> None:
    """What comes from a socket comes in real time; the program waits for it if there is nothing else."""

    async def main() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            line = await reader.readline()
            writer.close()
        return line

    assert testing.run(main, patience=30) == b"HELLO\n"


# Waiting for quiet, and taking turns.


def test_idle_is_when_everything_waits() -> None:
    """`wait_idle` returns when agents, tasks and threads have nothing to do; no time passes."""

    async def main() -> None:
        log: Log = []
        async with remuda.Runtime() as runtime:
            agents = [runtime.spawn(worker, name, unchecked(log)) for name in "ab"]
            for agent in agents:
                for number in range(50):
                    agent.send_nowait(number)
            thread = asyncio.create_task(asyncio.to_thread(threading.get_ident))
            later = asyncio.create_task(asyncio.sleep(1))
            await asyncio.gather(testing.wait_idle(), testing.wait_idle())
            assert len(log) == 100
            assert thread.done()
            assert not later.done()
            assert asyncio.get_running_loop().time() == 0
            await later

    testing.run(main, seed=3)


def test_idle_is_known_on_the_loop_of_the_kit_only() -> None:
    """On another loop `wait_idle` says what to use."""
    with pytest.raises(remuda.NoRuntime, match=r"expected a loop of remuda\.testing"):
        asyncio.run(testing.wait_idle())


def test_turns_are_taken_in_order() -> None:
    """Blocks run in the order of their places, whoever they belong to."""

    async def taker(
        mailbox: remuda.Mailbox[Any], turn: testing.Sequencer, places: Any, log: Log
    ) -> None:
        for place in places:
            async with turn(place):
                log.append(place)

    async def main() -> Log:
        log: Log = []
        turn = testing.Sequencer()
        async with remuda.Runtime() as runtime:
            agents = [
                runtime.spawn(taker, unchecked(turn), range(first, 30, 3), unchecked(log))
                for first in (2, 1, 0)
            ]
            await asyncio.gather(*agents)
        return log

    for seed in range(5):
        assert testing.run(main, seed=seed) == list(range(30))


def test_wrong_turns_are_refused() -> None:
    """A place is taken once; a turn that can't come any more is told to those after it."""

    async def main() -> None:
        turn = testing.Sequencer()

        async def take(place: int) -> None:
            async with turn(place):
                pass

        with pytest.raises(ValueError, match="place >= 0"):
            await take(-1)
        first = asyncio.create_task(take(1))
        second = asyncio.create_task(take(2))
        await testing.wait_idle()
        with pytest.raises(ValueError, match="not taken, got 1"):
            await take(1)
        first.cancel()
        with pytest.raises(RuntimeError, match="was cancelled"):
            await second
        with pytest.raises(RuntimeError, match="was cancelled"):
            await take(5)

    testing.run(main)


# Faults.


async def count(mailbox: remuda.Mailbox[int]) -> remuda.Iso[list[int]]:
    return remuda.iso([number async for number in mailbox])


def faulty(seed: int, **shares: Any) -> tuple[list[int], testing.FaultStatistics, float]:
    """A thousand messages under faults: what came, what was done, and when the last one came."""

    async def main() -> Any:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(count, mailbox=10)
            with testing.inject(runtime, **shares) as faults:
                for number in range(1000):
                    await agent.send(number)
            await asyncio.sleep(10)
            now = asyncio.get_running_loop().time()
            await agent.stop()
            return await agent, faults.statistics(), now

    found: tuple[list[int], testing.FaultStatistics, float] = testing.run(main, seed=seed)
    return found


def test_messages_are_lost_doubled_and_late_as_ordered() -> None:
    """Each message is accounted for, and the seed decides its fate."""
    came, faults, _ = faulty(1, drop=0.2, duplicate=0.1, delay=0.3)
    assert (came, faults) == faulty(1, drop=0.2, duplicate=0.1, delay=0.3)[:2]
    assert came != faulty(2, drop=0.2, duplicate=0.1, delay=0.3)[0]
    assert faults.seen == 1000
    assert 150 < faults.dropped < 250
    assert 60 < faults.duplicated < 140
    assert 240 < faults.delayed < 360
    assert len(came) == 1000 - faults.dropped + faults.duplicated
    assert len(set(came)) == 1000 - faults.dropped
    assert came != sorted(came), "late messages are overtaken"


def test_faults_end_with_their_block() -> None:
    """Without faults nothing is lost, and removing them ends them; only chosen messages are concerned."""
    came, faults, _ = faulty(1)
    assert came == list(range(1000))
    assert faults == testing.FaultStatistics(1000, 0, 0, 0, 0)
    came, faults, _ = faulty(1, drop=1.0, when=lambda agent, number: number % 2 == 0)
    assert came == list(range(1, 1000, 2))
    assert faults.dropped == faults.seen == 500


def test_threads_send_under_faults() -> None:
    """What threads send is lost, doubled and late like the rest, and nothing else happens to it."""

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(count)

            def send() -> None:
                for number in range(300):
                    agent.send_nowait(number)

            shares: Any = {"drop": 0.2, "duplicate": 0.2, "delay": 0.2, "crash": 0.5}
            with testing.inject(runtime, **shares) as faults:
                await asyncio.to_thread(send)
                await asyncio.sleep(1)
            done = faults.statistics()
            await agent.stop()
            assert len(await agent) == 300 - done.dropped + done.duplicated
            assert done.crashes == 0
            assert min(done.dropped, done.duplicated, done.delayed) > 20

    testing.run(main)


def test_a_lost_request_is_never_answered() -> None:
    """Who asks finds out by the time-out only, as on a network."""

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(echo)
            with testing.inject(runtime, drop=1.0), pytest.raises(remuda.AskTimeout):
                await agent.ask("question", timeout=60)
            assert await agent.ask("question", timeout=60) == "question"
            with (
                testing.inject(runtime, delay=1.0, latency=(50, 70)),
                pytest.raises(remuda.AskTimeout),
            ):
                await agent.ask("question", timeout=40)

    testing.run(main)


def test_agents_crash_on_purpose(caplog: pytest.LogCaptureFixture) -> None:
    """`crash` raises where the agent waits: for a message, a timer, room or an answer, or before it has begun."""

    class Plain:
        def receive(self, message: object) -> None:
            raise AssertionError("nothing is sent")

    async def wait(mailbox: remuda.Mailbox[Any], what: str, full: remuda.AgentRef[Any]) -> None:
        try:
            if what == "timer":
                await asyncio.sleep(1000)
            elif what == "room":
                await full.send(1)
            elif what == "answer":
                await full.ask(1)
            await mailbox.recv()
        finally:
            log.append(what)

    async def main() -> None:
        async with remuda.Runtime() as runtime:
            full = runtime.spawn(asleep, mailbox=1)
            full.send_nowait(0)
            agents = [
                runtime.spawn(wait, what, full) for what in ("message", "timer", "room", "answer")
            ]
            plain = runtime.spawn(Plain)
            await testing.wait_idle()
            late = runtime.spawn(wait, "never began", full)
            for agent in (*agents, plain, late):
                assert testing.crash(agent)
            for agent in (*agents, plain, late):
                with pytest.raises(testing.InjectedCrash, match=re.escape(agent.name)):
                    await agent
                assert not testing.crash(agent)
            assert full.statistics().waiting == 0
            full.kill()

    async def asleep(mailbox: remuda.Mailbox[Any]) -> None:
        await asyncio.Event().wait()

    log: Log = []
    testing.run(main)
    assert sorted(log) == ["answer", "message", "room", "timer"]
    assert caplog.text.count("InjectedCrash") >= 6


def test_a_crash_may_be_caught() -> None:
    """An agent that catches the error goes on, and loses no message."""

    async def tough(mailbox: remuda.Mailbox[int]) -> remuda.Iso[list[Any]]:
        found: list[Any] = []
        while len(found) < 3:
            try:
                await asyncio.sleep(1)
                found.append(await mailbox.recv())
            except ZeroDivisionError:
                found.append("survived")
        return remuda.iso(found)

    async def main() -> list[Any]:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(tough)
            agent.send_nowait(1)
            agent.send_nowait(2)
            await testing.wait_idle()
            assert testing.crash(agent, ZeroDivisionError())
            found: list[Any] = await agent
            return found

    assert testing.run(main) == ["survived", 1, 2]


def test_agents_crash_by_chance() -> None:
    """A share of messages crashes its receiver; with a supervisor that starts a new one, the rest arrives."""

    async def main() -> tuple[int, int]:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(count, mailbox=1)
            crashes = 0
            with testing.inject(runtime, crash=0.05) as faults:
                for number in range(200):
                    try:
                        await agent.send(number)
                    except remuda.MailboxClosed:
                        crashes += 1
                        agent = runtime.spawn(count, mailbox=1)
            return crashes, faults.statistics().crashes

    noticed, crashed = testing.run(main, seed=4)
    assert 1 <= noticed <= crashed


@pytest.mark.parametrize(
    "shares",
    [
        {"drop": -0.1},
        {"crash": 1.5},
        {"drop": 0.6, "delay": 0.6},
        {"latency": (2, 1)},
        {"latency": (-1, 1)},
    ],
)
def test_shares_that_make_no_sense_are_refused(shares: dict[str, Any]) -> None:
    """Shares are from 0 to 1, and lateness is a range."""
    with pytest.raises(ValueError, match=r"^expected"):
        faulty(0, **shares)


def test_an_error_of_the_choice_loses_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of `when` is told, and the message is delivered."""
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: unraisable.append(told.exc_type))

    async def main() -> list[int]:
        async with remuda.Runtime() as runtime:
            agent = runtime.spawn(count)
            with testing.inject(runtime, drop=1.0, when=lambda agent, message: 1 // 0 > 0):
                await agent.send(1)
            await agent.stop()
            found: list[int] = await agent
            return found

    assert testing.run(main) == [1]
    assert unraisable == [ZeroDivisionError]


# Running again.


def test_a_failing_run_tells_how_to_run_it_again() -> None:
    """The error has a note with the command, and the seed in it."""

    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        testing.deterministic(seed=40, runs=3)(fails)()
    name = "tests/test_testing.py::test_a_failing_run_tells_how_to_run_it_again"
    assert caught.value.__notes__ == [f"replay: REMUDA_SEED=40 python -m pytest {name}"]


def test_the_environment_chooses_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """REMUDA_SEED runs with that seed alone, REMUDA_RUNS with more of them."""

    @testing.deterministic(seed=10, runs=3)
    async def which() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, testing.DeterministicLoop)
        drawn.append(loop.random.random())

    drawn: Log = []
    which()
    assert len(set(drawn)) == 3
    monkeypatch.setenv("REMUDA_SEED", "11")
    which()
    assert drawn[3:] == [drawn[1]]
    monkeypatch.delenv("REMUDA_SEED")
    monkeypatch.setenv("REMUDA_RUNS", "5")
    which()
    assert drawn[4:7] == drawn[:3]
    assert len(drawn) == 9
    monkeypatch.setenv("REMUDA_SEED", "eleven")
    with pytest.raises(ValueError, match="expected REMUDA_SEED to be a whole number"):
        which()


def test_what_can_not_be_repeated_is_refused() -> None:
    """A plain function, and no runs at all, are errors where the decorator is used."""
    with pytest.raises(TypeError, match="expected an async function"):
        testing.deterministic(lambda: None)  # type: ignore[arg-type, return-value]  # wrong on purpose
    with pytest.raises(ValueError, match="expected runs >= 1"):
        testing.deterministic(runs=0)


def test_arguments_and_context_reach_the_function() -> None:
    """The function gets what the test was called with, and the context of its caller."""
    place = contextvars.ContextVar("place", default="nowhere")
    place.set("here")

    @testing.deterministic
    async def add(first: int, *, second: int) -> tuple[int, str]:
        return first + second, place.get()

    assert add(1, second=2) == (3, "here")


def test_the_plugin_has_options_and_fixtures(pytester: pytest.Pytester) -> None:
    """pytest finds the plugin, uses the seeds that are asked for, and prints the replay line."""
    pytester.makepyfile(
        """
        import asyncio
        from remuda import testing

        seeds, failing = [], []

        @testing.deterministic(runs=4)
        async def test_seeds():
            seeds.append(asyncio.get_running_loop().random.random())

        def test_how_many(remuda_seed, request):
            runs = request.config.getoption("--remuda-runs")
            assert len(seeds) == (1 if remuda_seed else runs or 4)

        async def later():
            await asyncio.sleep(1000)
            return asyncio.get_running_loop().time()

        def test_fixture(remuda_run):
            assert remuda_run(later) == 1000

        @testing.deterministic(runs=30)
        async def test_fails():
            failing.append(True)
            assert len(failing) < 4
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.re_match_lines([r".*replay: REMUDA_SEED=\d+ python -m pytest .*::test_fails"])
    pytester.runpytest_subprocess("--remuda-runs=2").assert_outcomes(passed=4)
    pytester.runpytest_subprocess("--remuda-seed=99").assert_outcomes(passed=4)


def test_isos_are_proved_where_a_test_asks_for_it(pytester: pytest.Pytester) -> None:
    """In a block, or by pytest's option, `iso(x)` is refused what somebody else has a part of."""
    kept = [[1]]
    for _ in range(2):
        remuda.iso({"part": kept[0]})
        with testing.prove_isos():
            with pytest.raises(remuda.NotIsolated):
                remuda.iso({"part": kept[0]})
            with testing.prove_isos():
                remuda.iso({"part": [1]})
            with pytest.raises(remuda.NotIsolated):
                remuda.iso({"part": kept[0]})
            remuda.iso({"part": kept[0]}, prove=False)
    pytester.makepyfile(
        """
        import remuda

        kept = [[1]]

        def test_iso():
            remuda.iso({"part": kept[0]})
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    pytester.runpytest_subprocess("--remuda-prove").assert_outcomes(failed=1)
