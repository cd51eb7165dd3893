"""What leaves an agent: messages, the arguments of new agents, and what their functions reach."""

from __future__ import annotations

import ast
from typing import Final

from remuda.check.capabilities import Capabilities
from remuda.check.objects import LOCAL, Message, path_of
from remuda.check.scopes import Function
from remuda.check.state import UNKNOWN, Ids, Thing
from remuda.check.types import ANY, Type, accepts, parse, show

__all__ = ["Messages"]

_RECEIVERS: Final = {
    "send": ("remuda.AgentRef", "remuda.Sender"),
    "send_nowait": ("remuda.AgentRef", "remuda.Sender"),
    "ask": ("remuda.AgentRef",),
    "reply": ("remuda.Request",),
    "set_result": ("remuda.Resolver",),
}
_FOREIGN: Final = frozenset(
    {
        "aio_pika",
        "aiohttp",
        "anyio",
        "channels",
        "fastapi",
        "httpx",
        "multiprocessing",
        "socket",
        "starlette",
        "trio",
        "websockets",
        "zmq",
    }
)
"""Packages whose objects have a method `send`, too: beside them, what a receiver is must be known."""


class Messages(Capabilities):
    """An evaluator that knows what sends."""

    def _send_method(self, node: ast.Call, function: ast.Attribute) -> Ids:
        receiver = self.eval(function.value)
        to = path_of(function.value) or "an agent"
        return self._send(node, receiver, function.attr, to)

    def send_by(self, node: ast.Call, method: Thing) -> Ids:
        """`send(x)`, after `send = agent.send`."""
        self.eval(node.func)
        return self._send(node, method.holds or UNKNOWN, method.method, "an agent")

    def _send(self, node: ast.Call, receiver: Ids, verb: str, to: str) -> Ids:
        argument = node.args[0]
        ids = self.eval(argument)
        for keyword in node.keywords:
            self.eval(keyword.value)
        kinds = [thing.type for thing in self.certain(receiver)]
        known = [kind for kind in kinds if kind.name in _RECEIVERS[verb]]
        if kinds and not known and all(kind.name != "?" for kind in kinds):
            return UNKNOWN  # a generator, a socket: not one of ours
        sure = bool(known) and len(known) == len(kinds)
        probable = (
            verb in ("send", "send_nowait", "ask")
            and not kinds
            and (self.module.assumed or not self.module.packages & _FOREIGN)
        )
        if sure:
            for kind in known:
                self._check_type(kind, argument, ids, ask=verb == "ask")
        self._leave(node, argument, ids, "sent", to, bare=sure or probable)
        if verb == "ask":
            self._may_raise()  # its answer may fail to come
        return UNKNOWN

    def _signal(self, node: ast.Call) -> Ids:
        found = self._arguments(node)
        if len(node.args) < 2:
            return UNKNOWN
        for _, thing in self.things(found[0][1]):
            if thing.type.name in _RECEIVERS["send"]:
                self._check_type(thing.type, *found[1])
        self._leave(node, *found[1], "sent", path_of(node.args[0]) or "an agent", bare=True)
        return UNKNOWN

    def _to_many(self, node: ast.Call) -> Ids:
        found = self._arguments(node)
        name = (self.module.qualified(node.func, self.scope) or "").rpartition(".")[2]
        position = 2 if name == "quorum" else 1
        message = found[position] if len(node.args) > position else None
        for keyword in node.keywords:
            if keyword.arg in ("message", "request"):
                message = next(pair for pair in found if pair[0] is keyword.value)
        if message is None:
            return UNKNOWN
        element = self.element(found[0][1])
        if element.type.name in _RECEIVERS["send"]:
            self._check_type(element.type, *message, ask=name == "quorum")
        self._leave(node, *message, "sent", "agents", bare=True)
        self._may_raise()
        return UNKNOWN

    def _leave(
        self, node: ast.Call, argument: ast.expr, ids: Ids, verb: str, to: str, *, bare: bool
    ) -> None:
        """A message is given to another agent."""
        if bare and not self.module.trusts:
            name = self.bare(argument, ids)
            if name is not None:
                self.report(
                    "RMD106",
                    argument,
                    f"expected an iso, a val or something immutable to be {verb} to {to}, found a bare {name}: "
                    "write iso(...) to hand it over, or freeze(...) to share it",
                )
        self.move(Message(argument, ids), node, verb, to)

    def _check_type(
        self, receiver: Type, argument: ast.expr, ids: Ids, *, ask: bool = False
    ) -> None:
        if not receiver.args:
            return
        wanted = [receiver.args[-1]]
        if ask:
            members = wanted[0].args if wanted[0].name == "|" else (wanted[0],)
            wanted += [
                kind.args[0] for kind in members if kind.name == "remuda.Request" and kind.args
            ]
        given = self.type_of(argument, ids)
        if isinstance(argument, ast.Constant | ast.JoinedStr | ast.UnaryOp):
            things = []
        else:
            things = [thing.type for thing in self.certain(ids)]
        for kind in things or [given]:
            if any(accepts(one, kind, self.module) for one in wanted):
                return
        shown = " or ".join(sorted({show(kind) for kind in things or [given]}))
        self.report(
            "RMD107", argument, f"expected a message of type {show(wanted[-1])}, found {shown}"
        )

    # New agents

    def _spawn_method(self, node: ast.Call, function: ast.Attribute) -> Ids:
        kinds = [thing.type for thing in self.certain(self.eval(function.value))]
        if kinds and all(kind.name not in ("remuda.Runtime", "?") for kind in kinds):
            self._arguments(node)
            return UNKNOWN
        return self._spawned(node, sure=bool(kinds))

    def _spawn(self, node: ast.Call) -> Ids:
        return self._spawned(node, sure=True)

    def _spawned(self, node: ast.Call, *, sure: bool) -> Ids:
        if not node.args:
            self._arguments(node)
            return UNKNOWN
        behaviour, *arguments = node.args
        first = self._behaviour(behaviour)
        kind = self._taken(behaviour, first)
        known = sure or kind is not None
        for keyword in node.keywords:
            self.eval(keyword.value)
        found = [(argument, self.eval(argument)) for argument in arguments]
        twice = self.second_way([pair for pair in found if pair[1] is not UNKNOWN])
        if twice is not None:
            self._not_unique(twice, node)
        for argument, ids in found:
            self._leave(node, argument, ids, "given", "a new agent", bare=known)
        self._captured(behaviour, first)
        if first:
            self.move(Message(behaviour, first), node, "given", "a new agent")
        if not known:
            return UNKNOWN
        args = (kind,) if kind is not None and kind != ANY else ()
        return self.make(id(node), Thing(type=Type("remuda.AgentRef", args)))

    def _behaviour(self, node: ast.expr) -> Ids:
        if isinstance(node, ast.Name) and node.id in self.module.classes:
            return UNKNOWN
        return self.eval(node)

    def _taken(self, node: ast.expr, ids: Ids) -> Type | None:
        """What a new agent takes; None if it isn't known to be one."""
        for _, thing in self.things(ids):
            if thing.function is not None:
                arguments = [*thing.function.args.posonlyargs, *thing.function.args.args]
                annotation = arguments[0].annotation if arguments else None
                kind = parse(annotation, self.module)
                return (
                    self._mailbox_takes(thing.function) if kind.name == "remuda.Mailbox" else None
                )
            if thing.type.name.startswith("class "):
                return self._class_takes(thing.type.name.removeprefix("class "))
        if isinstance(node, ast.Name) and self.scope.owner(node.id) is self.module.scope:
            return self._class_takes(node.id)
        return None

    def _class_takes(self, name: str) -> Type | None:
        known = self.module.classes.get(name)
        if known is None:
            return None
        for base in known.node.bases:
            kind = parse(base, self.module)
            if kind.name == "remuda.Agent":
                return kind.args[0] if kind.args else ANY
        receive = known.methods.get("receive")
        if receive is None or len(receive.args.args) < 2:
            return None
        return parse(receive.args.args[1].annotation, self.module)

    def _captured(self, node: ast.expr, ids: Ids) -> None:
        """What the function of a new agent reaches outside of it goes with it."""
        for _, thing in self.things(ids):
            if thing.function is None:
                continue
            arguments = thing.function.args
            defaults = {
                default.id
                for default in (*arguments.defaults, *arguments.kw_defaults)
                if isinstance(default, ast.Name)
            }
            for name in sorted(self.free_names(thing.function) | defaults):
                self._check_captured(name, node)

    def _check_captured(self, name: str, node: ast.expr) -> None:
        reached = self.state.names.get(name)
        if reached is not None:
            things = [thing for _, thing in self.things(reached)]
        else:
            thing = self.free(name)
            things = [] if thing is None else [thing]
        for thing in things:
            if thing.cap in LOCAL:
                self.report(
                    "RMD105",
                    node,
                    f"expected the behaviour of a new agent to reach no {thing.cap}, but it uses {name}, which "
                    f"{LOCAL[thing.cap]}",
                )

    def _mailbox_takes(self, behaviour: Function) -> Type:
        """What an agent takes, by the annotation of its mailbox."""
        arguments = [*behaviour.args.posonlyargs, *behaviour.args.args]
        kind = parse(arguments[0].annotation, self.module)
        return kind.args[0] if kind.args else ANY
