"""What calls do: those of Remuda's functions, of methods that carry messages, and of the file's own functions."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from remuda.check.capabilities import HANDLES
from remuda.check.classes import Class
from remuda.check.finding import Site
from remuda.check.messages import Messages
from remuda.check.module import CARRIERS
from remuda.check.objects import path_of, root_of
from remuda.check.parts import of_type
from remuda.check.scopes import Function, Method, statements
from remuda.check.state import NOWHERE, UNKNOWN, Ids, Thing
from remuda.check.types import ANY, MAKERS, MUTABLE, Type, is_builtin, parse, result

__all__ = ["Calls"]

_MAKES: Final = {**HANDLES, "iso": "iso", "val": "val", "freeze": "val"}

_ADDS: Final = frozenset(
    {"append", "add", "insert", "extend", "appendleft", "extendleft", "update", "setdefault"}
)
_REMOVES: Final = frozenset({"pop", "popitem", "popleft", "remove", "clear", "discard"})
_CHANGES: Final = (
    _ADDS
    | _REMOVES
    | {
        "sort",
        "reverse",
        "rotate",
        "fill",
        "resize",
        "intersection_update",
        "difference_update",
        "symmetric_difference_update",
        "__setitem__",
        "__delitem__",
    }
)
_ONLY_CHANGES: Final = frozenset(
    {"append", "popitem", "popleft", "setdefault", "pop", "__setitem__"}
)
"""Methods that change what they are called on, also where the result is used and the type isn't known."""

_CHANGERS: Final = frozenset(
    {
        "setattr",
        "delattr",
        "random.shuffle",
        "heapq.heappush",
        "heapq.heappop",
        "heapq.heapify",
        "heapq.heapreplace",
        "bisect.insort",
        "bisect.insort_left",
        "bisect.insort_right",
    }
)
_VIEWS: Final = frozenset({"get", "keys", "values", "items"})
"""Methods that give back what lies in their object."""

_LOOKERS: Final = frozenset({"isinstance", "id", "type"})
_TRANSPARENT: Final = frozenset({"asyncio.wait_for", "asyncio.shield", "asyncio.ensure_future"})
"""They raise what the awaitable in them raises: where a send in them fails, nothing was moved."""


