"""Random programs of the public API, against a plain Python model of mailboxes and agents."""

import asyncio
import collections
import gc
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

import remuda
from remuda import testing, unchecked

POLICIES = st.sampled_from(["wait", "fail", "drop_newest", "drop_oldest"])


class Model:
    """What an agent should be doing: its mailbox, those who wait for room, and what it has received."""

    def __init__(self, number: int, bound: int, low: int, policy: str) -> None:
        self.number = number
        self.bound = bound
        self.low = low
        self.policy = policy
        self.queue: collections.deque[Any] = collections.deque()
        self.waiting: list[Any] = []
        self.received: list[Any] = []
        self.taken = 0
        self.dropped = 0
        self.closed = False
        self.ended = False

    def offer(self, message: Any) -> str:
        """Sends; returns "in", "full", "closed", or "dropped"."""
        if self.closed:
            return "closed"
        if len(self.queue) < self.bound and not self.waiting:
            self.queue.append(message)
            self.taken += 1
            return "in"
        if self.policy == "drop_newest":
            self.dropped += 1
            return "dropped"
        if self.policy == "drop_oldest":
            self.queue.popleft()
            self.dropped += 1
            self.queue.append(message)
            self.taken += 1
            return "in"
        return "full"

    def receive(self) -> None:
        """The agent takes one message; at the low mark those who wait are let in, in their order."""
        self.received.append(self.queue.popleft())
        if len(self.queue) <= self.low:
            while self.waiting and len(self.queue) < self.bound:
                self.queue.append(self.waiting.pop(0))
                self.taken += 1


class Agent:
    """A real agent that receives as many messages as it is told to."""

    def __init__(self, runtime: remuda.Runtime, model: Model) -> None:
        self.model = model
        self.steps = asyncio.Queue[None]()
        self.received: list[Any] = []
        overflow: Any = model.policy
        self.ref: remuda.AgentRef[Any] | None = runtime.spawn(
            self.run, mailbox=model.bound, low=model.low, overflow=overflow
        )

    async def run(self, mailbox: remuda.Mailbox[Any]) -> str:
        while True:
            await self.steps.get()
            try:
                message = await mailbox.recv()
            except remuda.MailboxClosed:
                return "closed"
            if isinstance(message, remuda.Request):
                message.reply(unchecked(message.message))
                message = message.message
            self.received.append(message)


