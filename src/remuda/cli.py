"""The command line: `remuda demo NAME`, `remuda bench NAME`, `remuda check PATH...`, `remuda --version`.

Demos and benchmarks are part of the source tree, not of the wheel: these two commands look for them in the tree that
the package was installed from in editable mode, or in the current folder.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import remuda
from remuda.check import command

__all__ = ["main"]

_TREES = {"demo": "examples", "bench": "benchmarks"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: The words after the command's name; those of the process, if not given.

    Returns:
        The exit status: 0 for success, 1 if a check has found something, 2 for words that were not understood.
    """
    parser = argparse.ArgumentParser(prog="remuda", description="An agent runtime for Python.")
    parser.add_argument("--version", action="version", version=f"remuda {remuda.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, package in _TREES.items():
        what = "an example" if name == "demo" else "a benchmark"
        sub = commands.add_parser(name, help=f"run {what} of the source tree", add_help=False)
        sub.add_argument("name", nargs="?", help="its name; without one, the names are listed")
        sub.add_argument("rest", nargs=argparse.REMAINDER, help="its own arguments")
        sub.set_defaults(package=package)
    command.add_arguments(commands.add_parser("check", help="find misused capabilities in sources"))
    words = parser.parse_args(arguments)
    level = os.environ.get("REMUDA_LOG", "").upper()
    if level and level not in logging.getLevelNamesMapping():
        known = ", ".join(logging.getLevelNamesMapping())
        parser.error(f"expected REMUDA_LOG to be one of {known}; got {level}")
    if level:
        logging.basicConfig(format="%(asctime)s %(name)s %(levelname)s %(message)s")
        logging.getLogger("remuda").setLevel(level)
    if words.command == "check":
        return command.run(words)
    return _run(words.package, words.name, words.rest)


def _run(package: str, name: str | None, rest: list[str]) -> int:
    names = _names(package)
    if not names:
        print(
            f"expected programs in the folder {package!r} of Remuda's source tree, found none: run this inside a clone "
            "of the project, or install the clone with `pip install -e .`",
            file=sys.stderr,
        )
        return 2
    if name not in names:
        print(f"expected one of: {', '.join(names)}; got {name or 'none'}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"{package}.{name}")
    if hasattr(module, "__path__") and not hasattr(module, "main"):
        module = importlib.import_module(f"{package}.{name}.__main__")
    return int(module.main(rest) or 0)


def _names(package: str) -> list[str]:
    """The names of the programs in a folder of the source tree, which is put on the import path."""
    for root in (Path(remuda.__file__).parents[2], Path.cwd()):
        if (root / package / "__init__.py").is_file():
            if str(root) not in sys.path:
                sys.path.insert(0, str(root))
            return sorted(
                module.name
                for module in pkgutil.iter_modules([str(root / package)])
                if _is_program(root / package, module)
            )
    return []


def _is_program(folder: Path, module: pkgutil.ModuleInfo) -> bool:
    if module.ispkg:
        return (folder / module.name / "__main__.py").is_file()
    return "\ndef main(" in (folder / f"{module.name}.py").read_text()
