"""Comments that ignore findings."""

from __future__ import annotations

import pytest

from remuda.check import check_source

PROGRAM = """\
from remuda import AgentRef, iso


async def hand_over(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    print({})
"""


def codes(text: str) -> list[str]:
    return [found.code for found in check_source(PROGRAM.format(text))]


@pytest.mark.parametrize(
    "text",
    [
        "numbers)  # remuda: ignore[RMD101]  #",
        "numbers)  # remuda: ignore  #",
        "numbers)  # remuda: ignore[RMD101, RMD101]  #",
        "numbers)  # a reason  # remuda:ignore[RMD101]  #",
        "\n        numbers,\n    )  # remuda: ignore[RMD101]  #",
        "  # remuda: ignore[RMD101]\n        numbers,\n    ",
    ],
)
def test_ignored(text: str) -> None:
    """A comment on any line of the statement ignores what is found in it."""
    assert codes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        'numbers, "# remuda: ignore"',
        "numbers)  # remuda: ignored  #",
        "numbers)  # remuda: ignore-all  #",
        "numbers)\n    # the next line  #",
    ],
)
def test_not_ignored(text: str) -> None:
    """What isn't such a comment ignores nothing."""
    assert codes(text) == ["RMD101"]


def test_on_another_line() -> None:
    """A comment on another statement ignores nothing, and is reported."""
    assert codes("1)  # remuda: ignore[RMD101]\n    print(numbers") == ["RMD110", "RMD101"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1)  # remuda: ignore  #", "expected a finding to ignore, found none"),
        ("1)  # remuda: ignore[RMD101]  #", "expected findings of RMD101 to ignore, found none"),
        ("1)  # remuda: ignore[RMD999]  #", "expected the codes of rules, found RMD999"),
        ("1)  # remuda: ignore[]  #", "expected the codes of rules in the brackets, found none"),
        (
            "numbers)  # remuda: ignore[RMD101,RMD102]  #",
            "expected findings of RMD102 to ignore, found none",
        ),
    ],
)
def test_unused(text: str, told: str) -> None:
    """A comment that ignores nothing is a warning."""
    (found,) = check_source(PROGRAM.format(text))
    assert (found.code, found.severity, found.message) == ("RMD110", "warning", told)


def test_a_rule_that_is_off() -> None:
    """A comment for a rule that is off is not reported: it may be of use elsewhere."""
    text = PROGRAM.format("numbers)  # remuda: ignore[RMD101]  #")
    assert check_source(text, codes=frozenset({"RMD110", "RMD102"})) == []


def test_in_a_file_that_does_not_use_remuda() -> None:
    """An unused comment is found there as well."""
    assert [found.code for found in check_source("x = 1  # remuda: ignore\n")] == ["RMD110"]
