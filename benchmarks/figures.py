"""From samples to figures: medians, spreads, ratios, verdicts; and the JSON that keeps them."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import remuda
from benchmarks.harness import Bar, Case, Contender, Metric, Samples

__all__ = ["CaseResult", "MetricResult", "Report", "Series", "Verdict", "environment", "evaluate"]

SCHEMA = 1
"""Counted up when a reader of the JSON has to change."""


@dataclass(frozen=True)
class Series:
    """What one contender took.

    Attributes:
        samples: One figure for each repeat, with the cost of the loop around it.
        net: The median without the cost of an empty loop, where that was measured.
        ratio: How many times what the subject took: the median of the repeats' ratios, None for the subject.
        size: How many operations a sample is of.
    """

    label: str
    role: str
    note: str
    size: int
    samples: list[float]
    median: float
    low: float
    high: float
    net: float | None
    ratio: float | None


@dataclass(frozen=True)
class Verdict:
    """A bar, and whether the subject (or a variant of it) is within; None if that can't be said."""

    label: str
    bar: str
    measured: float
    limit: float
    met: bool | None


@dataclass(frozen=True)
class MetricResult:
    """One figure of a benchmark, for all contenders; the subject is the first."""

    name: str
    title: str
    unit: str
    series: list[Series]
    verdicts: list[Verdict]

    def of(self, *roles: str) -> list[Series]:
        """The contenders of these roles."""
        return [series for series in self.series if series.role in roles]


@dataclass(frozen=True)
class CaseResult:
    """A benchmark's figures."""

    name: str
    title: str
    detail: str
    size: int
    gc: bool
    rate: bool
    metrics: list[MetricResult]


@dataclass(frozen=True)
class Report:
    """All of a run."""

    environment: dict[str, Any]
    repeats: int
    quick: bool
    cases: list[CaseResult]
    benchmark: str = "message_passing"

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"schema": SCHEMA, **asdict(self)}

    @staticmethod
    def from_json(read: dict[str, Any]) -> Report:
        """The report that `as_json` wrote.

        Raises:
            ValueError: It is of another schema.
        """
        if read.get("schema") != SCHEMA:
            raise ValueError(f"expected a report of schema {SCHEMA}, got {read.get('schema')!r}")
        cases = [
            CaseResult(
                **{
                    **case,
                    "metrics": [
                        MetricResult(
                            **{
                                **metric,
                                "series": [Series(**series) for series in metric["series"]],
                                "verdicts": [Verdict(**verdict) for verdict in metric["verdicts"]],
                            }
                        )
                        for metric in case["metrics"]
                    ],
                }
            )
            for case in read["cases"]
        ]
        return Report(read["environment"], read["repeats"], read["quick"], cases, read["benchmark"])


def evaluate(case: Case, samples: Samples, *, size: int) -> CaseResult:
    """The figures of a benchmark.

    Args:
        case: The benchmark.
        samples: What `harness.measure` returned.
        size: The number of operations that it was called with.

    Returns:
        Medians, spreads, ratios and verdicts.
    """
    results = [_metric(case, metric, samples, size) for metric in case.metrics]
    return CaseResult(case.name, case.title, case.detail, size, case.gc, case.rate, results)


def _metric(case: Case, metric: Metric, samples: Samples, size: int) -> MetricResult:
    subject = next(c for c in case.contenders if c.role == "remuda")
    loop = next((c for c in case.contenders if c.role == "loop"), None)
    own = samples[subject.label][metric.name]
    empty = samples[loop.label][metric.name] if loop else None

    def series(contender: Contender) -> Series:
        taken = samples[contender.label][metric.name]
        net = None
        if empty is not None and contender is not loop:
            net = statistics.median(a - b for a, b in zip(taken, empty, strict=True))
        ratio = None
        if contender is not subject and all(own):
            ratio = statistics.median(a / b for a, b in zip(taken, own, strict=True))
        return Series(
            label=contender.label,
            role=contender.role,
            note=contender.note,
            size=max(1, size // contender.share),
            samples=taken,
            median=statistics.median(taken),
            low=min(taken),
            high=max(taken),
            net=net,
            ratio=ratio,
        )

    found = [series(contender) for contender in case.contenders]
    sayable = not case.whole or size == case.size
    verdicts = [
        _verdict(bar, metric, judged, found, empty, sayable)
        for judged in found
        if judged.role in ("remuda", "variant")
        for bar in case.bars
        if bar.metric == metric.name
    ]
    return MetricResult(metric.name, metric.title, metric.unit, found, verdicts)


def _verdict(
    bar: Bar,
    metric: Metric,
    judged: Series,
    found: list[Series],
    empty: list[float] | None,
    sayable: bool,
) -> Verdict:
    if bar.against is None:
        text = bar.text or f"<= {bar.limit:,g} {metric.unit}"
        met = judged.median <= bar.limit if sayable else None
        return Verdict(judged.label, text, judged.median, bar.limit, met)
    floor = next(series for series in found if series.label == bar.against)
    text = f"<= {bar.limit:g} x {bar.against}"
    # Repeat by repeat, so that one in which the machine was slow doesn't decide.
    ratios = [
        (own - loop) / (other - loop)
        for own, other, loop in zip(judged.samples, floor.samples, empty or (), strict=bool(empty))
        if other > loop
    ]
    if not ratios:
        return Verdict(judged.label, text, 0.0, bar.limit, None)
    times = statistics.median(ratios)
    return Verdict(judged.label, text, times, bar.limit, times <= bar.limit)


def environment() -> dict[str, Any]:
    """Where this runs, as far as it matters to figures."""
    try:
        uvloop = version("uvloop")
    except PackageNotFoundError:
        uvloop = None
    return {
        "remuda": remuda.__version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "build": "debug" if hasattr(sys, "gettotalrefcount") else "release",
        "uvloop": uvloop,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
