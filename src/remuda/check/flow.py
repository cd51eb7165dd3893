"""The control-flow graph of a function.

A block is a run of steps that are done one after the other. It has the blocks that may come next and, apart from them,
those that an exception leads to: such an edge leaves *before* each step, since a step that raises has not happened (a
send that fails hands its message back).

A `finally` is copied for each way out of its `try`: falling through, an exception, and each of `return`, `break` and
`continue`. With a single copy, what was moved before a `return` would seem to be moved after the whole statement too.

Tests are taken apart into their `and`, `or` and `not`; a test that is a constant has one way out. What else happens
within an expression (conditional expressions, comprehensions) has one way in and one way out, and is left to the
evaluator.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from remuda.check.blocks import (
    HANDED_BACK,
    Block,
    Escape,
    Operation,
    Step,
    has_send,
    header,
    irrefutable,
    is_quiet,
    lines,
    sends,
)

__all__ = ["Flow"]

_MOST_BLOCKS: Final = 20_000
"""A graph of more blocks comes of a `finally` within a `finally`, many deep."""

_EXPECTED: Final = {
    "MovedError": {"RMD101", "RMD102", "RMD103"},
    "NotIsolated": {"RMD103", "RMD108"},
    "NotSendable": {"RMD105", "RMD106", "RMD109"},
    "WrongOwner": {"RMD105"},
    "CapabilityError": {f"RMD10{number}" for number in range(1, 10)},
    "FrozenInstanceError": {"RMD104"},
    "AttributeError": {"RMD104"},
    "TypeError": {"RMD104", "RMD107"},
}
"""What a program that catches one of these does on purpose."""

_ENDS: Final = frozenset(
    {
        "sys.exit",
        "os._exit",
        "os.abort",
        "exit",
        "quit",
        "typing.assert_never",
        "pytest.fail",
        "pytest.skip",
    }
)
_RAISES: Final = frozenset({"pytest.raises", "self.assertRaises"})
_CATCH_ALL: Final = frozenset({"Exception", "BaseException"})


@dataclass(eq=False)
class _Loop:
    head: Block
    after: Block


@dataclass(eq=False)
class _Finally:
    body: list[ast.stmt]
    escapes: tuple[Escape, ...]
    copies: dict[str, Block] = field(default_factory=dict)


class Flow:
    """Builds the graph of a function's body, or of a file's.

    Raises:
        RecursionError: The graph would be too large.

    Attributes:
        entry: The first block.
        exit: The block that every `return`, and the end of the body, leads to.
        failure: The block that exceptions lead to which leave the body, if that is asked for.
        blocks: All of them, in about the order in which they are run.
    """

    def __init__(
        self, body: list[ast.stmt], name_of: Callable[[ast.expr], str | None], *, fails: bool
    ) -> None:
        self._name_of = name_of
        self._frames: list[_Loop | _Finally] = []
        self.failure = Block((), frozenset())
        self._escapes: tuple[Escape, ...] = (Escape(self.failure),) if fails else ()
        self._expected: frozenset[str] = frozenset()
        self.blocks: list[Block] = []
        self.exit = Block((), frozenset())
        self.entry = self._block()
        self._at: Block | None = self.entry
        self._body(body)
        self._go(self.exit)
        self._shorten()
        self.blocks += [self.exit, self.failure]
        for position, block in enumerate(self.blocks):
            block.position = position

    def _shorten(self) -> None:
        """Leads past blocks in which nothing is done."""
        shorter: dict[tuple[Escape, ...], tuple[Escape, ...]] = {(): ()}
        for block in self.blocks:
            block.next = list(dict.fromkeys([_beyond(target) for target in block.next]))
            if block.escapes not in shorter:
                shorter[block.escapes] = tuple(
                    [escape._replace(target=_beyond(escape.target)) for escape in block.escapes]
                )
            block.escapes = shorter[block.escapes]

    def _block(self, *before: Block | None) -> Block:
        block = Block(self._escapes, self._expected)
        self.blocks.append(block)
        for source in before:
            if source is not None:
                source.next.append(block)
        return block

    def _later(self) -> Block:
        """A block that takes its place among the others when something leads to it."""
        return Block(self._escapes, self._expected)

    def _go(self, target: Block) -> None:
        """What was being built leads to the target, and nowhere else."""
        if self._at is not None:
            self._at.next.append(target)
        self._at = None

    def _continue_at(self, block: Block) -> None:
        if block not in self.blocks[-1:]:
            self.blocks.append(block)
        self._at = block

    def _step(self, operation: Operation, node: ast.AST, span: tuple[int, int]) -> None:
        if self._at is not None:
            escapes = self._at.escapes
            raises = bool(escapes) and operation != "catch"
            if raises and operation == "do":
                raises = not is_quiet(node, self._name_of)
            refused = raises and any(one.sends_only for one in escapes) and sends(operation, node)
            self._at.steps.append(Step(operation, node, span, raises, refused))

    def _body(self, body: list[ast.stmt]) -> None:
        if len(self.blocks) > _MOST_BLOCKS:
            raise RecursionError("expected fewer copies of finally in one another")
        for statement in body:
            if self._at is None:
                return  # it can't be reached
            visit = _STATEMENTS.get(type(statement))
            if visit is None:
                self._step("do", statement, lines(statement))
            else:
                visit(self, statement)

    # Tests

    def _test(self, test: ast.expr, yes: Block, no: Block) -> None:
        """Leads to one of two blocks."""
        if isinstance(test, ast.Constant):
            self._go(yes if test.value else no)
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            self._test(test.operand, no, yes)
        elif isinstance(test, ast.BoolOp):
            both = isinstance(test.op, ast.And)
            for value in test.values[:-1]:
                going_on = self._later()
                self._test(value, going_on if both else yes, no if both else going_on)
                self._continue_at(going_on)
            self._test(test.values[-1], yes, no)
        else:
            self._step("test", test, lines(test))
            if self._at is not None:
                self._at.next += [yes, no]
            self._at = None

    def _if(self, statement: ast.stmt) -> None:
        after = self._later()
        rest: list[ast.stmt] = [statement]
        # A long chain of elif is nested in the tree; here it is a loop.
        while len(rest) == 1 and isinstance(rest[0], ast.If):
            chain = rest[0]
            yes, no = self._later(), self._later()
            self._test(chain.test, yes, no)
            self._continue_at(yes)
            self._body(chain.body)
            self._go(after)
            self._continue_at(no)
            rest = chain.orelse
        self._body(rest)
        self._go(after)
        self._continue_at(after)

    def _assert(self, statement: ast.stmt) -> None:
        assert isinstance(statement, ast.Assert)
        holds, fails = self._later(), self._later()
        self._test(statement.test, holds, fails)
        self._continue_at(fails)
        if statement.msg is not None:
            self._step("test", statement.msg, lines(statement))
        self._raise_on()
        self._continue_at(holds)

    # Loops

    def _while(self, statement: ast.stmt) -> None:
        assert isinstance(statement, ast.While)
        head = self._block(self._at)
        body, otherwise, after = self._later(), self._later(), self._later()
        self._at = head
        self._test(statement.test, body, otherwise)
        self._loop(statement, head, body, otherwise, after)

    def _for(self, statement: ast.stmt) -> None:
        assert isinstance(statement, ast.For | ast.AsyncFor)
        span = header(statement, statement.iter)
        self._step("iterate", statement, span)
        head = self._block(self._at)
        body, otherwise, after = self._later(), self._later(), self._later()
        head.next += [body, otherwise]
        body.steps.append(Step("next", statement, span, bool(self._escapes)))
        self._at = None
        self._loop(statement, head, body, otherwise, after)

    def _loop(
        self,
        statement: ast.For | ast.AsyncFor | ast.While,
        head: Block,
        body: Block,
        otherwise: Block,
        after: Block,
    ) -> None:
        self._continue_at(body)
        self._frames.append(_Loop(head, after))
        self._body(statement.body)
        self._go(head)
        self._frames.pop()
        self._continue_at(otherwise)
        self._body(statement.orelse)
        self._go(after)
        self._continue_at(after)

    # Ways out

    def _jump(self, way: str) -> None:
        if self._at is not None:
            target = self._unwind(way, len(self._frames))
            self._go(target)

    def _unwind(self, way: str, depth: int) -> Block:
        """Where `return`, `break` or `continue` lead: through copies of each `finally` that is left."""
        while depth:
            depth -= 1
            frame = self._frames[depth]
            if isinstance(frame, _Finally):
                return self._finally_copy(frame, way, depth)
            if way != "return":
                return frame.after if way == "break" else frame.head
        return self.exit

    def _finally_copy(self, frame: _Finally, way: str, depth: int) -> Block:
        if way in frame.copies:
            return frame.copies[way]
        kept = self._frames, self._escapes, self._at
        self._frames, self._escapes = self._frames[:depth], frame.escapes
        self._at = frame.copies[way] = self._block()
        self._body(frame.body)
        if self._at is not None:
            self._go(self._unwind(way, depth))
        self._frames, self._escapes, self._at = kept
        return frame.copies[way]

    def _return(self, statement: ast.stmt) -> None:
        self._step("do", statement, lines(statement))
        self._jump("return")

    def _break(self, _: ast.stmt) -> None:
        self._jump("break")

    def _continue(self, _: ast.stmt) -> None:
        self._jump("continue")

    def _raise(self, statement: ast.stmt) -> None:
        assert isinstance(statement, ast.Raise)
        self._step("do", statement, lines(statement))
        again = statement.exc is None or bool(self._caught(_class_of(statement.exc)) & HANDED_BACK)
        self._raise_on(refused=again)

    def _raise_on(self, *, refused: bool = False) -> None:
        """An exception that is sure leads to the handlers, or out of the function.

        Args:
            refused: Whether it may be that of a failed send.
        """
        if self._at is not None:
            self._at.next += [
                escape.target for escape in self._escapes if refused or not escape.sends_only
            ]
        self._at = None

    def _expression(self, statement: ast.stmt) -> None:
        assert isinstance(statement, ast.Expr)
        self._step("do", statement, lines(statement))
        value = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
        if isinstance(value, ast.Call) and self._name_of(value.func) in _ENDS:
            self._raise_on()

    # Exceptions

    def _outer(self, escapes: list[Escape]) -> tuple[Escape, ...]:
        """These, and those around them that something gets to in spite of these."""
        if any(escape.catches_all for escape in escapes):
            return tuple(escapes)
        taken = frozenset[str]().union(*(escape.names for escape in escapes))
        if "SendError" in taken:
            taken |= HANDED_BACK
        beyond = [one for one in self._escapes if not (one.sends_only and one.names <= taken)]
        return (*escapes, *beyond)

    def _try(self, statement: ast.stmt) -> None:
        assert isinstance(statement, ast.Try | ast.TryStar)
        frame: _Finally | None = None
        kept = self._escapes
        raised, refused = self._later(), self._later()
        if statement.finalbody:
            frame = _Finally(statement.finalbody, kept)
            self._frames.append(frame)
            self._escapes = (Escape(raised, catches_all=True),)
            if any(escape.sends_only for escape in kept):
                self._escapes = (
                    Escape(refused, sends_only=True, names=HANDED_BACK),
                    *self._escapes,
                )
        after = self._later()
        self._handled(statement, after)
        if frame is not None:
            self._frames.pop()
            self._escapes = kept
            after.escapes = kept
            for block in (raised, refused):
                self._continue_at(block)
                self._body(statement.finalbody)
                self._raise_on(refused=block is refused)
            self._continue_at(after)
            self._body(statement.finalbody)
        else:
            self._continue_at(after)

    def _handled(self, statement: ast.Try | ast.TryStar, after: Block) -> None:
        entries: list[Escape] = []
        expected: set[str] = set()
        for handler in statement.handlers:
            names = self._caught(handler.type)
            taken = names if handler.type is not None else _CATCH_ALL
            entries.append(self._escape(taken, statement.body))
            expected.update(*(_EXPECTED.get(name, ()) for name in names & {"MovedError"}))
        kept = self._escapes, self._expected
        self._escapes, self._expected = self._outer(entries), self._expected | expected
        self._at = body = self._block(self._at)
        body.enters = True
        self._body(statement.body)
        self._escapes, self._expected = kept
        if self._at is not None:
            self._at = self._block(self._at)
        self._body(statement.orelse)
        self._go(after)
        for handler, entry in zip(statement.handlers, entries, strict=True):
            self._continue_at(entry.target)
            self._step("catch", handler, (handler.lineno, handler.lineno))
            self._body(handler.body)
            self._go(after)

    def _escape(self, names: frozenset[str], body: list[ast.stmt]) -> Escape:
        """A way out of a body for errors of these names."""
        refusal = bool(names) and names <= HANDED_BACK
        return Escape(
            self._later(),
            sends_only=refusal and has_send(body),
            catches_all=bool(names & _CATCH_ALL),
            names=names & HANDED_BACK,
            refusal=refusal,
        )

    def _caught(self, node: ast.expr | None) -> frozenset[str]:
        """The names, without their modules, of the classes that a handler names."""
        parts = node.elts if isinstance(node, ast.Tuple) else [node] if node is not None else []
        names = set()
        for part in parts:
            full = self._name_of(part)
            if full is not None:
                names.add(full.rpartition(".")[2])
            else:
                names.add(part.attr if isinstance(part, ast.Attribute) else ast.dump(part)[:40])
        return frozenset(names)

    def _with(self, statement: ast.stmt) -> None:
        assert isinstance(statement, ast.With | ast.AsyncWith)
        kept = self._escapes, self._expected
        exits: list[tuple[Block, bool]] = []
        for item in statement.items:
            self._step("enter", item, header(statement, statement.items[-1].context_expr))
            call = item.context_expr
            if not isinstance(call, ast.Call):
                continue
            name = self._name_of(call.func) or ast.unparse(call.func)
            if name != "contextlib.suppress" and name not in _RAISES:
                continue
            caught = frozenset[str]().union(*(self._caught(part) for part in call.args))
            escape = self._escape(caught, statement.body)
            exits.append((escape.target, name in _RAISES))
            self._escapes = self._outer([escape])
            if name in _RAISES:
                self._expected |= frozenset().union(*(_EXPECTED.get(one, ()) for one in caught))
        if exits and self._at is not None:
            self._at = self._block(self._at)
        self._body(statement.body)
        self._escapes, self._expected = kept
        for after, must_raise in reversed(exits):
            if must_raise:
                self._at = None
            self._go(after)
            self._continue_at(after)
        if exits and self._at is not None:
            self._at = self._block(self._at)

    def _match(self, statement: ast.stmt) -> None:
        assert isinstance(statement, ast.Match)
        self._step("subject", statement, header(statement, statement.subject))
        after = self._later()
        for case in statement.cases:
            span = (case.pattern.lineno, case.pattern.end_lineno or case.pattern.lineno)
            matched, other = self._later(), self._later()
            if self._at is not None:
                self._at.next.append(matched)
                if not irrefutable(case.pattern):
                    self._at.next.append(other)
            self._continue_at(matched)
            matched.steps.append(Step("case", case, span))
            if case.guard is not None:
                body = self._later()
                self._test(case.guard, body, other)
                self._continue_at(body)
            self._body(case.body)
            self._go(after)
            self._continue_at(other)
        self._go(after)
        self._continue_at(after)


def _beyond(block: Block) -> Block:
    """The first block from here on in which something is done, or from which there is a choice."""
    seen: list[Block] = []
    while not block.steps and len(block.next) == 1 and not block.enters and block not in seen:
        seen.append(block)
        block = block.next[0]
    return block


def _class_of(node: ast.expr) -> ast.expr:
    """The class in `raise Class` and `raise Class(...)`."""
    return node.func if isinstance(node, ast.Call) else node


_STATEMENTS: Final[dict[type[ast.stmt], Callable[[Flow, ast.stmt], None]]] = {
    ast.If: Flow._if,
    ast.Assert: Flow._assert,
    ast.While: Flow._while,
    ast.For: Flow._for,
    ast.AsyncFor: Flow._for,
    ast.Return: Flow._return,
    ast.Break: Flow._break,
    ast.Continue: Flow._continue,
    ast.Raise: Flow._raise,
    ast.Expr: Flow._expression,
    ast.Try: Flow._try,
    ast.TryStar: Flow._try,
    ast.With: Flow._with,
    ast.AsyncWith: Flow._with,
    ast.Match: Flow._match,
}
