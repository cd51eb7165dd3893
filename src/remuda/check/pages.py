"""The page of each rule: why it is one, a bad and a good example. `remuda check --explain CODE` prints it.

The documentation has the same pages, and a test runs their examples through the checker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from remuda.check.rules import RULES

__all__ = ["PAGES", "Page", "page"]


@dataclass(frozen=True)
class Page:
    """What is told about a rule.

    Attributes:
        why: What is wrong with what it finds, and what counts.
        bad: A program in which it finds something.
        good: The same put right.
    """

    why: str
    bad: str
    good: str


PAGES: Final = {
    "RMD100": Page(
        """\
The file can't be read, or is no Python program to the interpreter that runs the checker, so nothing else was looked
at. Run the checker by the Python that runs the program: `type X = ...` is no syntax of 3.11.""",
        """\
def broken(:
    pass
""",
        """\
def whole():
    pass
""",
    ),
    "RMD101": Page(
        """\
An iso has one owner. Sending it (`send`, `send_nowait`, `ask`, `signal`, `reply`, into a channel, by `broadcast` or
`quorum`), giving it to a new agent, returning it from an agent and `consume` move it away. The handle is empty
afterwards, and to use it raises `MovedError`.

It counts if the move has happened on *any* path to the use: then the report says "may have been". `x = iso(...)`
gives the name a new iso. To compare the handle by `is` is no use of it.

A call of one of the file's own functions moves what that moves, also attributes and globals: after
`await self.flush()`, which sends `self.buffer`, the buffer is gone, unless `flush` makes a new one. A loop that moves
each element of a list leaves none of them.

A send that fails has moved nothing: it hands its message back. So in an `except` that names only errors of a failed
send (`MailboxFull`, `MailboxClosed`, `ChannelFull`, `ChannelClosed`), the iso that the failing send was given is
usable again. In other handlers it is, unless something after the send may have raised. What `ask` raises for want of
an answer (`AskTimeout`, `AgentFailed`) comes when the message has gone.""",
        """\
from remuda import AgentRef, iso


async def hand_over(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1, 2, 3])
    await agent.send(numbers)
    print(numbers)
""",
        """\
from remuda import AgentRef, MailboxFull, iso


async def hand_over(agent: AgentRef[list[int]], other: AgentRef[list[int]]) -> None:
    numbers = iso([1, 2, 3])
    try:
        agent.send_nowait(numbers)
    except MailboxFull:
        await other.send(numbers)
""",
    ),
    "RMD102": Page(
        """\
The call that moves an iso is reached again, in a loop or a comprehension, and the iso is still the one of the turn
before. Only the first turn succeeds. Make a new iso in each turn, or share a val. A loop that is left after a send
which succeeded is fine.""",
        """\
from remuda import AgentRef, iso


async def tell_all(agents: list[AgentRef[list[int]]]) -> None:
    numbers = iso([1, 2, 3])
    for agent in agents:
        await agent.send(numbers)
""",
        """\
from remuda import AgentRef, freeze, iso


async def tell_all(agents: list[AgentRef[list[int]]]) -> None:
    for agent in agents:
        await agent.send(iso([1, 2, 3]))
    shared = freeze([1, 2, 3])
    for agent in agents:
        await agent.send(shared)
""",
    ),
    "RMD103": Page(
        """\
`iso(x)` makes a handle for an object that other names may still lead to. After the move the object is the receiver's;
whoever reads or writes it by an old name races with the receiver. What was taken out of it before the move, such as
`x[0]` or `x.rows`, must not be changed either.

A copy (`list(x)`, `x.copy()`) is another object, and fine.""",
        """\
from remuda import AgentRef, iso


async def hand_over(agent: AgentRef[list[int]]) -> None:
    numbers = [1, 2, 3]
    await agent.send(iso(numbers))
    numbers.append(4)
""",
        """\
from remuda import AgentRef, iso


async def hand_over(agent: AgentRef[list[int]]) -> None:
    numbers = [1, 2, 3]
    await agent.send(iso(list(numbers)))
    numbers.append(4)
""",
    ),
    "RMD104": Page(
        """\
What `val` and `freeze` return is immutable, deeply: others may read it at this moment. To assign to its attributes or
items, to delete them and to call a method such as `append` is reported. So it is through a `box`, which is a view for
reading only. `freeze` makes a copy: what it was given stays as it was.""",
        """\
from remuda import AgentRef, freeze


async def share(agent: AgentRef[object], limits: dict[str, int]) -> None:
    shared = freeze(limits)
    await agent.send(shared)
    shared["high"] = 10
""",
        """\
from remuda import AgentRef, freeze


async def share(agent: AgentRef[object], limits: dict[str, int]) -> None:
    limits["high"] = 10
    await agent.send(freeze(limits))
""",
    ),
    "RMD105": Page(
        """\
A `ref` (`Tracked`) belongs to the agent that made it, a `trn` may still be written by its owner, and a `box` only
shows what others may write. None of them can be sent. It is reported if one is a message, is in one (in a tuple, a
container, an attribute), is an argument of a new agent, is returned by an agent, or is used by a function that
becomes an agent.

