"""`freeze` of instances of attrs classes, msgspec structs and pydantic models."""
# The libraries' metaclasses take keywords that pyright doesn't know of.
# pyright: reportGeneralTypeIssues=false, reportCallIssue=false

# Of modules that may not be installed nothing is known here.
# mypy: disable-error-code="misc, call-arg, operator"

from __future__ import annotations

import contextlib
import copy
import pickle
from functools import cached_property
from typing import Any

import pytest

import remuda

# A class with an unknown base could be a list, too.
freeze: Any = remuda.freeze

attrs: Any = pytest.importorskip("attrs")
msgspec: Any = pytest.importorskip("msgspec")
pydantic: Any = pytest.importorskip("pydantic")


@attrs.define
class Attrs:
    value: Any = None
    other: Any = None


@attrs.define(slots=False)
class AttrsWithDict:
    value: Any = attrs.field(default=None, validator=attrs.validators.instance_of(object))
    other: Any = None


@attrs.frozen
class AttrsFrozen:
    value: Any = None
    other: Any = None


class Struct(msgspec.Struct):
    value: Any = None
    other: Any = None

    def __post_init__(self) -> None:
        assert self.value is not None


class StructOfKeywords(msgspec.Struct, kw_only=True, tag=True, dict=True):
    value: Any
    other: Any = None


class StructFrozen(msgspec.Struct, frozen=True):
    value: Any = None
    other: Any = None


class Model(pydantic.BaseModel):
    value: Any = None
    other: Any = None
    _private: Any = pydantic.PrivateAttr(default_factory=list)

    @cached_property
    def double(self) -> list[Any]:
        return [self.value, self.value]


class ModelWithExtra(pydantic.BaseModel, extra="allow"):
    value: list[int] = []  # noqa: RUF012 # pydantic copies it
    other: Any = None


class ModelFrozen(pydantic.BaseModel, frozen=True):
    value: Any = None
    other: Any = None


MUTABLE = [Attrs, AttrsWithDict, Struct, StructOfKeywords, Model, ModelWithExtra]
FROZEN = [AttrsFrozen, StructFrozen, ModelFrozen]


@pytest.mark.parametrize("cls", MUTABLE + FROZEN)
def test_instance_is_frozen_all_through(cls: Any) -> None:
    """A frozen copy is an instance of the class, compares and hashes by its fields, and comes out of a pickle."""
    original = cls(value=[1])
    frozen = freeze(original)
    assert isinstance(frozen, cls)
    assert frozen.value == (1,)
    assert freeze(frozen) is frozen
    assert frozen == freeze(original)
    assert hash(frozen) == hash(freeze(original))
    assert copy.copy(frozen) == copy.deepcopy(frozen) == frozen
    loaded = pickle.loads(pickle.dumps(frozen))
    assert type(loaded) is type(frozen)
    assert loaded == frozen
    assert freeze(loaded) is loaded
    assert original.value == [1]


@pytest.mark.parametrize("cls", MUTABLE)
def test_no_way_in(cls: Any) -> None:
    """A frozen copy refuses every change, also by its `__dict__`."""
    frozen = freeze(cls(value=[1]))
    for change in (
        "frozen.value = 2",
        "frozen.new = 2",
        "del frozen.value",
        "frozen.__setstate__((2, 2))",
        "vars(frozen)['value'] = 2",
        "vars(frozen).update(value=2)",
    ):
        with pytest.raises((AttributeError, TypeError)):
            exec(change, {"frozen": frozen})
    with contextlib.suppress(AttributeError):  # a struct's does nothing
        frozen.__init__(value=2)
    assert frozen.value == (1,)


@pytest.mark.parametrize("cls", FROZEN)
def test_frozen_class_is_kept(cls: Any) -> None:
    """An instance of a frozen class is given back if its fields are frozen, and otherwise copied to its class."""
    same = freeze(cls(value=(1,)))
    assert type(same) is cls
    assert freeze(same) is same
    assert type(freeze(cls(value=[1]))) is cls


@pytest.mark.parametrize("cls", MUTABLE)
def test_cycles_are_kept(cls: Any) -> None:
    """An instance that refers to itself becomes one that does."""
    original = cls(value=[1])
    original.other = {"self": original}
    frozen = freeze(original)
    assert frozen.other["self"] is frozen
    loaded = pickle.loads(pickle.dumps(frozen))
    assert loaded.other["self"] is loaded
    around = freeze(original.other)
    assert around["self"].other is around


def test_copies_to_change() -> None:
    """What the libraries offer for making a changed copy works with frozen ones."""
    changed = attrs.evolve(freeze(Attrs([1])), other=2)
    changed.other = 3
    assert changed == Attrs((1,), 3)
    assert msgspec.structs.replace(freeze(Struct([1])), other=2).other == 2
    model = freeze(ModelWithExtra(value=[1], more=[2])).model_copy(update={"other": 2})
    model.other = 3
    assert model == ModelWithExtra.model_construct(value=(1,), other=3, more=(2,))
    assert ModelFrozen(value=[1]).model_copy(update={"value": 2}).value == 2
    assert freeze(ModelFrozen(value=[1])).model_copy(update={"value": 2}).value == 2


def test_frozen_struct_is_encoded() -> None:
    """A frozen struct is encoded as the one that it is a copy of."""
    original = StructOfKeywords(value=[1])
    assert msgspec.json.encode(freeze(original)) == msgspec.json.encode(original)


def test_frozen_model_is_serialized() -> None:
    """A frozen model is dumped as the one that it is a copy of, without warnings."""
    original = ModelWithExtra(value=[1], other={"a": [1]}, more=[2])
    assert freeze(original).model_dump_json() == original.model_dump_json()
    assert freeze(original).model_dump() == {"value": (1,), "other": {"a": (1,)}, "more": (2,)}


def test_what_a_model_keeps_beside_its_fields() -> None:
    """Private attributes, extra ones and the set of given fields are frozen too; cached values are computed again."""
    model = Model(value=1)
    model._private.append([1])
    assert model.double == [1, 1]
    frozen = freeze(model)
    assert frozen._private == ((1,),)
    assert frozen.double == [1, 1]
    assert frozen.model_fields_set == frozenset({"value"})
    for kept in (frozen, freeze(ModelFrozen(value=1))):
        with pytest.raises(TypeError):
            kept.model_fields_set.add("other")
        assert kept.model_dump(exclude_unset=True) == {"value": 1}
        assert kept.model_dump_json(exclude_unset=True) == '{"value":1}'
        copied = kept.model_copy(update={"other": 2})
        assert copied.model_fields_set == {"value", "other"}
        assert copy.deepcopy(kept).model_fields_set == {"value"}
    extra = freeze(ModelWithExtra(more=[1]))
    assert extra.more == (1,)
    with pytest.raises(TypeError):
        extra.model_extra["more"] = 2
    assert isinstance(freeze({"a": model}), remuda.FrozenDict)