class Swarm(RuleBasedStateMachine):
    """Each rule does the same to the runtime and to the model; invariants compare them."""

    agents = Bundle("agents")

    def __init__(self) -> None:
        super().__init__()
        self.living: list[Agent] = []
        self.sends: list[tuple[Agent, Any, asyncio.Task[Any]]] = []
        self.next = 0

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        """Also the order in which agents run is hypothesis's choice."""
        self.loop = testing.DeterministicLoop(seed, patience=0.1)
        self.runtime: remuda.Runtime = self.do(self.start())

    async def start(self) -> remuda.Runtime:
        return await remuda.Runtime().start()

    def do(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 20))

    def settle(self) -> None:
        """Lets everything happen that can."""
        self.do(testing.wait_idle())

    def message(self) -> Any:
        self.next += 1
        return ["message", self.next]

    @rule(
        target=agents,
        bound=st.integers(1, 4),
        low=st.integers(0, 3),
        policy=POLICIES,
    )
    def spawn(self, bound: int, low: int, policy: str) -> Agent:
        model = Model(self.next, bound, min(low, bound - 1), policy)

        async def make() -> Agent:
            return Agent(self.runtime, model)

        agent: Agent = self.do(make())
        self.living.append(agent)
        self.settle()
        return agent

    @rule(agent=agents)
    def send_nowait(self, agent: Agent) -> None:
        message = self.message()
        expected = agent.model.offer(message)
        assert agent.ref is not None
        try:
            agent.ref.send_nowait(unchecked(message))
        except remuda.MailboxFull as error:
            assert expected == "full"
            assert error.message is message
        except remuda.MailboxClosed as error:
            assert expected == "closed"
            assert error.message is message
        else:
            assert expected in ("in", "dropped")

    @rule(agent=agents, ask=st.booleans())
    def send(self, agent: Agent, ask: bool) -> None:
        message = self.message()
        assert agent.ref is not None
        ref = agent.ref

        async def task() -> Any:
            return await (ref.ask(unchecked(message)) if ask else ref.send(unchecked(message)))

        expected = agent.model.offer(message)
        running = self.loop.create_task(task())
        self.settle()
        if expected == "full" and agent.model.policy == "wait":
            agent.model.waiting.append(message)
            assert not running.done()
        elif expected == "full":
            assert isinstance(running.exception(), remuda.MailboxFull)
        elif expected == "closed":
            error = running.exception()
            assert isinstance(error, remuda.MailboxClosed)
            assert error.message is message
        elif expected == "dropped" and ask:
            assert isinstance(running.exception(), remuda.NoReply)
        elif not ask:
            assert running.result() is None
        self.sends.append((agent, message, running))

    @rule(agent=agents)
    def receive_one(self, agent: Agent) -> None:
        agent.steps.put_nowait(None)
        self.settle()
        model = agent.model
        if model.ended:
            return
        if model.queue:
            model.receive()
        elif model.closed:
            model.ended = True
        else:
            # It waits now: the next message is received at once. Make it one, to keep the model simple.
            message = self.message()
            assert agent.ref is not None
            agent.ref.send_nowait(unchecked(message))
            assert model.offer(message) == "in"
            self.settle()
            model.receive()

    @precondition(lambda self: any(not task.done() for _, _, task in self.sends))
    @rule(data=st.data())
    def cancel_a_send(self, data: st.DataObject) -> None:
        # No list of them all in a variable: the error of the one that is cancelled keeps this frame, and what it names.
        agent, message, task = data.draw(
            st.sampled_from([entry for entry in self.sends if not entry[2].done()])
        )
        task.cancel()
        self.settle()
        assert task.cancelled()
        if message in agent.model.waiting:
            agent.model.waiting.remove(message)

    @rule(agent=agents)
    def close(self, agent: Agent) -> None:
        assert agent.ref is not None
        agent.ref.stop()
        model = agent.model
        model.closed = True
        model.waiting.clear()
        self.settle()

    @rule(agent=consumes(agents), how=st.sampled_from(["kill", "cancel", "drop"]))
    def end(self, agent: Agent, how: str) -> None:
        assert agent.ref is not None
        model = agent.model
        if how == "drop":
            # The task of a send that waits holds the agent, and so does one that waits for its answer.
            sends = [task for other, _, task in self.sends if other is agent]
            self.sends = [entry for entry in self.sends if entry[0] is not agent]
            self.give_up(sends)
            model.waiting.clear()
            left = len(model.queue)
            agent.ref = None
            gc.collect()
            # It waits for its next step, and finds then that nobody can send any more.
            for _ in range(left + 1):
                agent.steps.put_nowait(None)
            self.settle()
            if not model.ended:
                model.received.extend(model.queue)
        else:
            getattr(agent.ref, how)()
            self.settle()
            assert agent.ref.done()
            assert agent.ref.cancelled() == (how == "cancel" and not model.ended)
        model.queue.clear()
        model.waiting.clear()
        model.closed = model.ended = True
        assert agent.received == model.received
        self.living.remove(agent)
        self.check_sends()

    @invariant()
    def agents_are_as_the_model_says(self) -> None:
        for agent in self.living:
            model = agent.model
            assert agent.received == model.received
            assert agent.ref is not None
            found = agent.ref.statistics()
            assert found.depth == len(model.queue)
            assert found.waiting == len(model.waiting)
            assert found.closed == model.closed
            assert found.dropped == model.dropped
            assert found.received == model.taken
            assert found.delivered == len(model.received)
            assert agent.ref.done() == model.ended

    @invariant()
    def the_runtime_counts_them(self) -> None:
        living = sum(not agent.model.ended for agent in self.living)
        assert self.runtime.statistics().agents == living

    def give_up(self, sends: list[asyncio.Task[Any]]) -> None:
        """Cancels sends and forgets them; an error of one has been looked at."""
        while sends:
            task = sends.pop()
            task.cancel()
            self.settle()
            assert (
                task.cancelled()
                or task.exception() is None
                or isinstance(task.exception(), remuda.RemudaError)
            )

    def check_sends(self) -> None:
        self.settle()
        for agent, message, task in self.sends:
            if not task.done():
                waits = message in agent.model.waiting
                queued = message in agent.model.queue
                assert waits or queued, "a task waits for what can't happen any more"

    @invariant()
    def no_send_hangs(self) -> None:
        self.check_sends()

    def teardown(self) -> None:
        async def stop() -> None:
            report = await self.runtime.stop(deadline=0)
            assert report.killed == ()

        self.give_up([task for _, _, task in self.sends])
        self.do(stop())
        assert self.runtime.statistics().agents == 0
        self.loop.close()


Swarm.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
test_random_programs = pytest.mark.filterwarnings("ignore::ResourceWarning")(Swarm.TestCase)