Send a `tag` if only the identity is needed, an `iso` to hand the object over, a `val` to share it.""",
        """\
from remuda import AgentRef, ref


async def leak(agent: AgentRef[object]) -> None:
    seen = ref(set[str]())
    await agent.send(("seen", seen))
""",
        """\
from remuda import AgentRef, freeze, ref, tag


async def tell(agent: AgentRef[object]) -> None:
    seen = ref(set[str]())
    await agent.send(("who", tag(seen)))
    await agent.send(("seen", freeze(set(seen))))
""",
    ),
    "RMD106": Page(
        """\
A list, dict, set, bytearray or the like can't be sent as it is: sender and receiver would both have it. Nor can a
generator or another iterator, a view such as `table.keys()`, or a file. The run time refuses it with `NotSendable`. It
counts if the expression, or every value that the name can have there, is such an object or one of a dataclass of the
same file that isn't frozen, also within a tuple (or a frozen dataclass or NamedTuple of the same file), and also as an
argument of a new agent. Files that make a `Runtime(capabilities="trust")` are left alone.

`iso(x)` hands it over, `freeze(x)` shares an immutable copy, `unchecked(x)` says that you answer for it.""",
        """\
from remuda import AgentRef


async def report(agent: AgentRef[list[str]]) -> None:
    lines = []
    lines.append("ready")
    await agent.send(lines)
""",
        """\
from remuda import AgentRef, iso


async def report(agent: AgentRef[list[str]]) -> None:
    lines = []
    lines.append("ready")
    await agent.send(iso(lines))
""",
    ),
    "RMD107": Page(
        """\
The agent's annotation (`AgentRef[M]`, or `Mailbox[M]` or `Agent[M]` of what was spawned) says what it takes, and the
message is certainly of another type. Only literals and objects of builtin types, and of classes of the same file, are
judged; a type checker knows more.""",
        """\
import remuda


async def adder(mailbox: remuda.Mailbox[int]) -> int:
    return sum([number async for number in mailbox])


async def main(runtime: remuda.Runtime) -> None:
    agent = runtime.spawn(adder)
    await agent.send("one")
""",
        """\
import remuda


async def adder(mailbox: remuda.Mailbox[int]) -> int:
    return sum([number async for number in mailbox])


async def main(runtime: remuda.Runtime) -> None:
    agent = runtime.spawn(adder)
    await agent.send(1)
""",
    ),
    "RMD108": Page(
        """\
An iso is the only way to its content. A message that has the same iso in it twice, or an iso and beside it what is in
it, would give the receiver two ways; so would a `Message` that has it as payload and in its headers. An iso within a
val would let everyone who shares the val write to it.""",
        """\
from remuda import AgentRef, iso


async def send_pair(agent: AgentRef[object]) -> None:
    numbers = iso([1, 2, 3])
    await agent.send((numbers, numbers))
""",
        """\
from remuda import AgentRef, iso


async def send_pair(agent: AgentRef[object]) -> None:
    numbers = [1, 2, 3]
    await agent.send((iso(list(numbers)), iso(numbers)))
""",
    ),
    "RMD109": Page(
        """\
A val is shared, so nobody may be able to change what it is made of. `val` makes no copy: it looks at the object, and
refuses a list, dict, set, bytearray or the like with `NotSendable`. It counts if the expression, or every value that
the name can have there, is such an object or one of a dataclass of the same file that isn't frozen, also within a
tuple (or a frozen dataclass or NamedTuple of the same file).

`freeze(x)` makes an immutable copy, which is a val as it is (`val(freeze(x))` is the same with a handle). An iso may be
given to `val`: it is moved, and nobody can write to what was in it any more.""",
        """\
from remuda import AgentRef, val


async def share(agent: AgentRef[object]) -> None:
    limits = {"low": 1}
    limits["high"] = 10
    await agent.send(val(limits))
""",
        """\
from remuda import AgentRef, freeze, iso, val


async def share(agent: AgentRef[object]) -> None:
    limits = {"low": 1}
    limits["high"] = 10
    await agent.send(freeze(limits))
    await agent.send(val(iso({"low": 1})))
    await agent.send(val((1, 10)))
""",
    ),
    "RMD110": Page(
        """\
`# remuda: ignore` ignores all findings in the statement of its line, `# remuda: ignore[RMD101, RMD103]` those with
these codes. A comment that ignores nothing, or names no rule, is reported as a warning: it doesn't make the check
fail.""",
        """\
import remuda

print(remuda.__version__)  # remuda: ignore[RMD101]
""",
        """\
from remuda import AgentRef, iso


async def provoke(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1, 2, 3])
    await agent.send(numbers)
    print(numbers)  # remuda: ignore[RMD101]
""",
    ),
}
"""What is told about each rule, by code."""


def page(code: str) -> str:
    """The page of a rule, in Markdown."""
    rule, told = RULES[code], PAGES[code]
    kind = "A warning" if rule.severity == "warning" else "An error"
    return (
        f"# {rule.code}: {rule.name}\n\n{kind}: {rule.summary}.\n\n{told.why}\n\n"
        f"## Bad\n\n```py\n{told.bad}```\n\n## Good\n\n```py\n{told.good}```\n"
    )
