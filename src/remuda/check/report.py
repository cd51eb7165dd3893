"""Shows findings: as text, as JSON, as SARIF."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from remuda._kernel import __version__
from remuda.check.finding import Finding
from remuda.check.rules import RULES

__all__ = ["FORMATS", "as_json", "as_sarif", "as_text"]

_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {"error": "error", "warning": "warning"}


def as_text(findings: Sequence[Finding]) -> str:
    """One line for each finding, and one below it for the place that it is about."""
    lines = []
    for found in findings:
        kind = "" if found.severity == "error" else f"{found.severity}: "
        lines.append(
            f"{found.file}:{found.line}:{found.column}: {kind}{found.code} {found.message}"
        )
        if found.related is not None:
            place = f"{found.file}:{found.related.line}:{found.related.column}"
            lines.append(f"    {place}: {found.related.message}")
    return "".join(f"{line}\n" for line in lines)


def as_json(findings: Sequence[Finding]) -> str:
    """A list of findings."""
    return json.dumps([_record(found) for found in findings], indent=2) + "\n"


def _record(found: Finding) -> dict[str, Any]:
    record: dict[str, Any] = {
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "code": found.code,
        "message": found.message,
        "severity": found.severity,
    }
    if found.related is not None:
        record["related"] = {
            "file": found.file,
            "line": found.related.line,
            "column": found.related.column,
            "message": found.related.message,
        }
    return record


def as_sarif(findings: Sequence[Finding]) -> str:
    """A log in the Static Analysis Results Interchange Format, version 2.1.0."""
    codes = list(RULES)
    rules = [
        {
            "id": rule.code,
            "name": rule.name,
            "shortDescription": {"text": rule.summary},
            "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        }
        for rule in RULES.values()
    ]
    results = []
    for found in findings:
        result: dict[str, Any] = {
            "ruleId": found.code,
            "ruleIndex": codes.index(found.code),
            "level": _LEVELS[found.severity],
            "message": {"text": found.message},
            "locations": [_location(found.file, found.line, found.column)],
        }
        if found.related is not None:
            place = _location(found.file, found.related.line, found.related.column)
            result["relatedLocations"] = [
                {"id": 0, **place, "message": {"text": found.related.message}}
            ]
        results.append(result)
    driver = {"name": "remuda check", "version": __version__, "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    log = {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def _location(file: str, line: int, column: int) -> dict[str, Any]:
    path = Path(file)
    uri = path.as_uri() if path.is_absolute() else path.as_posix()
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri},
            "region": {"startLine": line, "startColumn": column},
        }
    }


FORMATS: Final = {"text": as_text, "json": as_json, "sarif": as_sarif}
"""How findings can be shown."""
