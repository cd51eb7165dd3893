"""Graphs of any form, built at random: isolated until somebody else has a part of them."""

from __future__ import annotations

import collections
import types
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

import remuda
from remuda import prove_isolated
from tests.test_isolation import Final, Frozen, Instance, Slots, Sub

leaves = st.none() | st.integers() | st.text(max_size=3)
graphs = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.builds(Slots, inner, inner)
        | st.builds(Frozen, inner)
        | st.builds(lambda part: Instance(part=part), inner)
        | st.builds(Final, inner)
    ),
)


def parts(value: Any) -> list[Any]:
    """Everything in a graph that is no leaf."""
    if isinstance(value, list | tuple):
        inner: list[Any] = list(value)
    elif isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, Slots):
        inner = [value.one, value.other]
    elif isinstance(value, Frozen):
        inner = [value.value]
    elif isinstance(value, Instance | Final):
        inner = [value.part]  # type: ignore[union-attr]  # each has one
    else:
        return []
    return [value, *[found for part in inner for found in parts(part)]]


def copied(value: Any) -> Any:
    """The same graph of new objects, so that nobody else, such as hypothesis, refers to them."""
    if isinstance(value, list):
        return [copied(part) for part in value]
    if isinstance(value, tuple):
        return tuple([copied(part) for part in value])
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    if isinstance(value, Slots):
        return Slots(copied(value.one), copied(value.other))
    if isinstance(value, Frozen):
        return Frozen(copied(value.value))
    if isinstance(value, Instance):
        return Instance(part=copied(value.part))  # type: ignore[attr-defined]
    if isinstance(value, Final):
        return Final(copied(value.part))
    return value


@hypothesis.given(graphs)
def test_a_graph_of_its_own_is_isolated(template: Any) -> None:
    """However it is built."""
    prove_isolated([copied(template)])


@hypothesis.given(graphs, st.data())
def test_one_reference_is_enough(template: Any, data: st.DataObject) -> None:
    """A single reference from outside to any part is found, unless that part is immutable all the way down."""
    graph = [copied(template)]
    found = parts(graph[0])
    if not found:
        return
    chosen = found[data.draw(st.integers(0, len(found) - 1))]
    del found
    harmless = remuda.is_sendable(chosen)
    if harmless:
        prove_isolated([graph.pop()])
    else:
        with pytest.raises(remuda.NotIsolated):
            prove_isolated([graph.pop()])


MAKERS: dict[str, Callable[[], Any]] = {
    "list": list,
    "dict": dict,
    "subclass": Sub,
    "deque": collections.deque,
    "instance": Instance,
    "namespace": types.SimpleNamespace,
}


def connect(holder: Any, part: Any) -> None:
    """Has one object refer to another, once more."""
    match holder:
        case list() | collections.deque():
            holder.append(part)
        case dict():
            holder[len(holder)] = part
        case _:
            setattr(holder, f"part{len(vars(holder))}", (part, 1))


@hypothesis.given(
    st.lists(
        st.tuples(st.sampled_from(sorted(MAKERS)), st.lists(st.integers(0, 7), max_size=4)),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 8),
)
def test_parts_may_be_shared_and_go_round(shape: list[tuple[str, list[int]]], chosen: int) -> None:
    """A graph of any form is isolated until somebody else has one of its parts."""
    graph = [MAKERS[kind]() for kind, _ in shape]
    for number, (_, parts_of_it) in enumerate(shape):
        for part in parts_of_it:
            connect(graph[number], graph[part % len(graph)])
    held = graph[chosen] if chosen < len(graph) else None
    holder = [graph]
    del graph
    if held is None:
        prove_isolated(holder.pop())
    else:
        with pytest.raises(remuda.NotIsolated):
            prove_isolated(holder.pop())
