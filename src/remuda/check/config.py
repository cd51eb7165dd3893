"""What `[tool.remuda.check]` in pyproject.toml says."""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Final

from remuda.check.rules import RULES, chosen

__all__ = ["ConfigError", "Settings", "check_codes", "find", "read"]

_KEYS: Final = ("select", "ignore", "exclude")
_TABLE: Final = "per-file-ignores"


class ConfigError(ValueError):
    """The configuration, or the command line, is not what is expected."""


@dataclass(frozen=True)
class Settings:
    """What is checked.

    Attributes:
        root: The folder that patterns are relative to.
        select: Codes, or how they begin, that are on; all, if empty.
        ignore: Those that are off all the same.
        exclude: Patterns of paths that are not looked at.
        per_file: Patterns of paths, with what is off there.
    """

    root: Path = field(default_factory=Path.cwd)
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    per_file: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def codes(self, path: Path | None = None) -> frozenset[str]:
        """The codes that are on, in a file."""
        ignore = self.ignore
        if path is not None:
            for pattern, more in self.per_file:
                if self._matches(path, pattern):
                    ignore += more
        return chosen(self.select, ignore)

    def excludes(self, path: Path) -> bool:
        """Whether a file or folder is not looked at."""
        return any(self._matches(path, pattern) for pattern in self.exclude)

    def _matches(self, path: Path, pattern: str) -> bool:
        """Whether the path, a folder above it, or just a name in it fits the pattern."""
        whole = path.resolve()
        try:
            relative = whole.relative_to(self.root.resolve())
        except ValueError:
            relative = PurePath(whole.name)  # type: ignore[assignment]  # a name outside of the root
        pattern = pattern.rstrip("/").removesuffix("/**")
        beginnings = [relative, *relative.parents]
        if any(fnmatch.fnmatchcase(str(part.as_posix()), pattern) for part in beginnings):
            return True
        return "/" not in pattern and any(
            fnmatch.fnmatchcase(part, pattern) for part in relative.parts
        )


def find(paths: list[Path]) -> Path | None:
    """The nearest pyproject.toml above all of the paths."""
    folders = [path.resolve() if path.is_dir() else path.resolve().parent for path in paths]
    folders = folders or [Path.cwd()]
    for folder in (folders[0], *folders[0].parents):
        if all(other.is_relative_to(folder) for other in folders):
            candidate = folder / "pyproject.toml"
            if candidate.is_file():
                return candidate
    return None


def read(file: Path | None) -> Settings:
    """The settings of a pyproject.toml.

    Args:
        file: Its path; the defaults, if there is none.

    Returns:
        The settings.

    Raises:
        ConfigError: It can't be read, or has something unexpected in it.
    """
    if file is None:
        return Settings()
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"expected {file} to be a readable TOML file: {error}") from error
    where = f"[tool.remuda.check] of {file}"
    table: Any = content
    for name in ("tool", "remuda", "check"):
        table = table.get(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"expected {name!r} of {file} to be a table, found {table!r}")
    for key in table:
        if key not in (*_KEYS, _TABLE):
            known = ", ".join((*_KEYS, _TABLE))
            raise ConfigError(f"expected the keys of {where} to be among {known}; found {key!r}")
    values = {key: _strings(table.get(key, []), f"{key!r} in {where}") for key in _KEYS}
    per_file = table.get(_TABLE, {})
    if not isinstance(per_file, dict):
        raise ConfigError(f"expected {_TABLE!r} in {where} to be a table, found {per_file!r}")
    ignores = tuple(
        (pattern, check_codes(_strings(codes, f"{pattern!r} of {_TABLE!r} in {where}"), where))
        for pattern, codes in per_file.items()
    )
    return Settings(
        file.parent,
        check_codes(values["select"], f"'select' in {where}"),
        check_codes(values["ignore"], f"'ignore' in {where}"),
        values["exclude"],
        ignores,
    )


def _strings(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ConfigError(f"expected {where} to be a list of strings, found {value!r}")
    return tuple(value)


def check_codes(codes: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The codes, if each is the code of a rule or how some begin.

    Raises:
        ConfigError: One is not.
    """
    for code in codes:
        if not code or not any(known.startswith(code) for known in RULES):
            known = ", ".join(RULES)
            raise ConfigError(f"expected {where} to hold codes among {known}; found {code!r}")
    return codes
