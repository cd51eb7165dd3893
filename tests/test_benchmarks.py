"""The benchmarks: every case runs and yields figures that make sense, and what is printed, written and drawn of them.

Nothing here depends on how long anything takes.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import (
    agents,
    capabilities,
    catalogue,
    command,
    message_passing,
    orchestration,
    scheduler,
    table,
)
from benchmarks.catalogue import CASES
from benchmarks.figures import SCHEMA, CaseResult, Report, Series, environment, evaluate
from benchmarks.harness import Bar, Case, Contender, Figures, Metric, Samples, execute, measure
from remuda import cli

TINY = {"latency": 3}
"""Operations of each case, where it is not a few hundred."""

UNITS = {"ns", "B", "s", "GB", "ms"}


def case_of(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def tiny(case: Case) -> CaseResult:
    """A case's result from very few operations, measured in this process."""
    size = TINY.get(case.name, 300)
    return evaluate(case, measure(case, size=size, repeats=2, here=True), size=size)


def a_report(results: list[CaseResult]) -> Report:
    return Report(environment(), 2, True, results)


@pytest.fixture(scope="module")
def small() -> Report:
    """A report of one case of each kind: times with a net figure, rates, bytes, several metrics."""
    return a_report(
        [tiny(case_of(name)) for name in ("send_nowait", "stream", "memory", "million")]
    )


def expect_figure(value: object, *, least: float = 0.0) -> None:
    assert isinstance(value, float)
    assert math.isfinite(value)
    assert value >= least


def expect_series(series: dict[str, Any], repeats: int) -> None:
    """All fields of a series in the JSON are there and agree with one another."""
    assert set(series) == set(Series.__annotations__)
    assert series["label"]
    assert series["role"] in ("remuda", "variant", "floor", "loop", "peer", "asyncio", "uvloop")
    assert series["size"] >= 1
    assert len(series["samples"]) == repeats
    for sample in series["samples"]:
        expect_figure(sample)
    assert series["low"] == min(series["samples"])
    assert series["high"] == max(series["samples"])
    assert series["low"] <= series["median"] <= series["high"]
    assert (series["ratio"] is None) == (series["role"] == "remuda")
    if series["ratio"] is not None:
        expect_figure(series["ratio"])
    if series["net"] is not None:
        assert math.isfinite(series["net"])


# Each case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_yields_figures(case: Case) -> None:
    """With a few operations a case yields a positive figure for each contender, metric and repeat."""
    result = tiny(case)
    assert [metric.name for metric in result.metrics] == [metric.name for metric in case.metrics]
    for metric in result.metrics:
        assert metric.unit in UNITS
        assert [series.label for series in metric.series] == [c.label for c in case.contenders]
        for series in metric.series:
            expect_series(vars(series), 2)
            assert series.median > 0
        bars = [bar for bar in case.bars if bar.metric == metric.name]
        judged = metric.of("remuda", "variant")
        assert len(metric.verdicts) == len(bars) * len(judged)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_has_one_subject_a_floor_and_asyncio(case: Case) -> None:
    """A figure never stands alone: its floor and its peer are measured in the same turns."""
    roles = [contender.role for contender in case.contenders]
    assert roles.count("remuda") == 1
    assert roles[0] == "remuda"
    assert "floor" in roles
    assert roles.count("asyncio") == 1
    assert len({contender.label for contender in case.contenders}) == len(roles)
    assert case.title
    assert case.detail
    assert 0 < case.quick_size() < case.size


def test_case_names_are_unique() -> None:
    """A name chooses one case."""
    assert len({case.name for case in CASES}) == len(CASES)


def test_bars_name_metrics_and_floors_that_are_measured() -> None:
    """A bar can always be judged."""
    for case in CASES:
        for bar in case.bars:
            assert bar.metric in {metric.name for metric in case.metrics}
            if bar.against is not None:
                assert bar.against in {c.label for c in case.contenders if c.role == "floor"}
                assert "loop" in {c.role for c in case.contenders}


def test_a_lost_message_is_an_error() -> None:
    """A benchmark that lost messages raises instead of looking fast."""
    with pytest.raises(AssertionError, match="expected 3 messages, got 2"):
        agents.expect(3, 2, "messages")


# The harness

_seen: list[tuple[str, bool, int]] = []


def one(size: int) -> Figures:
    _seen.append(("one", gc.isenabled(), size))
    return {"time": 10.0 * len(_seen)}


