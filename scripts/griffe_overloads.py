"""For the documentation: shows functions of a stub that consist of overloads only.

A stub has no implementation that the overloads could belong to, so griffe, which reads the sources for mkdocstrings,
lists no such function. Here each gets one, with the docstring of the first overload that has any.
"""

from typing import Any

import griffe


class Overloads(griffe.Extension):
    """Makes a function out of overloads that have none."""

    def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
        """Called by griffe when it has read a class."""
        self._complete(cls)

    def on_module_members(self, *, mod: griffe.Module, **_: Any) -> None:
        """Called by griffe when it has read a module."""
        self._complete(mod)

    def _complete(self, scope: griffe.Class | griffe.Module) -> None:
        for name, overloads in scope.overloads.items():
            if name in scope.members or not overloads:
                continue
            first = overloads[0]
            function = griffe.Function(
                name,
                lineno=first.lineno,
                endlineno=overloads[-1].endlineno,
                parameters=first.parameters,
                returns=first.returns,
                docstring=next((o.docstring for o in overloads if o.docstring), None),
            )
            function.overloads = list(overloads)
            scope.set_member(name, function)
