"""The plugin for flake8: its findings are those of `remuda check`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import ClassVar

from remuda._kernel import __version__
from remuda.check.files import check_tree

__all__ = ["Plugin"]


class Plugin:
    """What flake8 makes for each file.

    Comments are understood as by `remuda check`, and flake8's own too; which codes are on is for flake8 to say.
    """

    name: ClassVar[str] = "remuda"
    version: ClassVar[str] = __version__

    def __init__(self, tree: ast.Module, lines: Sequence[str]) -> None:
        self._tree = tree
        self._lines = lines

    def run(self) -> Iterator[tuple[int, int, str, type[Plugin]]]:
        """Checks the file.

        Yields:
            The line, the column counted from 0, the code with the message, and this class.
        """
        for found in check_tree(self._tree, "".join(self._lines)):
            yield found.line, found.column - 1, f"{found.code} {found.message}", type(self)
