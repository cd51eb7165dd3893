"""What happens to objects: they are made, used, moved, frozen, changed. Reports what must not happen.

This is the meaning of the capabilities, apart from how a program spells them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from remuda.check.finding import Site
from remuda.check.module import Module
from remuda.check.scopes import Scope
from remuda.check.state import NOWHERE, UNKNOWN, Ids, State, Thing
from remuda.check.types import MUTABLE, NEVER_SENT, Type, show

__all__ = ["Message", "Objects", "Report", "Reports", "key_of", "path_of", "root_of"]

LOCAL: Final = {
    "ref": "belongs to the agent that made it",
    "trn": "may still be written by the one who made it",
    "box": "is a view of what others may write",
}
"""Capabilities that never leave an agent, and why."""


@dataclass(frozen=True)
class Report:
    """A finding before it is given its file and columns in characters."""

    code: str
    line: int
    column: int
    message: str
    related: Site | None
    lines: tuple[int, int]


@dataclass
class Reports:
    """What was found so far.

    A later report on the same place and matter replaces an earlier one: it knows more paths.
    """

    found: dict[tuple[int, int, str], Report] = field(default_factory=dict)


@dataclass
class Message:
    """What is about to be sent.

    Attributes:
        node: The expression.
        ids: The objects that it may be.
    """

    node: ast.expr
    ids: Ids


def path_of(node: ast.expr) -> str | None:
    """The name or path that an expression is: `self.buffer`, `table['rows']`; None if it is something else."""
    path = ""
    while True:
        if isinstance(node, ast.Name):
            return node.id + path
        if isinstance(node, ast.Attribute):
            path = f".{node.attr}{path}"
        elif isinstance(node, ast.Subscript):
            key = key_of(node.slice)
            if key is None:
                return None
            path = f"[{key!r}]{path}"
        else:
            return None
        node = node.value


def root_of(path: str) -> str:
    """The name that a path begins with."""
    return path.partition(".")[0].partition("[")[0]


def key_of(node: ast.expr) -> str | int | None:
    """The text or the number that is written there: `"rows"`, `0`, `-1`; None if it is something else."""
    if isinstance(node, ast.Constant):
        key = node.value
        return key if isinstance(key, str | int) and not isinstance(key, bool) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = key_of(node.operand)
        return -number if isinstance(number, int) else None
    return None


def _called(thing: Thing) -> str:
    """How to call an object of a known type in a report."""
    name = show(thing.type).partition("[")[0]
    if not thing.open:
        return name
    return "mutable payload" if name == "Message" else f"{name} with a mutable object in it"


class Objects:
    """The objects of one function, while it is gone through.

    Attributes:
        module: The file.
        scope: The function's scope.
        state: What is known at the current point.
        reports: Where to say what is wrong; None while only the effect of the function is asked for.
        late: States in which the current step may raise, beside the one before it.
        late_within: Those in which a function of the file may that it calls; not because a send failed.
        moving: Whether the current step has moved something already.
        lines: The lines of the current statement.
        expected: Codes that the program around expects to be raised as errors.
        volatile: The names that other functions bind, too.
    """

    def __init__(self, module: Module, scope: Scope, reports: Reports | None) -> None:
        self.module = module
        self.scope = scope
        self.reports = reports
        self.state = State({}, {})
        self.late: list[State] = []
        self.late_within: list[State] = []
        self.moving = False
        self.lines = (0, 0)
        self.expected: frozenset[str] = frozenset()
        self.volatile = scope.shared() if module.rebinds else frozenset[str]()
        self._numbers: dict[object, int] = {}
        self._parts: set[int] = set()
        self._isos = False

    def report(
        self, code: str, node: ast.expr | ast.stmt, message: str, related: Site | None = None
    ) -> None:
        """Says what is wrong."""
        if self.reports is None or code in self.expected:
            return
        matter = "use" if code in ("RMD101", "RMD102", "RMD103") else code
        self.reports.found[node.lineno, node.col_offset, matter] = Report(
            code, node.lineno, node.col_offset, message, related, self.lines
        )

    def make(self, key: object, thing: Thing) -> Ids:
        """A new object, made at a place of the source."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = 2 * len(self._numbers) + 2
        if thing.part_of:
            self._parts |= {number, number + 1}
        if thing.cap == "iso":
            self._isos = True
        return self.state.add(number, thing)

    def things(self, ids: Ids) -> list[tuple[int, Thing]]:
        """The known ones among some objects."""
        known = self.state.things
        if len(ids) == 1:
            (number,) = ids
            return [(number, known[number])] if number in known else []
        return [(number, known[number]) for number in sorted(ids) if number in known]

    def certain(self, ids: Ids) -> list[Thing]:
        """The objects, if all of them are known; else none."""
        known = self.state.things
        if len(ids) == 1:
            (number,) = ids
            return [known[number]] if number in known else []
        if any(number not in known for number in ids):
            return []
        return [known[number] for number in sorted(ids)]

    def named(self, node: ast.expr, ids: Ids) -> Ids:
        """The same objects; if they are unknown, and a name leads to them, one that can be followed from now on."""
        path = path_of(node)
        if path is None:
            return ids
        part = not isinstance(node, ast.Name) and all(thing.part_of for thing in self.certain(ids))
        if ids != UNKNOWN and not part:
            return ids
        made = self.make(("named", id(node)), Thing())
        self.state.bind(path, made)
        return made

    # Use

    def use(self, node: ast.expr, ids: Ids, what: str = "") -> None:
        """Something is looked at: it must not have been moved."""
        things = self.state.things
        for number in ids:
            thing = things.get(number)
            if thing is not None and thing.moved and thing.gone:
                break
        else:
            return
        moved = [(number, thing) for number, thing in self.things(ids) if thing.gone]
        sites = sorted({site for _, thing in moved for site in thing.moved})
        before = [site for site in sites if not site.contains(node)]
        site = before[0] if before else sites[0]
        surely = len(moved) == len(ids) and all(thing.surely for _, thing in moved)
        name = what or path_of(node) or "this"
        handle = any(thing.cap in ("iso", "any") for _, thing in moved)
        if not before:
            self.report(
                "RMD102",
                node,
                f"expected {name} to be made anew in each turn of the loop, but it was {site.verb} in an earlier turn",
                site,
            )
            return
        when = "was" if surely else "may have been"
        if handle:
            text = f"{name} is used after it {when} {site.verb} on line {site.line}"
            self.report("RMD101", node, text, site)
        else:
            text = (
                f"{name} is used, but it is part of an iso that {when} {site.verb} on line {site.line}: "
                "it belongs to the receiver"
            )
            self.report("RMD103", node, text, site)

    # Move

    def move(self, message: Message, node: ast.expr | ast.stmt, verb: str, to: str) -> None:
        """A message leaves: what is iso in it is moved, what may not leave is reported.

        Args:
            message: What leaves.
            node: The call, or the statement, that does it.
            verb: What that does to the message: "sent", "returned".
            to: Whom it goes to, for reports.
        """
        site = Site.of(node, verb)
        isolated: set[int] = set()
        seen: set[int] = set()
        left = list(message.ids)
        while left:
            number = left.pop()
            thing = self.state.things.get(number)
            if thing is None or number in seen:
                continue
            seen.add(number)
            if thing.twice is not None:
                self._not_unique(thing.twice, message.node)
            if thing.cap in LOCAL:
                self.report(
                    "RMD105",
                    message.node,
                    f"expected what is {verb} to {to} to be an iso, a val or a tag, found a {thing.cap}, which "
                    f"{LOCAL[thing.cap]}",
                )
            elif thing.cap in ("iso", "any"):
                isolated.add(number)
                left += thing.holds
            elif thing.cap == "" and not thing.immutable:
                left += thing.holds
        surely = len(message.ids) == 1
        for number in isolated:
            self._mark_moved(number, site, surely=surely or number not in message.ids)
        if isolated:
            self.moving = True

    def _not_unique(self, second: Site, near: ast.expr) -> None:
        spot = ast.Name(id="", lineno=second.line, col_offset=second.column, ctx=ast.Load())
        self.report(
            "RMD108",
            spot,
            "expected an iso to be in a message once, and nothing of its content beside it; found it a second time",
            Site.of(near, "sent"),
        )

    def _mark_moved(self, number: int, site: Site, *, surely: bool, content: bool = True) -> None:
        """Marks an iso as moved, and what is in it."""
        marked = {number}
        thing = self.state.things[number]
        left = list(thing.holds) if content else []
        direct = set(left)
        while left:
            one = left.pop()
            inner = self.state.things.get(one)
            if inner is None or one in marked or inner.immutable:
                continue
            if one in direct or inner.mutable or inner.cap == "iso":
                marked.add(one)
            left += inner.holds
        for one in sorted(marked | self._parts):
            inner = self.state.things.get(one)
            if inner is not None and (one in marked or (content and inner.part_of & marked)):
                moved = inner.moved | {site}
                itself, certain = inner.itself or one in marked, inner.surely or surely
                if (moved, itself, certain) != (inner.moved, inner.itself, inner.surely):
                    now = inner._replace(moved=moved, itself=itself, surely=certain)
                    self.state.update(one, now)

    def consume(self, node: ast.Call, ids: Ids, verb: str, cap: str) -> Ids:
        """Empties the handle; what was in it is in a new one."""
        handles = [
            (n, thing) for n, thing in self.things(ids) if thing.cap in ("iso", "any", "trn")
        ]
        if not handles:
            return UNKNOWN
        holds = NOWHERE.union(*(thing.holds for _, thing in handles))
        kind = handles[0][1].type
        for number, _ in handles:
            self._mark_moved(number, Site.of(node, verb), surely=len(ids) == 1, content=False)
        self.moving = True
        return self.make(id(node), Thing(cap, kind, holds))

    def freeze(self, node: ast.Call, message: Message) -> Ids:
        """`val`: what is given becomes immutable, whoever else refers to it."""
        site = Site.of(node, "made a val")
        things = self.things(message.ids)
        for number, thing in things:
            if thing.cap == "iso":
                continue  # like share: a val may be made of what nobody else can write
            if self._reaches_iso(number):
                self.report(
                    "RMD108",
                    message.node,
                    "expected no iso within a val: a val is shared, an iso has one owner",
                )
            if not thing.immutable:
                self.state.update(number, thing._replace(frozen=site))
        kind = things[0][1].type if len(things) == 1 else Thing().type
        for number, thing in things:
            if thing.cap == "iso":
                self._mark_moved(number, Site.of(node, "made a val"), surely=len(message.ids) == 1)
        return self.make(id(node), Thing("val", kind))

    def _reaches_iso(self, number: int) -> bool:
        seen: set[int] = set()
        left = list(self.state.things[number].holds)
        while left:
            one = left.pop()
            thing = self.state.things.get(one)
            if thing is None or one in seen:
                continue
            seen.add(one)
            if thing.cap == "iso":
                return True
            left += thing.holds
        return False

    # Uniqueness within one message

    def second_way(self, parts: Sequence[tuple[ast.expr, Ids]]) -> Site | None:
        """The part through which an iso, or its content, comes into a message a second time."""
        if not self._isos:
            return None
        seen: set[int] = set()
        for node, ids in parts:
            if len(ids) != 1:
                continue
            reached = self._isolated(ids)
            if not reached and seen & self._reachable(ids):
                return Site.of(node, "there")
            if reached & seen:
                return Site.of(node, "there")
            seen |= reached
        # The content may come before the iso.
        seen = set()
        for node, ids in parts:
            if len(ids) == 1:
                if self._isolated(ids) & seen:
                    return Site.of(node, "there")
                seen |= self._reachable(ids)
        return None

    def _reachable(self, ids: Iterable[int]) -> set[int]:
        found: set[int] = set()
        left = list(ids)
        while left:
            one = left.pop()
            thing = self.state.things.get(one)
            if thing is None or one in found or thing.immutable:
                continue
            found.add(one)
            left += thing.holds
        return found

    def _isolated(self, ids: Iterable[int]) -> set[int]:
        """The isos among what is reachable, with what is in them."""
        found: set[int] = set()
        for one in self._reachable(ids):
            if self.state.things[one].cap == "iso":
                found |= self._reachable((one,))
        return found

    # Bare mutable objects

    def bare(self, node: ast.expr, ids: Ids) -> str | None:
        """How to call the mutable object that this can only be; None if it may be something else."""
        certain = self.certain(ids)
        if not certain:
            return None
        for thing in certain:
            if thing.cap or not (thing.open or self._frozen(thing.type.name) is False):
                return None
        return " or ".join(sorted({_called(thing) for thing in certain}))

    def _frozen(self, name: str) -> bool | None:
        """Whether objects of a type can't be changed, apart from what they hold; None if that isn't certain."""
        if name.startswith("class "):
            return self.module.frozen(name.removeprefix("class "))
        if name in MUTABLE or name in NEVER_SENT:
            return False
        return True if name in ("tuple", "envelope") else None

    def opens(self, kind: Type, parts: Sequence[tuple[ast.expr, Ids]]) -> bool:
        """Whether an object of such a type, made of these parts, surely holds what can be changed."""
        return bool(self._frozen(kind.name)) and any(self.bare(part, ids) for part, ids in parts)

    # What others may have done

    def touched(self, node: ast.expr, ids: Ids) -> None:
        """An object was given to somebody who may have put something else into it."""
        path = path_of(node)
        if path is not None:
            self.state.forget_parts(path)
        self.state.forget_parts_of(ids)
        for number, thing in self.things(ids):
            if thing.emptied is not None:
                self.state.update(number, thing._replace(emptied=None))

    def others_ran(self) -> None:
        """Code from elsewhere was called, or waited for: names that it may bind lead to something unknown."""
        for name in self.volatile:
            self.state.forget_parts(name)
        self.state.forget(self.volatile)

    # Mutation

    def mutate(self, node: ast.expr | ast.stmt, base: ast.expr, ids: Ids) -> None:
        """Something is changed in place: it must be neither immutable nor somebody else's."""
        for number, thing in self.things(ids):
            name = path_of(base) or "this"
            if thing.emptied is not None:
                self.state.update(number, thing._replace(emptied=None))
            if thing.cap == "val":
                self.report(
                    "RMD104",
                    node,
                    f"expected {name} to be left as it is, since it is a val: it is shared",
                )
            elif thing.cap == "box":
                self.report("RMD104", node, f"expected {name} to be only read, since it is a box")
            elif thing.frozen is not None:
                text = f"expected {name} to be left as it is: it was made a val on line {thing.frozen.line}"
                self.report("RMD104", node, text, thing.frozen)
            if thing.part_of and thing.moved:
                site = min(thing.moved)
                when = "was" if thing.surely else "may have been"
                text = (
                    f"{name} is changed, but it is part of an iso that {when} {site.verb} on line {site.line}: "
                    "it belongs to the receiver"
                )
                self.report("RMD103", base, text, site)
