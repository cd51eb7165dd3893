"""The picture: what Remuda, its floors and asyncio take, side by side on logarithmic axes, with the bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator

from benchmarks.figures import CaseResult, MetricResult, Report, Series
from benchmarks.table import figure, times

__all__ = ["draw"]

_INK, _GREY, _LIGHT = "#1b2733", "#5f6b76", "#e3e8ec"
_COLOURS = {"remuda": "#0072b2", "floor": "#b4bec7", "asyncio": "#e69f00"}
_NAMES = {
    "remuda": "Remuda",
    "floor": "floor (named in grey)",
    "asyncio": "asyncio: task + queue (how many times Remuda's)",
}
_STYLE: Any = {
    "axes.edgecolor": _GREY,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "font.size": 9,
    "text.color": _INK,
    "xtick.color": _GREY,
    "ytick.color": _INK,
    "svg.hashsalt": "message passing",
}
_THICK = 0.27
_PANELS = {
    "ns": "Time per operation",
    "B": "Memory per idle agent",
    "ms": "Delay of a timer while agents are never idle",
    "s": "Spawn, one message each, end: time of all",
    "GB": "Spawn, one message each, end: peak of memory",
}
"""One panel for each unit, in this order."""


def draw(report: Report, path: Path) -> None:
    """Draws a report.

    Args:
        report: What was measured.
        path: Where to; its suffix, .svg or .png, says as what.
    """
    groups: dict[str, list[tuple[CaseResult, MetricResult]]] = {}
    for unit in _PANELS:
        found = [(c, m) for c in report.cases for m in c.metrics if m.unit == unit]
        if found:
            groups[unit] = found
    place = report.environment
    with mpl.rc_context(_STYLE):
        heights = [len(found) + 0.9 for found in groups.values()]
        picture = Figure(figsize=(10.5, 0.56 * sum(heights) + 1.4), layout="constrained")
        rows = picture.subplots(len(groups), 1, squeeze=False, height_ratios=heights)
        for axes, (unit, found) in zip(rows[:, 0], groups.items(), strict=True):
            _panel(axes, unit, found)
        picture.suptitle(
            "What agents and messages cost (less is better; logarithmic axes)\n\n",
            x=0.01,
            ha="left",
            fontsize=13,
            fontweight="bold",
        )
        picture.text(
            0.01,
            1 - 0.42 / picture.get_figheight(),
            f"{place['implementation']} {place['python']}, {place['processor']}, {place['cores']} cores; "
            f"median of {report.repeats}{', quick run: rough figures' if report.quick else ''}",
            color=_GREY,
            va="top",
        )
        picture.legend(
            handles=[
                *(Patch(color=_COLOURS[role], label=name) for role, name in _NAMES.items()),
                Line2D([], [], color=_INK, linewidth=2.5, label="bar: not more than this"),
                Line2D([], [], color=_INK, linewidth=0.8, label="min to max"),
            ],
            loc="outside lower left",
            ncols=5,
            frameon=False,
        )
        picture.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)


def _panel(axes: Axes, unit: str, found: list[tuple[CaseResult, MetricResult]]) -> None:
    least = min(series.median for _, metric in found for series in _shown(metric))
    most = max(series.high for _, metric in found for series in _shown(metric))
    # Bars on a logarithmic axis have no zero to start from; these start well below the least, and leave room for words.
    start = least / 3
    axes.set_xscale("log")
    axes.set_xlim(start, most * (most / start) ** 0.22)
    axes.set_ylim(len(found) - 0.4, -0.6)
    for row, (case, metric) in enumerate(found):
        limits = {verdict.limit for verdict in metric.verdicts if " x " not in verdict.bar}
        for place, series in enumerate(_shown(metric)):
            y = row + (place - 1) * _THICK
            axes.barh(
                y,
                series.median - start,
                _THICK * 0.92,
                left=start,
                color=_COLOURS.get(series.role, _GREY),
            )
            axes.plot([series.low, series.high], [y, y], color=_INK, linewidth=0.8)
            # Words stand to the right of whatever is drawn where they would be.
            near = [
                limit for limit in limits if series.role == "remuda" and limit < 3 * series.high
            ]
            axes.text(
                max([series.high, *near]) * 1.03,
                y,
                f" {_words(case, series, unit)}",
                va="center",
                fontsize=8,
                fontweight="bold" if series.role == "remuda" else "normal",
                color=_GREY if series.role == "floor" else _INK,
            )
        for limit in limits:
            ends = [row - 1.6 * _THICK, row - 0.4 * _THICK]
            axes.plot([limit, limit], ends, color=_INK, linewidth=2.5, solid_capstyle="butt")
    axes.set_yticks(range(len(found)), [_title(case, metric) for case, metric in found])
    axes.tick_params(axis="y", length=0)
    axes.set_title(_PANELS[unit])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, unit)))
    axes.grid(axis="x", color=_LIGHT, linewidth=0.7)
    axes.set_axisbelow(True)


def _shown(metric: MetricResult) -> list[Series]:
    """One of each role; all ways of Remuda's where there is nobody else."""
    shown = [series for role in _COLOURS for series in metric.of(role)[:1]]
    return shown if len(shown) > 1 else metric.of("remuda", "variant")


def _title(case: CaseResult, metric: MetricResult) -> str:
    if metric.unit in ("s", "GB"):
        return f"{case.size:,} agents"
    return " ".join(filter(None, [case.title, metric.title]))


def _words(case: CaseResult, series: Series, unit: str) -> str:
    words = figure(series.median, unit)
    if series.role in ("floor", "variant"):
        return f"{words}  {series.label}"
    if series.role == "asyncio" and series.ratio:
        return f"{words}  ({'; '.join(filter(None, [times(series.ratio), series.note]))})"
    if case.rate:
        return f"{words}  ({1000 / series.median:.1f} M msg/s)"
    return words


def _tick(value: float, unit: str) -> str:
    if unit == "ns" and value >= 1000:
        value, unit = value / 1000, "µs"
    return f"{value:,g} {unit}"
