"""The rules: what each code means in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from remuda.check.finding import Severity

__all__ = ["RULES", "Rule", "chosen"]


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        code: What findings and comments call it.
        name: What people call it.
        summary: What it finds.
        severity: Whether a finding makes the check fail.
    """

    code: str
    name: str
    summary: str
    severity: Severity = "error"


RULES: Final = {
    rule.code: rule
    for rule in (
        Rule("RMD100", "unreadable", "a file, or a part of one, that can't be read or parsed"),
        Rule("RMD101", "use-after-move", "use of an iso after it was moved, on some path"),
        Rule("RMD102", "moved-in-loop", "an iso moved in a loop without being made anew"),
        Rule("RMD103", "alias-after-move", "use of an alias of an iso's content after the move"),
        Rule(
            "RMD104", "mutated-val", "mutation of what is immutable: a val, or seen through a box"
        ),
        Rule("RMD105", "escaping-ref", "a ref, trn or box that leaves its agent"),
        Rule("RMD106", "bare-mutable", "a bare mutable object sent, or given to a new agent"),
        Rule("RMD107", "wrong-message", "a message of a type that the agent doesn't take"),
        Rule("RMD108", "not-unique", "an iso twice in one message, or its content beside it"),
        Rule("RMD109", "mutable-val", "a val made of what can be changed"),
        Rule("RMD110", "unused-ignore", "a comment that ignores nothing", "warning"),
    )
}
"""All rules, by code."""


def chosen(select: tuple[str, ...], ignore: tuple[str, ...]) -> frozenset[str]:
    """The codes that are on.

    Args:
        select: Codes, or how they begin; all, if empty.
        ignore: Those that are off all the same.

    Returns:
        The codes.
    """
    return frozenset(
        code
        for code in RULES
        if (not select or code.startswith(select)) and not (ignore and code.startswith(ignore))
    )
