"""What the patterns of a `match` bind."""

from __future__ import annotations

import ast

from remuda.check.blocks import Step
from remuda.check.calls import Calls
from remuda.check.state import UNKNOWN, Ids, Thing
from remuda.check.types import Type, is_builtin

__all__ = ["Patterns"]


class Patterns(Calls):
    """Knows what is captured."""

    def subject(self, step: Step) -> None:
        """Looks at what is matched. Of a tuple that is written there, each part is kept apart."""
        assert isinstance(step.node, ast.Match)
        node = step.node.subject
        self.state.forget_parts("<subject>")
        if not isinstance(node, ast.Tuple) or any(
            isinstance(one, ast.Starred) for one in node.elts
        ):
            self.state.bind("<subject>", self.eval(node))
            return
        found = [self.eval(one) for one in node.elts]
        holds = frozenset(one for ids in found for one in ids if one in self.state.things)
        self.state.bind("<subject>", self.make(id(node), Thing(type=Type("tuple"), holds=holds)))
        for position, ids in enumerate(found):
            self.state.bind(f"<subject>.{position}", ids)
        self.state.bind(f"<subject>.{len(found)}", UNKNOWN)

    def case(self, step: Step) -> None:
        """Binds what one case captures."""
        assert isinstance(step.node, ast.match_case)
        self._capture(step.node.pattern, self.state.names.get("<subject>", UNKNOWN), top=True)

    def _capture(self, pattern: ast.pattern, ids: Ids, *, top: bool = False) -> None:
        if isinstance(pattern, ast.MatchAs):
            if pattern.pattern is not None:
                self._capture(pattern.pattern, ids, top=top)
            self._bind(pattern.name, ids)
        elif isinstance(pattern, ast.MatchOr):
            for one in pattern.patterns:
                self._capture(one, ids, top=top)
        elif isinstance(pattern, ast.MatchStar):
            self._bind(pattern.name, UNKNOWN)
        elif isinstance(pattern, ast.MatchMapping):
            self._bind(pattern.rest, UNKNOWN)
            self._capture_parts(pattern.patterns, ids)
        elif isinstance(pattern, ast.MatchSequence):
            self._sequence(pattern.patterns, ids, top=top)
        elif isinstance(pattern, ast.MatchClass):
            name = self.module.qualified(pattern.cls, self.scope) or ""
            if is_builtin(name) and len(pattern.patterns) == 1:
                self._capture(pattern.patterns[0], ids)  # `list(rows)` is the object itself
            else:
                self._capture_parts([*pattern.patterns, *pattern.kwd_patterns], ids)
        elif isinstance(pattern, ast.MatchValue):
            self.eval(pattern.value)

    def _sequence(self, patterns: list[ast.pattern], ids: Ids, *, top: bool) -> None:
        known = [
            self.state.names.get(f"<subject>.{position}") for position in range(len(patterns) + 1)
        ]
        starred = any(isinstance(one, ast.MatchStar) for one in patterns)
        if not top or starred or known.pop() is None:
            self._capture_parts(patterns, ids)
            return
        for one, its in zip(patterns, known, strict=True):
            self._capture(one, UNKNOWN if its is None else its)

    def _capture_parts(self, patterns: list[ast.pattern], ids: Ids) -> None:
        for one in patterns:
            self._capture(one, self.part(one, ids))

    def _bind(self, name: str | None, ids: Ids) -> None:
        if name is not None:
            self.bind(ast.Name(name, ast.Store()), ids)
