"""The checker against random programs: their paths are walked one by one, and it has to know what happens on any.

A program here makes, sends and uses isos, with branches, loops and exceptions around. The walk decides at each test and
at each call that may raise; all decisions are tried, up to a number of turns of a loop. What is used after a move on
any of the paths is wrong, and nothing else is.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from remuda.check import check_source

NAMES = ("a", "b")
MOST_PATHS = 4_000
MOST_TURNS = 3

HEAD = """\
from remuda import AgentRef, MailboxFull, iso


async def program(agent: AgentRef[object], test, a, b) -> None:
    a = iso([])
    b = iso([])
"""


class Out(Exception):
    """A way out of a block: `break`, `continue`, `return`, or what a program raises."""


class Decisions:
    """Answers to the questions of one walk; afterwards, those of the next."""

    def __init__(self) -> None:
        self._taken: list[tuple[int, int]] = []
        self._at = 0

    def decide(self, choices: int) -> int:
        """One of so many choices."""
        if self._at == len(self._taken):
            self._taken.append((0, choices))
        self._at += 1
        return self._taken[self._at - 1][0]

    def advance(self) -> bool:
        """Prepares the next walk; False if there is none left."""
        self._at = 0
        while self._taken:
            choice, choices = self._taken.pop()
            if choice + 1 < choices:
                self._taken.append((choice + 1, choices))
                return True
        return False


class Walk:
    """Runs a program along one path, and notes which lines use what was moved."""

    def __init__(self, decisions: Decisions) -> None:
        self.decisions = decisions
        self.wrong: set[int] = set()
        self.owned: dict[str, list[bool]] = {}

    def use(self, node: ast.Name) -> list[bool]:
        """Looks at what a name leads to."""
        handle = self.owned[node.id]
        if not handle[0]:
            self.wrong.add(node.lineno)
        return handle

    def body(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            getattr(self, f"do_{type(statement).__name__.lower()}")(statement)

    def test(self) -> bool:
        """`test()` is true or false, or raises."""
        choice = self.decisions.decide(3)
        if choice == 2:
            raise Out("error")
        return choice == 1

    def do_assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        assert isinstance(target, ast.Name)
        if isinstance(node.value, ast.Name):
            self.owned[target.id] = self.use(node.value)
        else:
            self.owned[target.id] = [True]

    def do_expr(self, node: ast.Expr) -> None:
        assert isinstance(node.value, ast.Call)
        name = node.value.args[0]
        assert isinstance(name, ast.Name)
        handle = self.use(name)
        if isinstance(node.value.func, ast.Attribute):
            choice = self.decisions.decide(3)
            if choice:
                raise Out("full" if choice == 1 else "error")
            handle[0] = False

    def do_if(self, node: ast.If) -> None:
        self.body(node.body if self.test() else node.orelse)

    def do_while(self, node: ast.While) -> None:
        for _ in range(MOST_TURNS):
            if not self.test():
                self.body(node.orelse)
                return
            try:
                self.body(node.body)
            except Out as way:
                if way.args[0] == "break":
                    return
                if way.args[0] != "continue":
                    raise
        raise Out("endless")

    def do_try(self, node: ast.Try) -> None:
        try:
            self.inner(node)
        except Out as way:
            if way.args[0] != "endless":
                self.body(node.finalbody)
            raise
        self.body(node.finalbody)

    def inner(self, node: ast.Try) -> None:
        try:
            if self.decisions.decide(2):
                raise Out("error")  # an exception is always possible
            self.body(node.body)
        except Out as way:
            sends = any("send" in ast.unparse(statement) for statement in node.body)
            for handler in node.handlers:
                # What a body without a send raises may be a refused send of a function that it calls.
                everything = ast.unparse(handler.type or node) == "Exception" or not sends
                if way.args[0] == "full" or (way.args[0] == "error" and everything):
                    self.body(handler.body)
                    return
            raise
        self.body(node.orelse)

    def do_return(self, _: ast.Return) -> None:
        raise Out("return")

    def do_break(self, _: ast.Break) -> None:
        raise Out("break")

    def do_continue(self, _: ast.Continue) -> None:
        raise Out("continue")


def wrong_lines(source: str) -> set[int] | None:
    """The lines that use what was moved, on any path; None if there are too many paths."""
    function = ast.parse(source).body[-1]
    assert isinstance(function, ast.AsyncFunctionDef)
    decisions = Decisions()
    wrong: set[int] = set()
    for _ in range(MOST_PATHS):
        walk = Walk(decisions)
        with contextlib.suppress(Out):
            walk.body(function.body)
        wrong |= walk.wrong
        if not decisions.advance():
            return wrong
    return None


def block(draw: st.DrawFn, depth: int, loop: bool, aliases: bool) -> list[str]:
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        lines += statement(draw, depth, loop, aliases)
    return lines


def indented(lines: list[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def statement(draw: st.DrawFn, depth: int, loop: bool, aliases: bool) -> list[str]:
    simple = (
        ["make", "use", "send", "send", "return"]
        + ["break", "continue"] * loop
        + ["alias"] * aliases
    )
    kind = draw(st.sampled_from([*simple, *["if", "while", "try", "finally"] * (depth > 0)]))
    name = draw(st.sampled_from(NAMES))
    if kind == "make":
        return [f"{name} = iso([])"]
    if kind == "use":
        return [f"print({name})"]
    if kind == "send":
        return [f"agent.send_nowait({name})"]
    if kind == "alias":
        return [f"{name} = {draw(st.sampled_from(NAMES))}"]
    if kind in ("return", "break", "continue"):
        return ["if test():", f"    {kind}"]
    if kind == "if":
        lines = ["if test():", *indented(block(draw, depth - 1, loop, aliases))]
        if draw(st.booleans()):
            lines += ["else:", *indented(block(draw, depth - 1, loop, aliases))]
        return lines
    if kind == "while":
        return ["while test():", *indented(block(draw, depth - 1, True, aliases))]
    lines = ["try:", *indented(block(draw, depth - 1, loop, aliases))]
    if kind == "try":
        caught = draw(st.sampled_from(["MailboxFull", "Exception"]))
        lines += [f"except {caught}:", *indented(block(draw, depth - 1, loop, aliases))]
        if draw(st.booleans()):
            lines += ["else:", *indented(block(draw, depth - 1, loop, aliases))]
    else:
        lines += ["finally:", *indented(finale(draw))]
    return lines


def finale(draw: st.DrawFn) -> list[str]:
    """What a `finally` does. It has no way out of its own: that would hide an exception."""
    name = draw(st.sampled_from(NAMES))
    ends: tuple[list[str], ...] = (
        [],
        [f"{name} = iso([])"],
        ["if test():", f"    agent.send_nowait({name})"],
    )
    return [f"print({name})", *draw(st.sampled_from(ends))]


@st.composite
def programs(draw: st.DrawFn, aliases: bool = False) -> str:
    """A program."""
    return HEAD + "".join(f"    {line}\n" for line in block(draw, 2, False, aliases))


def found_lines(source: str) -> set[int]:
    findings = check_source(source)
    assert {found.code for found in findings} <= {"RMD101", "RMD102"}
    return {found.line for found in findings}


SETTINGS = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@SETTINGS
@given(programs())
def test_exactly_what_is_wrong_on_some_path(source: str) -> None:
    """Without aliases, what is reported is what is wrong on some path."""
    wrong = wrong_lines(source)
    assume(wrong is not None)
    assert found_lines(source) == wrong


@SETTINGS
@given(programs(aliases=True))
def test_nothing_is_missed_among_aliases(source: str) -> None:
    """With aliases, all that is wrong on some path is reported; perhaps more, since names are joined one by one."""
    wrong = wrong_lines(source)
    assume(wrong is not None)
    assert wrong is not None
    assert found_lines(source) >= wrong
