"""Frozen numpy arrays: when the memory is kept, when it is copied, and that nobody can write it."""

from __future__ import annotations

import dataclasses
import pickle
import sysconfig
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import remuda
from remuda import freeze, is_sendable, iso, trn

KEEPS = not sysconfig.get_config_var("Py_GIL_DISABLED")
"""Without a GIL counts of references don't tell who has an object, and all arrays are copied."""


@dataclasses.dataclass
class Node:
    value: Any = None


@dataclasses.dataclass(slots=True)
class Slotted:
    value: Any = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: Any = None


def address(array: Any) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


class Maker:
    """Makes an array that nobody else has, and remembers where its memory is."""

    def __call__(self, size: int = 1000) -> Any:
        made = np.zeros(size)
        self.address = address(made)
        return made

    def is_kept_by(self, frozen: Any) -> bool:
        return address(frozen) == self.address


@pytest.fixture
def make() -> Maker:
    return Maker()


ALONE: dict[str, Callable[[Maker], Any]] = {
    "itself": lambda make: freeze(make()),
    "reshaped": lambda make: freeze(make().reshape(10, 100)),
    "transposed": lambda make: freeze(make().reshape(10, 100).T),
    "in a list": lambda make: freeze([1, make()])[1],
    "in a dict": lambda make: freeze({"a": {"b": make()}})["a"]["b"],
    "in a tuple": lambda make: freeze((0, [make()]))[1][0],
    "in a dataclass": lambda make: freeze(Node(make())).value,
    "in slots": lambda make: freeze(Slotted([make()])).value[0],
    "in a frozen dataclass": lambda make: freeze(Frozen([make()])).value[0],
    "in a trn": lambda make: trn([make()]).share().value[0],
}


@pytest.mark.parametrize("way", ALONE.values(), ids=ALONE)
def test_an_array_that_nobody_else_has_keeps_its_memory(
    way: Callable[[Maker], Any], make: Maker
) -> None:
    """What is made for the call, wherever in it, is frozen without a copy."""
    frozen = way(make)
    assert make.is_kept_by(frozen) == KEEPS
    assert not frozen.flags.writeable
    assert freeze(frozen) is frozen


def variable(make: Maker) -> Iterator[Any]:
    array = make()
    yield freeze(array)
    array[0] = 1


def view(make: Maker) -> Iterator[Any]:
    held = [make()]
    part = held[0][:10]
    yield freeze(held.pop())
    part[0] = 1


def view_of_the_base(make: Maker) -> Iterator[Any]:
    held = [make().reshape(10, 100)]
    base = held[0].base
    yield freeze(held.pop())[0]
    base[0] = 1


def memory(make: Maker) -> Iterator[Any]:
    held = [make()]
    seen = memoryview(held[0])
    yield freeze(held.pop())
    seen[0] = 1


def weak(make: Maker) -> Iterator[Any]:
    held = [make()]
    reference = weakref.ref(held[0])
    strong = reference()
    del strong
    yield freeze(held.pop())
    assert reference() is None


def list_of_another(make: Maker) -> Iterator[Any]:
    inner = [make()]
    yield freeze([inner])[0][0]
    inner[0][0] = 1


def iterator(make: Maker) -> Iterator[Any]:
    held: list[Any] = [[make()]]
    left = iter(held[0])
    yield freeze(held.pop())[0]
    next(left)[0] = 1


def attributes(make: Maker) -> Iterator[Any]:
    held = [Node(make())]
    seen = vars(held[0])
    yield freeze(held.pop()).value
    seen["value"][0] = 1


def behind_a_proxy(make: Maker) -> Iterator[Any]:
    behind = {"a": make()}
    yield freeze([types.MappingProxyType(behind)])[0]["a"]
    behind["a"][0] = 1


def twice(make: Maker) -> Iterator[Any]:
    held: list[Any] = [[make()] * 2]
    one, other = freeze(held.pop())
    assert one is other
    yield one


def by_map(make: Maker) -> Iterator[Any]:
    arrays = [make()]
    (frozen,) = map(freeze, arrays)
    yield frozen
    arrays[0][0] = 1


def writeable_again(make: Maker) -> Iterator[Any]:
    array = make()
    array.setflags(write=False)
    yield freeze(array)
    array.setflags(write=True)
    array[0] = 1


def view_from_before(make: Maker) -> Iterator[Any]:
    array = make()
    part = array[:10]
    array.setflags(write=False)
    yield freeze(array)
    part[0] = 1


