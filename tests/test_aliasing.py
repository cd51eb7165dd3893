"""Pony's tables of reference capabilities, and what Remuda makes of them at run time.

The tables are those of the Pony tutorial, in "Capability subtyping", "Aliasing" and "Combining capabilities"
(https://tutorial.ponylang.io/reference-capabilities/). Where Remuda is stricter, or can't see what Pony's compiler
sees, the difference has a name here, and a line on the page "Who may change what".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import remuda
from remuda import box, consume, freeze, is_sendable, iso, ref, tag, trn, val
from tests.support import Log, collect, settle

CAPABILITIES = ("iso", "trn", "ref", "val", "box", "tag")

SUBTYPES: dict[str, frozenset[str]] = {
    "iso": frozenset(CAPABILITIES),
    "trn": frozenset({"trn", "ref", "val", "box", "tag"}),
    "ref": frozenset({"ref", "box", "tag"}),
    "val": frozenset({"val", "box", "tag"}),
    "box": frozenset({"box", "tag"}),
    "tag": frozenset({"tag"}),
}
"""What a reference may become that is given up: an iso anything, a tag nothing else."""

ALIAS = {"iso": "tag", "trn": "box", "ref": "ref", "val": "val", "box": "box", "tag": "tag"}
"""What a second reference is, beside one that is kept."""

SENDABLE = frozenset({"iso", "val", "tag"})

FIELDS: dict[str, dict[str, str]] = {
    origin: dict(zip(CAPABILITIES, row.split(), strict=True))
    for origin, row in {
        "iso": "iso tag tag val tag tag",
        "trn": "iso box box val box tag",
        "ref": "iso trn ref val box tag",
        "val": "val val val val val tag",
        "box": "tag box box val box tag",
    }.items()
}
"""What is read from a field of the second capability in an object of the first: viewpoint adaptation."""

STRICTER = {
    ("iso", "iso"): "`consume` makes a new handle",
    ("iso", "trn"): "`take` it first: a handle holds no handle",
    ("iso", "ref"): "`take` it first: a handle holds no handle",
    ("iso", "box"): "`take` it first: what stays beside an iso is a tag",
    ("trn", "trn"): "`consume` makes a new handle",
    ("trn", "ref"): "what will be a val is not lent for writing",
    ("trn", "val"): "`share` it: what becomes of the handle is said where it is given up",
    ("ref", "ref"): "it is one: a handle holds no handle",
}
"""What Pony lets one capability become, but Remuda's functions, given the handle, refuse; and what is done instead."""


class Holder:
    """An object with one field."""

    def __init__(self, field: Any) -> None:
        self.field = field


MAKE: dict[str, Callable[[Any], Any]] = {
    "iso": iso,
    "trn": trn,
    "ref": ref,
    "val": lambda content: val(freeze(content)),
    "box": box,
    "tag": tag,
}
CONVERT: dict[str, Callable[[Any], Any]] = {**MAKE, "val": val}
KINDS: dict[type, str] = {
    remuda.Iso: "iso",
    remuda.Trn: "trn",
    remuda.Ref: "ref",
    remuda.Val: "val",
    remuda.Box: "box",
    remuda.Tag: "tag",
}


def kind_of(handle: object) -> str:
    """Which capability a handle stands for."""
    return next(name for kind, name in KINDS.items() if isinstance(handle, kind))


# The tables.


def test_what_a_reference_becomes_is_an_order() -> None:
    """To become something else is reflexive and transitive, and never leads back."""
    for one, other in product(CAPABILITIES, repeat=2):
        if other in SUBTYPES[one]:
            assert SUBTYPES[other] <= SUBTYPES[one]
            assert one == other or one not in SUBTYPES[other]
    assert all(one in SUBTYPES[one] for one in CAPABILITIES)


def test_an_alias_takes_nothing_from_the_original() -> None:
    """An alias is what the original could become, and an alias of it is the same again."""
    for one in CAPABILITIES:
        assert ALIAS[one] in SUBTYPES[one]
        assert ALIAS[ALIAS[one]] == ALIAS[one]


def test_what_is_sendable_is_no_way_to_share_what_is_written() -> None:
    """A capability is sendable if, and only if, an alias of it that stays behind may be sent as well."""
    assert {one for one in CAPABILITIES if ALIAS[one] in SENDABLE} == SENDABLE


