"""Files that are unlike others: encodings, ends of lines, links, pipes, syntax of another Python."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from remuda import cli
from remuda.check import check_source

BAD = """\
from remuda import AgentRef, iso


async def hand_over(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    print("é", numbers)
"""
FOUND = ":7:16: RMD101 numbers is used after it was sent on line 6"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (BAD.encode(), 7),
        (b"\xef\xbb\xbf" + BAD.encode(), 7),
        (b"# coding: latin-1\n" + BAD.encode("latin-1"), 8),
        (BAD.replace("\n", "\r\n").encode(), 7),
        (BAD.replace("\n", "\r").encode(), 7),
        ("s = '\u2028\x85\x1c'\n".encode() + BAD.encode(), 8),
        (BAD.rstrip("\n").encode(), 7),
    ],
    ids=["utf-8", "BOM", "latin-1", "CRLF", "CR", "line separators", "no newline at the end"],
)
def test_read_as_python_reads_it(
    content: bytes, line: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Encodings and ends of lines are those that Python knows, and places are counted as it does."""
    file = tmp_path / "program.py"
    file.write_bytes(content)
    assert cli.main(["check", str(file)]) == 1
    assert f":{line}:16: RMD101 " in capsys.readouterr().out


@pytest.mark.parametrize(
    "content",
    [b"x = 1\0\n", b"\xff\xfe", b"# coding: nonsense\n", b"\xef\xbb\xbf# coding: latin-1\n"],
    ids=["null byte", "UTF-16", "unknown encoding", "BOM and another encoding"],
)
def test_not_a_program(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What Python can't read is one finding."""
    file = tmp_path / "program.py"
    file.write_bytes(content)
    assert cli.main(["check", str(file)]) == 1
    assert capsys.readouterr().out.count("RMD100") == 1


def test_an_empty_file(tmp_path: Path) -> None:
    """There is nothing to be found in it."""
    (tmp_path / "empty.py").touch()
    assert cli.main(["check", str(tmp_path)]) == 0


def test_a_folder_of_odd_things(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder may be named like a file; links to nowhere, links in a circle and pipes are passed by."""
    inner = tmp_path / "folder.py"
    inner.mkdir()
    (inner / "bad.py").write_text(BAD)
    (inner / "circle").symlink_to(tmp_path)
    (inner / "nowhere.py").symlink_to("missing.py")
    os.mkfifo(inner / "pipe.py")
    assert cli.main(["check", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[::2] == [f"{inner}/bad.py{FOUND}"]


def test_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`-` is the program that comes through stdin."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    assert cli.main(["check", "-"]) == 1
    assert capsys.readouterr().out.splitlines()[0] == f"-{FOUND}"


@pytest.mark.parametrize(
    "source",
    ["x = " + "(" * 1000 + ")" * 1000, "".join(f"{' ' * depth}if x:\n" for depth in range(500))],
    ids=["parentheses", "if"],
)
def test_deeper_than_python_reads(source: str) -> None:
    """Nesting that Python refuses is one finding."""
    assert [found.code for found in check_source(source)] == ["RMD100"]


NEW = """\
from remuda import AgentRef, iso

type Command = int | str


class Order:
    pass


async def hand_over[Order](agent: AgentRef[Command], orders: AgentRef[Order]) -> None:
    numbers = iso([1])
    await agent.send(1.5)
    await orders.send("one")
    await agent.send(numbers)
    print(f"{f"{numbers}"}")
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 brings the syntax")
def test_syntax_of_python_3_12() -> None:
    """Aliases by `type`, parameters of types and f-strings in f-strings are understood."""
    assert [(found.line, found.code) for found in check_source(NEW)] == [
        (12, "RMD107"),
        (14, "RMD107"),
        (15, "RMD101"),
    ]


def test_syntax_of_a_python_to_come() -> None:
    """What this Python doesn't know is a finding that tells which Python it is."""
    (found,) = check_source("type type type\n")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (found.code, found.line) == ("RMD100", 1)
    assert found.message == f"expected a program for Python {version}: invalid syntax"