@pytest.mark.parametrize(
    "way",
    [
        variable,
        view,
        view_of_the_base,
        memory,
        weak,
        list_of_another,
        iterator,
        attributes,
        behind_a_proxy,
        twice,
        by_map,
        writeable_again,
        view_from_before,
    ],
    ids=lambda way: way.__name__,
)
def test_an_array_that_somebody_else_has_is_copied(
    way: Callable[[Maker], Iterator[Any]], make: Maker
) -> None:
    """A variable, a view, a memoryview, a container that others have: who can write the array writes another one."""
    steps = way(make)
    frozen = next(steps)
    assert not make.is_kept_by(frozen)
    assert next(steps, None) is None
    assert frozen[0] == 0


def test_a_trn_that_cannot_be_shared_keeps_its_arrays_as_they_are(make: Maker) -> None:
    """When something beside an array can't be frozen, the array stays writeable where it is."""
    parts: list[Any] = [make(), threading.Lock()]
    writing = trn(parts)
    del parts
    with pytest.raises(remuda.NotSendable):
        writing.share()
    writing.value[0][0] = 1
    writing.value.pop()
    assert writing.share().value[0][0] == 1


def test_a_destructor_does_not_write_what_is_frozen(make: Maker) -> None:
    """What is left of an original whose array was kept can't write it."""
    failed: list[BaseException] = []

    @dataclasses.dataclass
    class Last:
        value: Any

        def __del__(self) -> None:
            if type(self) is Last:
                try:
                    self.value[0] = 1
                except ValueError as error:
                    failed.append(error)

    frozen = freeze(Last(make())).value
    assert frozen[0] == 0
    assert bool(failed) == KEEPS


def test_a_share_of_an_iso_leaves_no_way_in(make: Maker) -> None:
    """An iso's array is frozen as any other; who kept it beside the handle can't write the val."""
    kept = [make()]
    shared = iso(kept[0]).share()
    kept[0][0] = 1
    assert shared.value[0] == 0


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.array(5.0),
        np.arange(24.0).reshape(2, 3, 4).transpose(1, 0, 2),
        np.broadcast_to(np.arange(3), (4, 3)),
        np.arange(16).reshape(4, 4)[::2, ::-1],
        np.asfortranarray(np.ones((3, 4))),
        np.array(["a", "bc"]),
        np.array(["2020"], "M8[D]"),
        np.zeros(3, [("a", "i4"), ("b", "f8", 2)]),
        np.zeros(2, "V0"),
        np.arange(6, dtype=">i4"),
        np.zeros((1, 5, 1), "c16"),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_every_layout_can_be_frozen(array: Any) -> None:
    """Whatever the shape, the strides and the type are: the content stays, and nothing makes it writeable."""
    for frozen in (freeze(array), freeze([array.copy(order="K")])[0]):
        assert frozen.shape == array.shape
        assert frozen.dtype == array.dtype
        assert (frozen == array).all()
        assert frozen.flags.aligned
        assert freeze(frozen) is frozen
        assert is_sendable(frozen)
        assert (pickle.loads(pickle.dumps(frozen)) == array).all()
        with pytest.raises(ValueError, match="WRITEABLE"):
            frozen.setflags(write=True)


@pytest.mark.parametrize(
    "attempt",
    [
        "frozen.setflags(write=True)",
        "frozen.flags.__setattr__('writeable', True)",
        "frozen.view('i8').setflags(write=True)",
        "frozen[:2].setflags(write=True)",
        "frozen.real.setflags(write=True)",
        "np.asarray(memoryview(frozen)).setflags(write=True)",
        "np.frombuffer(frozen.base).setflags(write=True)",
        "np.ndarray((4,), 'f8', frozen.base).setflags(write=True)",
        "np.lib.stride_tricks.as_strided(frozen, writeable=True).setflags(write=True)",
        "np.from_dlpack(frozen).setflags(write=True)",
        "np.copyto(frozen, 1)",
        "np.add(frozen, 1, out=frozen)",
        "frozen.sort()",
        "frozen.put(0, 1)",
        "frozen.setfield(1, 'f8')",
        "frozen.byteswap(inplace=True)",
        "frozen.resize(5)",
        "frozen.flat.__setitem__(0, 1)",
        "memoryview(frozen).__setitem__(0, 1)",
        "(ctypes.c_char * 8).from_buffer(frozen)",
        "(ctypes.c_char * 8).from_buffer(frozen.base)",
        "frozen.base.obj",
        "type(frozen.base)(bytearray(8))",
    ],
)
def test_no_way_into_a_frozen_array(attempt: str) -> None:
    """Neither the array, a view, what exports its memory nor what is under it can write it, or be made to."""
    import ctypes

    frozen = freeze(np.zeros(4))
    with pytest.raises((ValueError, TypeError, AttributeError, BufferError)):
        eval(attempt, {"frozen": frozen, "np": np, "ctypes": ctypes})
    assert not frozen.any()