def test_a_field_gives_no_more_than_the_field_has() -> None:
    """What is read is what the field could become, save in a val; neither val nor box lead to anything that writes."""
    for origin, row in FIELDS.items():
        for field, seen in row.items():
            assert seen in SUBTYPES[field] or origin == "val"
    assert set(FIELDS["val"].values()) == {"val", "tag"}
    assert set(FIELDS["box"].values()) == {"tag", "box", "val"}
    assert all(row["tag"] == "tag" for row in FIELDS.values())


def test_what_is_read_from_an_iso_can_be_sent() -> None:
    """An iso stays alone: nothing that is read through it, and kept, can write or read what it will take along."""
    assert set(FIELDS["iso"].values()) <= SENDABLE


# What Remuda makes of them.


@pytest.mark.parametrize("before", CAPABILITIES)
@pytest.mark.parametrize("after", CAPABILITIES)
def test_a_handle_becomes_what_its_table_allows(before: str, after: str) -> None:
    """No function makes of a handle what Pony forbids; what Pony allows it makes, or the difference has a name."""
    handle = MAKE[before]([1])
    if after in SUBTYPES[before] and (before, after) not in STRICTER:
        assert kind_of(CONVERT[after](handle)) == after
    else:
        with pytest.raises(TypeError, match="handle of type"):
            CONVERT[after](handle)


def test_what_is_stricter_has_another_way() -> None:
    """Each conversion that the functions refuse is made as its line says."""
    assert kind_of(consume(iso([1]))) == "iso"
    assert kind_of(trn(iso([1]).take())) == "trn"
    assert kind_of(ref(iso([1]).take())) == "ref"
    assert kind_of(box(iso([1]).take())) == "box"
    assert kind_of(consume(trn([1]))) == "trn"
    assert kind_of(trn([1]).share()) == "val"
    assert all(after in SUBTYPES[before] for before, after in STRICTER)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_what_is_sendable(capability: str) -> None:
    """iso, val and tag may be sent, also within a tuple; ref, trn and box may not."""
    handle = MAKE[capability]([1])
    assert is_sendable(handle) == is_sendable((1, handle)) == (capability in SENDABLE)


@pytest.mark.parametrize("field", CAPABILITIES)
def test_what_is_read_through_a_box(field: str) -> None:
    """A box shows each field as Pony's table says, as an attribute, an item, and in a loop."""
    content = [1]
    handle = MAKE[field](content)
    views = [box(Holder(handle)).field, box([handle])[0], *box([handle]), box({"a": handle})["a"]]
    for seen in views:
        assert kind_of(seen) == FIELDS["box"][field]
    if field == "iso":
        assert views[0].is_of(content)
        assert not handle.moved
    elif field in ("trn", "ref"):
        assert views[0] == [1]


@pytest.mark.parametrize("field", CAPABILITIES)
def test_what_is_in_a_val(field: str) -> None:
    """A val holds only what is a val or a tag; Pony sees all else in it as a val, and Remuda has it frozen before."""
    handle = MAKE[field]([1])
    if field in ("val", "tag"):
        assert kind_of(val((handle,)).value[0]) == FIELDS["val"][field]
    else:
        with pytest.raises(remuda.NotSendable, match=r"val\[0\]"):
            val((handle,))


@pytest.mark.parametrize("origin", ["iso", "trn", "ref"])
@pytest.mark.parametrize("field", CAPABILITIES)
def test_what_the_owner_reads_is_the_field_itself(origin: str, field: str) -> None:
    """An owner works with the bare object, whose fields are as they are, as in Pony those of a ref."""
    handle = MAKE[field]([1])
    seen = MAKE[origin](Holder(handle)).value.field
    assert seen is handle
    if origin == "ref":
        assert kind_of(seen) == FIELDS["ref"][field]


# Random programs.