async def other(size: int) -> Figures:
    _seen.append(("other", gc.isenabled(), size))
    await asyncio.sleep(0)
    return {"time": 20.0}


def failing(size: int) -> Figures:
    raise ValueError(f"no {size}")


def pair(**changes: Any) -> Case:
    """A case of two contenders, of which the second does half."""
    case = Case(
        "pair",
        "a pair",
        "two contenders",
        100,
        (Contender("one", "remuda", one), Contender("other", "floor", other, share=2)),
    )
    return replace(case, **changes)


def test_contenders_take_turns_and_the_first_repeat_is_forgotten() -> None:
    """Each repeat runs all contenders, starting with another one; the warm-up leaves no sample."""
    _seen.clear()
    samples = measure(pair(), size=100, repeats=2, here=True)
    assert [name for name, _, _ in _seen] == ["one", "other", "other", "one", "one", "other"]
    assert samples == {"one": {"time": [40.0, 50.0]}, "other": {"time": [20.0, 20.0]}}


def test_a_share_is_a_part_of_the_operations() -> None:
    """A slow contender does fewer operations, and at least one."""
    _seen.clear()
    measure(pair(), size=100, repeats=1, here=True)
    assert {(name, size) for name, _, size in _seen} == {("one", 100), ("other", 50)}
    _seen.clear()
    measure(pair(), size=1, repeats=1, here=True)
    assert {size for _, _, size in _seen} == {1}


@pytest.mark.parametrize("collect", [True, False])
def test_the_collector_is_as_the_case_says_and_afterwards_as_it_was(collect: bool) -> None:
    """GC is on or off while a contender is measured; afterwards it is on, and nothing is frozen."""
    _seen.clear()
    frozen = gc.get_freeze_count()
    measure(pair(gc=collect), size=10, repeats=1, here=True)
    assert {enabled for _, enabled, _ in _seen} == {collect}
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen


def test_the_collector_is_as_it_was_after_an_error() -> None:
    """A contender that raises leaves the collector on."""
    with pytest.raises(ValueError, match="no 5"):
        execute(failing, 5, uvloop=False, collect=False)
    assert gc.isenabled()


@pytest.mark.parametrize("fresh", [True, False])
def test_contenders_have_processes_of_their_own(fresh: bool) -> None:
    """A worker's process measures, and this one is not touched."""
    _seen.clear()
    case = replace(case_of("million"), fresh=fresh)
    samples = measure(case, size=20, repeats=1)
    assert not _seen
    assert set(samples) == {contender.label for contender in case.contenders}
    for figures in samples.values():
        expect_figure(figures["time"][0])
        expect_figure(figures["peak"][0])


