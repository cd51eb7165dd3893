"""What type checkers are told of sends is what the run time does: `tests/typing/sends.py`, line by line."""

import ast
import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, get_origin

import pytest

import remuda
from tests.support import Log, collect, in_runtime
from tests.typing import sends

Function = Callable[..., Any]


def lines_of(function: Function, raises: bool | None = None) -> list[Any]:
    """Each line of a function, and whether it raises: if that isn't told, those that are marked for checkers do."""
    text = Path(sends.__file__).read_text()
    statements = next(
        node.body
        for node in ast.parse(text).body
        if isinstance(node, ast.AsyncFunctionDef) and node.name == function.__name__
    )
    lines = []
    for statement in statements[1:]:  # after the docstring
        marked = "ignore[" in text.splitlines()[statement.lineno - 1]
        code = ast.unparse(statement)
        lines.append(pytest.param(function, code, marked if raises is None else raises, id=code))
    return lines


async def answer(mailbox: remuda.Mailbox[Any]) -> None:
    async for message in mailbox:
        if isinstance(message, remuda.Request):
            message.reply(1)


async def run(runtime: remuda.Runtime, function: Function, statement: str) -> None:
    """Runs a statement of a function with arguments as annotated."""
    sender: remuda.Sender[Any]
    sender, receiver = remuda.channel(1)
    resolver: remuda.Resolver[Any]
    resolver, _future = remuda.await_future()
    requests: Log = []
    asking = asyncio.ensure_future(runtime.spawn(collect, remuda.unchecked(requests)).ask("what?"))
    while not requests:
        await asyncio.sleep(0)
    makers: dict[Any, Callable[[], Any]] = {
        remuda.AgentRef: lambda: runtime.spawn(answer),
        remuda.Sender: lambda: sender,
        remuda.Resolver: lambda: resolver,
        remuda.Request: lambda: requests[0],
        remuda.Ref: lambda: remuda.ref(1),
        remuda.Trn: lambda: remuda.trn(1),
        remuda.Box: lambda: remuda.box(1),
        list: lambda: [1],
        dict: lambda: {"one": 1},
        Sequence: lambda: [1],
        Literal: lambda: "go",
    }
    names = vars(sends) | {
        name: makers[get_origin(annotation)]()
        for name, annotation in inspect.get_annotations(function).items()
        if name != "return"
    }
    try:
        code = compile(statement, "<line>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, names)
        if running is not None:
            await running
    finally:
        asking.cancel()
        receiver.close()


@pytest.mark.parametrize(
    ("function", "statement", "raises"),
    [
        *lines_of(sends.agree),
        *lines_of(sends.beyond, raises=True),
        *lines_of(sends.needless, raises=False),
    ],
)
@in_runtime
async def test_a_send(
    runtime: remuda.Runtime, function: Function, statement: str, raises: bool
) -> None:
    """A line does at run time what its function says: it sends, or is refused."""
    with pytest.raises(remuda.NotSendable) if raises else nullcontext():
        await run(runtime, function, statement)