class Programs(RuleBasedStateMachine):
    """Handles are made, given up, looked at and sent, to agents that take them, are full, or are dead.

    The model knows of each handle what it is of, and whether it still has its object.
    """

    def __init__(self) -> None:
        super().__init__()
        self.handles: list[tuple[Any, str, Any]] = []
        self.here: list[bool] = []
        self.expected: Log = []
        self.received: Log = []
        self.count = 0
        self.runner = asyncio.Runner()
        self.runner.run(self.begin())

    async def begin(self) -> None:
        self.runtime = remuda.Runtime(workers=1)
        await self.runtime.start()
        spawn = self.runtime.spawn
        self.taker = spawn(collect, remuda.unchecked(self.received))
        self.dead = spawn(collect, remuda.unchecked([]))
        await self.dead.stop()
        self.full = spawn(_never, mailbox=1)
        self.full.send_nowait(None)
        await settle(self.runtime)
        self.full.send_nowait(None)

    def teardown(self) -> None:
        self.full.kill()
        self.runner.run(self.runtime.stop())
        self.runner.close()

    def add(self, handle: Any, content: Any) -> None:
        self.handles.append((handle, kind_of(handle), content))
        self.here.append(True)

    def pick(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, len(self.handles) - 1))

    @rule(capability=st.sampled_from(CAPABILITIES))
    def make(self, capability: str) -> None:
        """A new object, and a handle of it."""
        self.count += 1
        content: Any = [self.count]
        if capability == "val":
            content = tuple(content)
        self.add(MAKE[capability](content), content)

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """A handle shows its object until it is given up; a tag never does."""
        place = self.pick(data)
        handle, capability, content = self.handles[place]
        if capability == "tag":
            assert handle.is_of(content)
            assert not hasattr(handle, "value")
        elif capability == "box":
            assert handle == content
        elif self.here[place]:
            assert handle.value is content
        else:
            with pytest.raises(remuda.MovedError):
                _ = handle.value

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def move_on(self, data: st.DataObject) -> None:
        """`consume` moves an iso or trn into a new handle; a val and a tag stay themselves; others it refuses."""
        place = self.pick(data)
        handle, capability, content = self.handles[place]
        if capability in ("ref", "box"):
            with pytest.raises(TypeError, match="to consume"):
                consume(handle)
        elif capability in ("val", "tag"):
            assert consume(handle) is handle
        elif not self.here[place]:
            with pytest.raises(remuda.MovedError):
                consume(handle)
        else:
            self.here[place] = False
            self.add(consume(handle), content)

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), after=st.sampled_from(("share", "take")))
    def give_up(self, data: st.DataObject, after: str) -> None:
        """`share` makes an iso or trn a val, and `take` an iso a bare object, once."""
        place = self.pick(data)
        handle, capability, content = self.handles[place]
        if capability not in (("iso", "trn") if after == "share" else ("iso",)):
            return
        if not self.here[place]:
            with pytest.raises(remuda.MovedError):
                getattr(handle, after)()
            return
        made = getattr(handle, after)()
        self.here[place] = False
        if after == "share":
            assert made.value == tuple(content)
            self.add(made, made.value)
        else:
            assert made is content
            self.add(ref(made), made)

    @precondition(lambda self: self.handles)
    @rule(
        data=st.data(),
        whom=st.sampled_from(("taker", "full", "dead")),
        form=st.sampled_from(("bare", "nested", "twice", "with a list")),
    )
    def send(self, data: st.DataObject, whom: str, form: str) -> None:
        """A send takes an iso along if it succeeds, and only then; what may not be sent never is."""
        place = self.pick(data)
        handle, capability, content = self.handles[place]
        message = {
            "bare": handle,
            "nested": (1, handle),
            "twice": (handle, handle),
            "with a list": (handle, []),
        }[form]
        problem: type[Exception] | None = None
        if capability not in SENDABLE or form == "with a list":
            problem = remuda.NotSendable
        elif capability == "iso" and (not self.here[place] or form == "twice"):
            problem = remuda.MovedError
        if problem is None and whom != "taker":
            problem = remuda.MailboxFull if whom == "full" else remuda.MailboxClosed
        agent = getattr(self, whom)

        async def sending() -> None:
            agent.send_nowait(message)
            await settle(self.runtime)

        if problem is None:
            self.runner.run(sending())
            self.expected.append((form, capability, handle, content))
            if capability == "iso":
                self.here[place] = False
        else:
            with pytest.raises(problem):
                self.runner.run(sending())

    @invariant()
    def the_model_is_right(self) -> None:
        """Isos and trns have their objects if the model says so, and agents have got what was sent, in order."""
        for (handle, capability, _), here in zip(self.handles, self.here, strict=True):
            if capability == "iso":
                assert handle.moved == (not here)
        assert len(self.received) == len(self.expected)
        for came, (form, capability, handle, content) in zip(
            self.received, self.expected, strict=True
        ):
            part = came if form == "bare" else came[-1]
            if capability == "tag":
                assert part is handle
            elif form == "bare":
                assert part is content
            else:
                assert part is handle if capability == "val" else part.value is content


async def _never(mailbox: remuda.Mailbox[Any]) -> None:
    """An agent that takes one message, and no more."""
    await mailbox.recv()
    await asyncio.Event().wait()


TestPrograms = Programs.TestCase
TestPrograms.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