def test_a_contender_that_fails_in_its_process_is_named(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which function, and the process's own traceback is on stderr."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    case = pair(contenders=(Contender("failing", "remuda", failing),))
    with pytest.raises(RuntimeError, match=r"failing to be measured .* ended with 1"):
        measure(case, size=7, repeats=1)
    assert "ValueError: no 7" in capfd.readouterr().err


# Figures


def judged(own: list[float], floor: list[float], loop: list[float], **changes: Any) -> CaseResult:
    """A result from made-up samples."""
    case = Case(
        "made_up",
        "made up",
        "from no measurement",
        100,
        (
            Contender("subject", "remuda", one),
            Contender("floor", "floor", one),
            Contender("loop", "loop", one),
            Contender("peer", "asyncio", one),
        ),
        bars=(Bar(60), Bar(2, against="floor")),
    )
    samples: Samples = {
        "subject": {"time": own},
        "floor": {"time": floor},
        "loop": {"time": loop},
        "peer": {"time": [sample * 10 for sample in own]},
    }
    return evaluate(replace(case, **changes), samples, size=changes.pop("measured", 100))


def test_medians_ratios_and_net_figures() -> None:
    """A ratio is the median of the repeats' ratios; a net figure is without the repeat's empty loop."""
    metric = judged([40.0, 50.0, 90.0], [30.0, 30.0, 30.0], [10.0, 20.0, 10.0]).metrics[0]
    subject, floor, loop, peer = metric.series
    assert (subject.median, subject.low, subject.high, subject.net) == (50.0, 40.0, 90.0, 30.0)
    assert subject.ratio is None
    assert (floor.net, floor.ratio) == (20.0, 0.6)
    assert loop.net is None
    assert peer.ratio == 10.0


def test_a_bar_in_multiples_of_a_floor_compares_net_figures() -> None:
    """With the loop in both, a subject that takes four times the floor would look like twice."""
    verdicts = judged([50.0] * 3, [20.0] * 3, [10.0] * 3).metrics[0].verdicts
    assert [(verdict.met, verdict.measured) for verdict in verdicts] == [(True, 50.0), (False, 4.0)]


def test_a_bar_in_multiples_is_judged_repeat_by_repeat() -> None:
    """Repeats in which the machine was slow, for one or for the other, don't decide."""
    own, floor = [30.0, 30.0, 300.0, 30.0, 30.0], [30.0, 30.0, 30.0, 10.1, 30.0]
    verdict = judged(own, floor, [10.0] * 5).metrics[0].verdicts[1]
    assert (verdict.met, verdict.measured) == (True, 1.0)


def test_a_bar_against_a_floor_that_is_lost_in_the_noise_is_not_judged() -> None:
    """A floor that took no longer than the empty loop says nothing."""
    verdicts = judged([50.0] * 3, [10.0] * 3, [10.0] * 3).metrics[0].verdicts
    assert [verdict.met for verdict in verdicts] == [True, None]


def test_a_bar_about_the_whole_is_not_judged_by_a_part() -> None:
    """That fifty thousand agents take less than two seconds says nothing about a million."""
    verdicts = judged([50.0] * 3, [20.0] * 3, [10.0] * 3, whole=True, size=1000).metrics[0].verdicts
    assert verdicts[0].met is None


def test_a_missed_bar_is_said_in_the_table() -> None:
    """The summary shows bars, verdicts and their count."""
    text = table.summary(a_report([judged([70.0] * 3, [60.0] * 3, [10.0] * 3)]))
    assert "<= 60 ns" in text
    assert "MISSED" in text
    assert "met (1.20 x)" in text
    assert "1 bars met, 1 missed." in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (5.0, "ns", "5.00 ns"),
        (38.25, "ns", "38.2 ns"),
        (1234.5, "ns", "1,234 ns"),
        (13_100.0, "ns", "13.1 µs"),
        (4537.0, "B", "4,537 B"),
    ],
)
def test_figures_have_as_many_digits_as_mean_something(value: float, unit: str, text: str) -> None:
    """Three digits, or all that are before the point."""
    assert table.figure(value, unit) == text


# What is printed, written, drawn


def test_the_summary_is_aligned(small: Report) -> None:
    """All rows of the table have their columns at the same place."""
    lines = table.summary(small).splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("benchmark"))
    starts = [lines[head].index("bar "), lines[head].index("verdict")]
    rows = lines[head + 2 : lines.index("", head)]
    assert len(rows) >= 5
    for row in rows:
        for start in starts:
            assert row[start - 2 : start].strip() == ""


def test_the_details_name_every_contender(small: Report) -> None:
    """With --all nothing that was measured is left out."""
    text = table.details(small)
    for case in small.cases:
        assert case.detail in text
        for series in case.metrics[0].series:
            assert series.label in text


def test_the_json_has_all_fields_and_is_read_again(small: Report) -> None:
    """What is written is complete, and reading it gives the same report."""
    written = json.loads(json.dumps(small.as_json()))
    assert written["schema"] == SCHEMA
    assert written["benchmark"] == "message_passing"
    assert set(written) == {"schema", "benchmark", "environment", "repeats", "quick", "cases"}
    assert {"python", "remuda", "processor", "cores", "build", "load"} <= set(
        written["environment"]
    )
    for case in written["cases"]:
        assert set(case) == set(CaseResult.__annotations__)
        for metric in case["metrics"]:
            assert set(metric) == {"name", "title", "unit", "series", "verdicts"}
            for series in metric["series"]:
                expect_series(series, 2)
            for verdict in metric["verdicts"]:
                assert set(verdict) == {"label", "bar", "measured", "limit", "met"}
    assert Report.from_json(written) == small


def test_a_json_of_another_schema_is_refused(small: Report) -> None:
    """The error says which schema was expected and which came."""
    with pytest.raises(ValueError, match=f"expected a report of schema {SCHEMA}, got 99"):
        Report.from_json({**small.as_json(), "schema": 99})


