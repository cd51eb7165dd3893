"""An envelope says more about a message than what it is; Remuda carries it and changes nothing."""

import asyncio
import copy
import math
import pickle
from typing import Any

import pytest

import remuda
from remuda import FrozenDict, Message, iso, testing, val
from tests.support import collect, in_runtime


@in_runtime
async def test_it_arrives_as_it_was_sent(runtime: remuda.Runtime) -> None:
    """The receiver gets the very envelope that was sent, as it may be shared."""
    log: list[Any] = []
    agent: remuda.AgentRef[Any] = runtime.spawn(collect, remuda.unchecked(log))
    message = Message("pay", priority="high", headers={"trace": [1, 2]})
    await agent.send(message)
    await agent.stop()
    assert log == [message]
    assert log[0] is message
    assert message.headers == FrozenDict({"trace": (1, 2)})
    assert (message.priority, message.expires, message.remaining) == ("high", math.inf, math.inf)
    assert not message.expired


@in_runtime
async def test_an_iso_is_moved_with_it(runtime: remuda.Runtime) -> None:
    """The object of an iso arrives with the envelope, which the sender's empty handle is not part of any more."""
    log: list[Any] = []
    agent: remuda.AgentRef[Any] = runtime.spawn(collect, remuda.unchecked(log))
    orders = [1, 2]
    message = Message(iso(orders), priority="low", headers={"from": "Ada"}, deadline=60)
    await agent.send(message)
    await agent.stop()
    assert message.payload.moved
    [arrived] = log
    assert arrived.payload.take() is orders
    assert (arrived.priority, arrived.headers, arrived.expires) == (
        "low",
        {"from": "Ada"},
        message.expires,
    )
    with pytest.raises(remuda.MovedError):
        message.share()


@in_runtime
async def test_what_can_be_changed_is_no_payload(runtime: remuda.Runtime) -> None:
    """An envelope around a list is refused as the list would be; shared, it is sent."""
    log: list[Any] = []
    agent: remuda.AgentRef[Any] = runtime.spawn(collect, remuda.unchecked(log))
    message = Message([1])
    with pytest.raises(remuda.NotSendable) as refused:
        await agent.send(message)
    assert refused.value.path == "message.payload"
    await agent.send(message.share())
    await agent.stop()
    assert log[0].payload == (1,)


def test_it_is_shared_when_its_payload_is() -> None:
    """`share` freezes the payload, or takes it out of its handle, and leaves what is immutable alone."""
    message = Message((1, "a"), priority="high")
    assert message.share() is message
    assert Message(val((1,))).share().payload == (1,)
    shared = Message(iso({"a": [1]}), priority="high", headers={"b": 2}).share()
    assert shared == Message(FrozenDict({"a": (1,)}), priority="high", headers={"b": 2})
    assert shared.payload == {"a": (1,)}
    with pytest.raises(remuda.NotSendable):
        Message(open).with_payload(iter([])).share()


@testing.deterministic(seed=1)
async def test_it_expires_on_the_clock_of_the_loop() -> None:
    """A message is worth handling until its deadline has passed, on the loop's clock."""
    message = Message(1, deadline=10)
    await asyncio.sleep(9)
    assert 0 < message.remaining <= 1
    early = message.expired
    answer = message.with_payload(2)
    await asyncio.sleep(2)
    assert (early, message.expired) == (False, True)
    assert message.remaining == 0
    assert (answer.payload, answer.expired) == (2, True)


def test_it_can_be_copied_and_pickled() -> None:
    """An envelope goes through pickle and copy, and equal ones are equal."""
    message = Message("x", priority="low", deadline=5, headers={"a": 1})
    for other in (copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))):
        assert other == message
        assert hash(other) == hash(message)
    assert message != Message("x")


def test_bad_input_is_refused() -> None:
    """An unknown priority, a deadline in the past, and headers that can't be frozen are errors."""
    with pytest.raises(ValueError, match="priority"):
        Message(1, priority="urgent")  # type: ignore[arg-type]
    for deadline in (-1, math.nan, 10**400):
        with pytest.raises(ValueError, match="deadline"):
            Message(1, deadline=deadline)
    with pytest.raises(remuda.NotSendable):
        Message(1, headers={"a": iter([])})
    with pytest.raises(AttributeError):
        Message(1).payload = 2  # type: ignore[misc]