class Calls(Messages):
    """An evaluator that knows calls."""

    def attribute(self, class_name: str, attribute: str) -> Thing:
        """What an attribute of a class of the file leads to, by its annotation or all that it is given."""
        for known in self.module.line(class_name):
            if known.given is None:
                known.given = self._all_given(known)
            thing = known.given.get(attribute)
            if thing is not None:
                return thing
        return Thing()

    def _all_given(self, known: Class) -> dict[str, Thing]:
        """What the attributes of a class lead to: by annotations in it, or else what its methods give to `self`."""
        given: dict[str, set[Thing]] = {}
        for method in known.methods.values():
            for name, value in _self_values(method):
                given.setdefault(name, set()).add(self._given_thing(value))
        found = {
            name: things.pop() if len(things) == 1 else Thing() for name, things in given.items()
        }
        for name, annotation in known.scope.annotations.items():
            found[name] = of_type(parse(annotation, self.module))
        return found

    def _given_thing(self, value: ast.expr | None) -> Thing:
        if not isinstance(value, ast.Call):
            return of_type(parse(value, self.module))
        name = self.module.qualified(value.func, self.module.scope) or ""
        cap = _MAKES.get(name.removeprefix("remuda.")) if name.startswith("remuda.") else None
        return Thing() if cap is None else Thing(cap)

    def call(self, node: ast.Call) -> Ids:
        """What a call does and returns."""
        function = node.func
        name = self.module.called(function, self.scope)
        if name is not None and name.startswith("remuda."):
            special = _REMUDA.get(name.removeprefix("remuda."))
            if special is not None:
                return special(self, node)
        elif isinstance(function, ast.Attribute):
            if function.attr in CARRIERS and len(node.args) == 1:
                return self._send_method(node, function)
            if function.attr == "spawn" and node.args:
                return self._spawn_method(node, function)
            return self._method(node, function, name)
        elif isinstance(function, ast.Name) and function.id in self.module.classes:
            owner = self.scope.owner(function.id)
            if owner is self.module.scope:
                return self._construct(node, function.id)
        elif isinstance(function, ast.Name) and len(node.args) == 1:
            methods = self.certain(self.state.names.get(function.id, NOWHERE))
            if len(methods) == 1 and methods[0].method:
                return self.send_by(node, methods[0])
        if name in MAKERS:
            self._arguments(node)
            return self.make(id(node), Thing(type=Type(MAKERS[name])))
        if name in _LOOKERS:
            for argument in node.args:
                self.peek(argument)
            return UNKNOWN
        return self._plain(node, name)

    # Everything else

    def _construct(self, node: ast.Call, name: str) -> Ids:
        """An object of a class of the file; it holds what its `__init__` keeps."""
        init = self.module.classes[name].methods.get("__init__")
        if init is None:
            parts = [*node.args, *(keyword.value for keyword in node.keywords)]
            made = self.compound(node, Type(f"class {name}"), parts)
        else:
            found = self._arguments(node)
            kept = _kept(init)
            names = [argument.arg for argument in init.args.args[1:]]
            holds: Ids = NOWHERE
            for position, (_, ids) in enumerate(found[: len(node.args)]):
                if position < len(names) and names[position] in kept:
                    holds |= ids
            for keyword, (_, ids) in zip(node.keywords, found[len(node.args) :], strict=True):
                if keyword.arg in kept:
                    holds |= ids
            holds = frozenset(one for one in holds if one in self.state.things)
            made = self.make(id(node), Thing(type=Type(f"class {name}"), holds=holds))
        self._may_raise()
        return made

    def _method(self, node: ast.Call, function: ast.Attribute, name: str | None) -> Ids:
        base = self.eval(function.value)
        moving = self.moving
        found = self._arguments(node)
        if self.moving and not moving:
            self.use(function.value, base)  # it is called when the arguments are there
        things = self.things(base)
        if function.attr == "copy":
            copy = self.copy(node, base)
            if copy is not UNKNOWN:
                return copy
        if things and function.attr in _CHANGES:
            sure = any(thing.type.name in MUTABLE for _, thing in things)
            if sure or node is self.discarded or function.attr in _ONLY_CHANGES:
                self.mutate(node, function.value, base)
            if function.attr in _ADDS:
                for _, ids in found:
                    self.hold(base, ids)
            elif function.attr in _REMOVES:
                self._drop_parts(base)
        elif function.attr == "share" and any(thing.cap == "iso" for _, thing in things):
            return self.consume(node, base, "shared", "val")
        elif function.attr == "take" and any(thing.cap == "iso" for _, thing in things):
            return self.consume(node, base, "taken", "")
        view = function.attr in _VIEWS and any(thing.cap in ("val", "box") for _, thing in things)
        given = result(self.type_of(function.value, base), function.attr)
        if view or given.name.startswith("dict_"):
            return self.part(node, base, Thing(type=given))
        for _, thing in things:
            element = thing.type.args
            if (
                thing.type.name == "remuda.Mailbox"
                and function.attr in ("recv", "recv_nowait")
                and element
            ):
                return self.make(id(node), of_type(element[0]))
            if thing.type.name == "remuda.Sender" and function.attr == "clone":
                return base
        if name is not None and name in _CHANGERS and found:
            self.mutate(node, node.args[0], found[0][1])
        if function.attr in _CHANGES or not all(thing.mutable for _, thing in things) or not things:
            self._given_away(function.value, base)
        for argument, ids in found:
            self.touched(argument, ids)
        self.others_ran()
        method = self._own_method(things, function.attr)
        if method is not None:
            self._apply(node, method, found, skip=1)
        if name == "functools.partial":
            return self._partial(node, found)
        if method is None and name not in _TRANSPARENT:
            self._may_raise()
        if method is not None and method.returns is not None:
            return self._returned(node, method)
        if (name is None and function.attr[:1].isupper()) or (
            name and name.rpartition(".")[2][:1].isupper()
        ):
            return self._kept_by_class(node, found)
        if name in MAKERS:
            given = Type(MAKERS[name])
        return UNKNOWN if given == ANY else self.make(id(node), Thing(type=given))

    def _given_away(self, node: ast.expr, ids: Ids) -> None:
        """A method was called: it may have given its object other parts."""
        if isinstance(node, ast.Call) and path_of(node.func) == "super":
            node = ast.Name("self", ast.Load())
        self.touched(node, ids)

    def _own_method(self, things: list[tuple[int, Thing]], name: str) -> Method | None:
        """The method of a class of the file, or of one that it derives from, if no class below has another."""
        names = [thing.type.name for _, thing in things if thing.type.name.startswith("class ")]
        return self.module.method(names[0].removeprefix("class "), name) if names else None

    def _returned(self, node: ast.Call, function: Method) -> Ids:
        """What a function of the file gives back, as it is annotated."""
        if self.module.scopes[function].yields:
            return self.make(id(node), Thing(type=Type("generator")))
        thing = of_type(parse(function.returns, self.module))
        return UNKNOWN if thing == Thing() else self.make(id(node), thing)

    def _plain(self, node: ast.Call, name: str | None) -> Ids:
        builtin = name is not None and is_builtin(name)
        target = UNKNOWN if builtin else self.eval(node.func)
        found = self._arguments(node)
        if name in _CHANGERS and found:
            self.mutate(node, node.args[0], found[0][1])
        functions = [
            thing.function for _, thing in self.things(target) if thing.function is not None
        ]
        if not builtin:
            self._others(node, name, found, functions)
        for function in functions:
            self._apply(node, function, found, skip=0)
        if name == "functools.partial":
            return self._partial(node, found)
        if len(functions) == 1 and not isinstance(functions[0], ast.Lambda):
            returned = self._returned(node, functions[0])
            if returned is not UNKNOWN:
                return returned
        if not functions and name not in _TRANSPARENT:
            self._may_raise()
        if not functions and isinstance(node.func, ast.Name) and _is_class(node.func):
            return self._kept_by_class(node, found)
        return UNKNOWN

    def _others(
        self,
        node: ast.Call,
        name: str | None,
        found: list[tuple[ast.expr, Ids]],
        functions: list[Function],
    ) -> None:
        """Code from elsewhere runs: forgets what it may give other parts."""
        if name is None and not functions and not _is_class(node.func):
            self.state.forget_all_parts()  # a callback: who knows what it reaches
        for argument, ids in found:
            self.touched(argument, ids)
        for function in functions:
            for free in self.free_names(function):
                self.state.forget_parts(free)
        self.others_ran()

    def _partial(self, node: ast.Call, found: list[tuple[ast.expr, Ids]]) -> Ids:
        holds = frozenset(one for _, ids in found for one in ids if one in self.state.things)
        return self.make(id(node), Thing(type=Type("partial"), holds=holds))

    def _kept_by_class(self, node: ast.Call, found: list[tuple[ast.expr, Ids]]) -> Ids:
        """An object of a class from elsewhere, by its name in CapWords; what it was made of may be in it."""
        known = self.state.things
        holds = frozenset(one for _, ids in found for one in ids if one in known)
        if not holds:
            return UNKNOWN
        return self.make(id(node), Thing(holds=holds, twice=self.second_way(found)))

    def _apply(
        self, node: ast.Call, function: Function, found: list[tuple[ast.expr, Ids]], skip: int
    ) -> None:
        """Does what a function of the file does."""
        captured = self.free_names(function)
        for name in sorted(captured):
            ids = self.state.names.get(name)
            if ids is not None and not isinstance(node.func, ast.Name):
                continue
            if ids is not None and isinstance(node.func, ast.Name):
                self.use(node.func, ids, f"{name}, which {node.func.id} uses,")
        interesting = [
            ids
            for ids in (
                *(ids for _, ids in found),
                *(self.state.names.get(name, UNKNOWN) for name in captured),
            )
            if any(thing.cap in ("iso", "any") for _, thing in self.things(ids))
        ]
        if not interesting and not self.may_move(function):
            return
        effects = self.effects_of(function)
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        plain = itertools.takewhile(lambda pair: not isinstance(pair[0], ast.Starred), found)
        given = dict(zip(names[skip:], list(plain)[: len(node.args)], strict=False))
        for keyword, pair in zip(node.keywords, found[len(node.args) :], strict=True):
            if keyword.arg is not None:
                given[keyword.arg] = pair
        if skip and names and isinstance(node.func, ast.Attribute):
            given[names[0]] = (node.func.value, UNKNOWN)
        for name in self._same_names(function, captured):
            known = self.state.names.get(name, UNKNOWN)
            given.setdefault(name, (ast.Name(name, ast.Load()), known))
        if effects.thrown:
            kept, self.state = self.state, self.state.copy()
            self._moved_by(node, function, effects.thrown, given)
            self.late_within.append(self.state)
            self.state = kept
        self._moved_by(node, function, effects.moves, given)
        self._left_by(node, function, effects.leaves, given)

    def _same_names(self, function: Function, names: Iterable[str]) -> Iterator[str]:
        """Those of the names of outer scopes that are the same here as in the function."""
        outer = self.module.scopes[function].parent
        for name in names:
            if outer is not None and self.scope.owner(name) is outer.owner(name):
                yield name

    def _moved_by(
        self,
        node: ast.Call,
        function: Function,
        moves: dict[str, bool],
        given: dict[str, tuple[ast.expr, Ids]],
    ) -> None:
        site = Site.of(node, f"moved by {getattr(function, 'name', 'a function')}")
        for name, surely in moves.items():
            ids = given[name][1] if name in given else UNKNOWN
            for number, thing in self.things(ids):
                if thing.cap in ("iso", "any"):
                    self._mark_moved(number, site, surely=surely and len(ids) == 1)
                    self.moving = True

    def _left_by(
        self,
        node: ast.Call,
        function: Function,
        leaves: dict[str, Thing],
        given: dict[str, tuple[ast.expr, Ids]],
    ) -> None:
        """After `self.flush()`, `self.buffer` leads to what the method has moved and not made anew."""
        site = Site.of(node, f"moved by {getattr(function, 'name', 'a function')}")
        outer = {*self._same_names(function, self.module.scopes[function].outside)}
        for path, thing in leaves.items():
            root = root_of(path)
            mine = root if root in outer else None
            if root in given:
                mine = path_of(given[root][0])
            if mine is not None:
                moved = thing._replace(moved=frozenset((site,)), itself=True)
                self.state.bind(mine + path[len(root) :], self.make((id(node), path), moved))
                self.state.marked = True
                self.moving = True

    def _drop_parts(self, base: Ids) -> None:
        """Something was taken out: whether a part is still one isn't known."""
        for number in sorted(self._parts):
            thing = self.state.things.get(number)
            if thing is not None and thing.part_of & base:
                self.state.update(number, Thing())