def test_the_command_measures_writes_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run prints the table, and writes the JSON and the picture; --read shows the same again."""
    data, picture = tmp_path / "figures.json", tmp_path / "figures.svg"
    words = ["--quick", "--only", "ping_pong", "--repeats", "2"]
    assert message_passing.main([*words, "--json", str(data), "--plot", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert "ping-pong" in printed
    assert "<= 350 ns" in printed
    read = json.loads(data.read_text())
    assert [case["name"] for case in read["cases"]] == ["ping_pong"]
    assert (read["repeats"], read["quick"]) == (2, True)
    assert ElementTree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert message_passing.main(["--read", str(data), "--all"]) == 0
    assert capsys.readouterr().out.startswith(printed)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_every_kind_of_figure_is_drawn(small: Report, tmp_path: Path, suffix: str) -> None:
    """Each unit has its panel."""
    data, picture = tmp_path / "figures.json", tmp_path / f"figures.{suffix}"
    data.write_text(json.dumps(small.as_json()))
    assert message_passing.main(["--read", str(data), "--plot", str(picture)]) == 0
    assert picture.stat().st_size > 10_000


def test_the_list_names_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    """--list measures nothing and tells what can be measured."""
    assert message_passing.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [case.name for case in CASES]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--only", "nonsense"], "got nonsense"),
        (["--repeats", "0"], "expected --repeats to be at least 1, got 0"),
        (["--plot", "figures.gif"], "expected --plot to end in .svg or .png, got figures.gif"),
        (["--read", "/nowhere/at/all.json"], "No such file"),
    ],
)
def test_words_that_mean_nothing_are_refused(
    words: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status is 2, and stderr says what was expected and what came."""
    assert message_passing.main(words) == 2
    assert error in capsys.readouterr().err


def test_a_plot_without_matplotlib_is_refused_before_measuring(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has no matplotlib is told at once, and what to install."""
    monkeypatch.setattr(command, "find_spec", lambda _: None)
    assert message_passing.main(["--plot", "figures.svg"]) == 2
    assert "pip install 'remuda[bench]'" in capsys.readouterr().err


def test_without_uvloop_asyncio_is_the_only_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where uvloop is not installed, it is left out."""
    monkeypatch.setattr(catalogue, "find_spec", lambda _: None)
    assert [peer.role for peer in catalogue._peers(one)] == ["asyncio"]


def test_remuda_bench_finds_the_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    """`remuda bench message_passing` is the same command."""
    assert cli.main(["bench", "message_passing", "--list"]) == 0
    assert "ping_pong" in capsys.readouterr().out


def test_metrics_default_to_nanoseconds() -> None:
    """A case that says nothing else is about time."""
    assert pair().metrics == (Metric("time", "ns"),)


@pytest.mark.parametrize(
    "case", [*orchestration.CASES, *capabilities.CASES], ids=lambda case: case.name
)
def test_each_benchmark_of_primitives_and_capabilities_runs(case: Case) -> None:
    """Every contender measures itself, and what is held against a bar is among its figures."""
    size = min(1000, case.quick_size())
    result = evaluate(case, measure(case, size=size, repeats=1, here=True), size=size)
    for metric in result.metrics:
        assert [series.label for series in metric.series] == [c.label for c in case.contenders]
        assert all(math.isfinite(series.median) for series in metric.series)
        bars = [bar for bar in case.bars if bar.metric == metric.name]
        assert len({verdict.bar for verdict in metric.verdicts}) == len(bars)


@pytest.mark.parametrize("case", scheduler.CASES, ids=lambda case: case.name)
def test_each_benchmark_of_the_scheduler_runs(case: Case) -> None:
    """Every contender of every case does its work, loses nothing, and yields a figure."""
    result = evaluate(case, measure(case, size=20, repeats=1, here=True), size=20)
    for metric in result.metrics:
        assert all(math.isfinite(series.median) and series.median >= 0 for series in metric.series)


def test_the_scheduler_has_a_command_of_its_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """`remuda bench scheduler` lists its benchmarks, and tells of ways that have neither floor nor peer."""
    assert cli.main(["bench", "scheduler", "--list"]) == 0
    assert "uneven" in capsys.readouterr().out
    picture = tmp_path / "scheduler.svg"
    words = ["--quick", "--only", "chain", "--repeats", "1", "--all", "--plot", str(picture)]
    assert scheduler.main(words) == 0
    assert "2 workers" in capsys.readouterr().out
    assert "2 workers" in picture.read_text()
