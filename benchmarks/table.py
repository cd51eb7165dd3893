"""The tables: a summary with bars and verdicts, and everything that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import CaseResult, MetricResult, Report, Series, Verdict

__all__ = ["details", "figure", "summary", "times"]

_SUMMARY = (
    "benchmark",
    "Remuda",
    "min .. max",
    "net",
    "floor",
    "",
    "of floor",
    "asyncio",
    "asyncio is",
    "bar",
    "verdict",
)
_RIGHT = {"Remuda", "net", "floor", "of floor", "asyncio", "asyncio is", "median"}


def figure(value: float, unit: str) -> str:
    """A figure with as many digits as mean something, and its unit.

    Nanoseconds become microseconds where they are many.
    """
    if unit == "ns" and abs(value) >= 10_000:
        value, unit = value / 1000, "µs"
    if abs(value) >= 100:
        return f"{value:,.0f} {unit}"
    return f"{value:.1f} {unit}" if abs(value) >= 10 else f"{value:.2f} {unit}"


def times(ratio: float | None) -> str:
    """A ratio, with as many digits as mean something."""
    if ratio is None:
        return ""
    return (
        f"{ratio:,.0f} x" if ratio >= 100 else f"{ratio:.1f} x" if ratio >= 10 else f"{ratio:.2f} x"
    )


def summary(report: Report) -> str:
    """The table with bars and verdicts, and what its columns mean."""
    rows: list[Sequence[str]] = [_SUMMARY]
    for case in report.cases:
        for metric in case.metrics:
            rows += _rows(case, metric)
    place = report.environment
    missed = [verdict for verdict in _verdicts(report) if verdict.met is False]
    met = [verdict for verdict in _verdicts(report) if verdict.met]
    return "\n".join(
        [
            f"Remuda {place['remuda']}, {place['implementation']} {place['python']} ({place['build']}), "
            f"{place['processor']}, {place['cores']} cores, load {place['load']} at the start; "
            f"median of {report.repeats}{', quick: figures are rough' if report.quick else ''}",
            "",
            *_aligned(rows),
            "",
            "net: without the cost of the empty loop; all other figures are with it. of floor: Remuda's figure is so",
            "many times the floor's. asyncio is: asyncio's is so many times Remuda's. Both are medians of the repeats'",
            "ratios. Bars in multiples of a floor compare net figures.",
            f"{len(met)} bars met, {len(missed)} missed.",
        ]
    )


def details(report: Report) -> str:
    """Every contender of every benchmark."""
    lines: list[str] = []
    for case in report.cases:
        collector = "" if case.gc else ", GC off"
        lines += [f"{case.name}: {case.detail} ({case.size:,}{collector})"]
        rows: list[Sequence[str]] = [("who", "median", "min .. max", "net", "to Remuda", "note")]
        for metric in case.metrics:
            rows += [
                (
                    f"  {metric.title} {series.label}".replace("   ", "  "),
                    figure(series.median, metric.unit),
                    _spread(series, metric.unit),
                    "" if series.net is None else figure(series.net, metric.unit),
                    times(series.ratio),
                    series.note,
                )
                for series in metric.series
            ]
        lines += [*_aligned(rows), ""]
    return "\n".join(lines)


def _rows(case: CaseResult, metric: MetricResult) -> list[Sequence[str]]:
    floor = next(iter(metric.of("floor")), None)
    peer = next(iter(metric.of("asyncio")), None)
    rows: list[Sequence[str]] = []
    for series in metric.of("remuda", "variant", "peer"):
        own = series.role == "remuda"
        title = " ".join(filter(None, [case.title, metric.title]))
        taken = figure(series.median, metric.unit)
        if case.rate:
            taken += f" ({1000 / series.median:.1f} M/s)"
        verdicts = [verdict for verdict in metric.verdicts if verdict.label == series.label]
        rows.append(
            (
                title if own else f"  {series.label}",
                taken,
                _spread(series, metric.unit),
                "" if series.net is None else figure(series.net, metric.unit),
                figure(floor.median, metric.unit) if own and floor else "",
                floor.label if own and floor else "",
                times(1 / floor.ratio if floor and floor.ratio else None) if own else "",
                figure(peer.median, metric.unit) if own and peer else "",
                times(peer.ratio) if own and peer else "",
                verdicts[0].bar if verdicts else "",
                _said(verdicts[0]) if verdicts else "",
            )
        )
        for verdict in verdicts[1:]:
            rows.append(("",) * (len(_SUMMARY) - 2) + (verdict.bar, _said(verdict)))
    return rows


def _said(verdict: Verdict) -> str:
    if verdict.met is None:
        return "not judged"
    multiple = f" ({verdict.measured:.2f} x)" if " x " in verdict.bar else ""
    return ("met" if verdict.met else "MISSED") + multiple


def _spread(series: Series, unit: str) -> str:
    low, high = figure(series.low, unit), figure(series.high, unit)
    if low.split()[1] == high.split()[1]:
        low = low.split()[0]
    return f"{low} .. {high}"


def _verdicts(report: Report) -> list[Verdict]:
    return [
        verdict for case in report.cases for metric in case.metrics for verdict in metric.verdicts
    ]


def _aligned(rows: list[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if title in _RIGHT else cell.ljust(width)
            for cell, width, title in zip(row, widths, rows[0], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths if width))
    return lines