def _is_class(node: ast.expr) -> bool:
    """Whether a name is that of a class, by how it is written."""
    return isinstance(node, ast.Name) and node.id[:1].isupper()


def _kept(init: Function) -> set[str]:
    """The parameters that an `__init__` keeps in attributes."""
    kept = set()
    for node in statements(init):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Name):
            kept.add(node.value.id)
    return kept


def _self_values(method: Function) -> list[tuple[str, ast.expr | None]]:
    """The attributes that a method gives values to: with the annotation, or with the call that makes the value."""
    arguments = {argument.arg: argument.annotation for argument in method.args.args}
    found: list[tuple[str, ast.expr | None]] = []

    def note(target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            values: list[ast.expr | None] = [None] * len(target.elts)
            if isinstance(value, ast.Tuple) and len(value.elts) == len(values):
                values = list(value.elts)
            for one, its in zip(target.elts, values, strict=True):
                note(one, its)
            return
        if isinstance(target, ast.Attribute) and path_of(target.value) == "self":
            if isinstance(value, ast.Name):
                value = arguments.get(value.id)
            found.append((target.attr, value))

    for node in statements(method):
        if isinstance(node, ast.AnnAssign):
            note(node.target, node.annotation)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                note(target, node.value if not isinstance(node.value, ast.Attribute) else None)
        elif isinstance(node, ast.For | ast.AsyncFor):
            note(node.target, None)
    return found


_REMUDA: Final[dict[str, Callable[[Calls, ast.Call], Ids]]] = {
    "iso": Calls._iso,
    "val": Calls._val,
    "freeze": Calls._freeze,
    "ref": Calls._handle,
    "Tracked": Calls._handle,
    "tag": Calls._handle,
    "trn": Calls._handle,
    "box": Calls._handle,
    "consume": Calls._consume,
    "unchecked": Calls._unchecked,
    "swap": Calls._swap,
    "signal": Calls._signal,
    "broadcast": Calls._to_many,
    "quorum": Calls._to_many,
    "spawn": Calls._spawn,
    "channel": Calls._channel,
    "await_future": Calls._await_future,
    "Runtime": Calls._runtime,
    "Message": Calls._message,
}
