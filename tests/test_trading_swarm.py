"""The trading swarm: data, indicators, agreement with the reference, command line."""

from __future__ import annotations

import gzip
import os
import random
import subprocess
import sys
from dataclasses import astuple, replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import remuda
from examples.trading_swarm import cli, market, metrics, picture, reference, report, verify
from examples.trading_swarm.analyzers import RangeIndicator, ReversionIndicator, TrendIndicator
from examples.trading_swarm.execution import fill
from examples.trading_swarm.market import Bar, Market
from examples.trading_swarm.messages import Account, Fill
from examples.trading_swarm.parameters import PIPS, Parameters
from examples.trading_swarm.portfolio import Ledger
from examples.trading_swarm.randomly import a_bar, a_market, market_of, some_parameters
from examples.trading_swarm.risk import Limits, Views
from examples.trading_swarm.swarm import Run, Settings, trade
from remuda import testing

ROOT = Path(__file__).resolve().parent.parent

QUICK = Parameters(
    fast=2,
    slow=4,
    reversion=4,
    entry=1,
    atr=2,
    calm=4,
    risk=300,
    position_limit=6_000,
    participation=500,
    stop=1_000,
    pause=5,
)
"""Short enough for something to happen in a few days."""


@pytest.fixture(scope="module")
def real() -> Market:
    """The real prices."""
    return market.load()


def trade_now(of: Market, parameters: Parameters, settings: Settings | None = None) -> Run:
    """Runs a swarm in an event loop of its own."""
    return remuda.run(trade(of, parameters, settings))


def closing_at(*closes: int) -> Market:
    """One symbol with these closes and nothing else to its days."""
    return market_of(A=[Bar(close, close, close, close, 1_000_000) for close in closes])


class TestMarket:
    """The prices."""

    def test_real_prices_are_all_there(self, real: Market) -> None:
        """All bars of the five stocks are loaded, on one calendar."""
        assert real.symbols == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
        assert (real.days[0], real.days[-1]) == (date(2000, 3, 1), date(2013, 3, 1))
        assert real.traded.sum(axis=0).tolist() == [3270, 196, 2148, 3270, 3270]
        assert real.close[0].tolist() == [41867, 0, 0, real.close[0, 3], real.close[0, 4]]

    def test_splits_are_no_crashes(self, real: Market) -> None:
        """Prices are adjusted: the only day that halved a price did so in truth."""
        close, traded = real.close.astype(float), real.traded
        ratio = (close[1:] / close[:-1].clip(min=1))[traded[1:] & traded[:-1]]
        worst, second = sorted(ratio)[:2]
        assert worst == pytest.approx(0.4813, abs=0.001)  # Apple, 2000-09-29
        assert second > 0.75
        assert ratio.max() < 1.3

    def test_bars_come_back(self, real: Market) -> None:
        """What a feed replays is what the arrays hold; a day without trading is None."""
        bars = real.bars("FB")
        assert bars[0] is None
        last = bars[-1]
        assert last is not None
        assert last.close == real.close[-1, 1]
        short = real.first(100)
        assert (short.symbols, len(short.days)) == (("AAPL", "IBM", "MSFT"), 100)
        assert not short.close.flags.writeable

    def test_bad_files_are_refused(self, tmp_path: Path) -> None:
        """A missing file, a missing symbol and an impossible bar are each told apart."""
        with pytest.raises(market.NoMarketData, match=r"stocks\.csv\.gz"):
            market.load(directory=tmp_path)
        head = "Ticker,Date,Open,High,Low,Close,Volume,Adj Close\n"
        (tmp_path / "stocks.csv.gz").write_bytes(
            gzip.compress(f"{head}IBM,2000-03-01,10,9,8,10,5,10\n".encode())
        )
        with pytest.raises(market.NoMarketData, match="bars of MSFT"):
            market.load(["MSFT"], directory=tmp_path)
        with pytest.raises(ValueError, match="low <= open, close <= high"):
            market.load(["IBM"], directory=tmp_path)
        with pytest.raises(ValueError, match="at least one bar"):
            Market.of({"A": {}})


class TestIndicators:
    """Each indicator, and the reference's, against numbers worked out by hand."""

    def test_momentum(self) -> None:
        """The sign of the fast average minus the slow one: 35 to 25, 22.5 to 23.75, equal."""
        closes, sides = (10, 20, 30, 40, 5, 5, 5, 5), [None, None, None, 1, -1, -1, -1, 0]
        indicator = TrendIndicator(2, 4)
        assert [indicator.update(close) for close in closes] == sides
        assert reference.indicators(closing_at(*closes), 0, QUICK).trend.tolist()[3:] == sides[3:]

    def test_mean_reversion(self) -> None:
        """A side is taken one deviation from the mean, and held until the price is back at it."""
        closes, sides = (10, 10, 10, 10, 6, 8, 9, 20), [None, None, None, 0, 1, 1, 0, -1]
        indicator = ReversionIndicator(4, 1)
        assert [indicator.update(close) for close in closes] == sides
        found = reference.indicators(closing_at(*closes), 0, QUICK).reversion.tolist()
        assert found[3:] == sides[3:]
        exactly = (30, 30, 30, 30, 18, 26)
        indicator = ReversionIndicator(4, 1)
        assert [indicator.update(close) for close in exactly][3:] == [0, 1, 0]
        found = reference.indicators(closing_at(*exactly), 0, QUICK).reversion.tolist()
        assert found[3:] == [0, 1, 0]

    def test_volatility(self) -> None:
        """True ranges of 3, 3, 5 and 21: the last two are far above the last three."""
        bars = [Bar(10, 12, 9, 11, 1), Bar(13, 14, 12, 13, 1), Bar(10, 10, 8, 9, 1)]
        bars.append(Bar(9, 30, 9, 20, 1))
        indicator = RangeIndicator(2, 3, 12_000)
        assert [indicator.update(bar) for bar in bars] == [
            (None, False),
            (None, False),
            (8, False),
            (26, True),
        ]
        found = reference.indicators(market_of(A=bars), 0, replace(QUICK, calm=3, stress=12_000))
        assert found.true_range.tolist()[2:] == [8, 26]
        assert found.stressed.tolist()[2:] == [False, True]


class TestMoney:
    """Fills, limits and the account, against numbers worked out by hand."""

    def test_fill(self) -> None:
        """Price and fee are rounded against us, and the fee has a least."""
        assert fill(3, "A", 1_000, 100_003, QUICK) == Fill(3, "A", 1_000, 100_054, 20_011)
        assert fill(3, "A", -100, 100_003, QUICK) == Fill(3, "A", -100, 99_952, PIPS)

    def test_account(self) -> None:
        """Cash falls by price and fee; a symbol that was not traded keeps its last close."""
        ledger = Ledger(("A", "B"), 1_000)
        ledger.close((Fill(0, "A", 3, 100, 7),), {"A": 110, "B": 50})
        ledger.close((Fill(1, "B", -2, 60, 1),), {"A": None, "B": 55})
        assert ledger.accounts == [
            Account(0, 693, 1_023, (3, 0), (110, 50)),
            Account(1, 812, 1_032, (3, -2), (110, 55)),
        ]

    def test_size(self) -> None:
        """Size is by risk over range, within the position's limit, scaled to the gross limit."""
        views = Views(
            bars=dict.fromkeys("AB", Bar(100, 100, 100, 100, 10**9)),
            trends={"A": 1, "B": 1},
            reversions={"A": 1, "B": 0},
            ranges={"A": (20, False), "B": (20, True)},
        )
        account = Account(0, 10**6, 10**6, (0, 0), (100, 100))
        # A: 1,000,000 * 3 % / (20 / 2); B: two thirds of it for its conviction, half for stress.
        free = replace(QUICK, participation=10_000, position_limit=10**6, gross_limit=10**6)
        assert Limits(("A", "B"), free).orders(views, account) == (("A", 3_000), ("B", 1_000))
        alone = replace(free, position_limit=2_000)
        assert Limits(("A", "B"), alone).orders(views, account) == (("A", 2_000), ("B", 1_000))
        gross = replace(free, gross_limit=2_000)
        assert Limits(("A", "B"), gross).orders(views, account) == (("A", 1_500), ("B", 500))

    def test_stop(self) -> None:
        """The stop is hit at exactly its drawdown, and the peak begins anew after the pause."""
        views = Views(bars={"A": Bar(1, 1, 1, 1, 10**9)}, ranges={"A": (None, False)})
        views.trends["A"] = views.reversions["A"] = None
        limits = Limits(("A",), QUICK)
        for day, equity in enumerate((1_000, 901, 900, 1, 2, 3, 4, 500, 451, 450)):
            limits.orders(views, Account(day, 0, equity, (0,), (1,)))
        assert limits.stops == [2, 9]


class TestAgreement:
    """The swarm against the independent computation."""

    @pytest.mark.parametrize("short", [False, True])
    def test_real_data(self, real: Market, short: bool) -> None:
        """On thirteen years of real prices every trade, position and equity is the same."""
        parameters = Parameters(short=short)
        book = reference.compute(real, parameters)
        found = verify.compare(real, trade_now(real, parameters), book)
        assert found.differences == ()
        assert len(book.trades) > 500
        assert book.stops

    @pytest.mark.parametrize("seed", range(60))
    def test_random_data(self, seed: int) -> None:
        """On random prices with gaps, with random parameters and any window, it is the same."""
        of, parameters = a_market(seed), some_parameters(seed)
        run = trade_now(of, parameters, Settings(window=1 + seed % 7, sample=1 + seed % 3))
        assert verify.compare(of, run, reference.compute(of, parameters)).differences == ()

    @pytest.mark.parametrize("seed", range(20))
    def test_any_order(self, seed: int) -> None:
        """Whichever agent runs next, and for however many messages, the trades are the same."""
        of, parameters = a_market(seed), some_parameters(seed)
        settings = Settings(window=1 + seed % 7, sample=1 + seed % 3)
        run = testing.run(trade, of, parameters, settings, seed=seed)
        assert verify.compare(of, run, reference.compute(of, parameters)).differences == ()

    def test_random_data_is_worth_it(self) -> None:
        """The random cases do trade, stop, go short and leave gaps."""
        books = [reference.compute(a_market(seed), some_parameters(seed)) for seed in range(60)]
        assert sum(len(book.trades) for book in books) > 500
        assert sum(len(book.stops) for book in books) > 20
        assert sum((book.positions < 0).any() for book in books) > 5
        assert sum(not a_market(seed).traded.all() for seed in range(60)) > 10

    def test_many_books(self, real: Market) -> None:
        """Books that trade at the same time don't disturb one another."""
        of = real.first(300)
        run = trade_now(of, Parameters(), Settings(books=4, window=8))
        found = verify.compare(of, run, reference.compute(of, Parameters()))
        assert (found.books, found.differences) == (4, ())
        assert run.agents == 4 * (4 + 4 * 3) + 1

    def test_a_difference_is_told(self, real: Market) -> None:
        """One pip in one trade is found, and said where."""
        of = real.first(200)
        run = trade_now(of, Parameters())
        book = reference.compute(of, Parameters())
        day, symbol, shares, price, fee = book.trades[0]
        wrong = replace(book, trades=((day, symbol, shares, price + 1, fee), *book.trades[1:]))
        found = verify.compare(of, run, wrong)
        assert not found.agreed
        ours, theirs = book.trades[0], wrong.trades[0]
        told = f"book 0: trade #0: the swarm has {ours}, the reference has {theirs}"
        assert found.differences == (told,)


class TestTime:
    """What may depend on what."""

    @pytest.mark.parametrize("seed", range(12))
    def test_no_look_ahead(self, seed: int) -> None:
        """Other bars after a day, its next open apart, change no trade up to that open."""
        dice = random.Random(seed)
        bars = {name: [a_bar(dice, 50_000) for _ in range(60)] for name in "AB"}
        last = dice.randrange(8, 58)
        changed = {
            name: [*of[: last + 1], *(a_bar(dice, 90_000) for _ in of[last + 1 :])]
            for name, of in bars.items()
        }
        for name, of in changed.items():
            opened, bar = bars[name][last + 1].open, of[last + 1]
            of[last + 1] = replace(
                bar, open=opened, high=max(bar.high, opened), low=min(bar.low, opened)
            )
        runs = [trade_now(market_of(**of), replace(QUICK, short=True)) for of in (bars, changed)]
        before, after = (run.statements[0] for run in runs)
        known = [fill for fill in before.fills if fill.day <= last + 1]
        assert known
        assert known == [fill for fill in after.fills if fill.day <= last + 1]
        assert before.accounts[: last + 1] == after.accounts[: last + 1]
        assert before.accounts[last + 1 :] != after.accounts[last + 1 :]

    def test_drawdown_stop(self) -> None:
        """A crash is sold at the next open; nothing is held for the pause, then trading goes on."""
        rise = [10_000 + 100 * day for day in range(20)]
        fall = [6_000 + 50 * day for day in range(20)]
        bars = [Bar(price, price + 60, price - 60, price + 20, 10**9) for price in rise + fall]
        of = market_of(A=bars)
        run = trade_now(of, QUICK)
        statement = run.statements[0]
        held = [account.positions[0] for account in statement.accounts]
        assert run.stops == ((20,),)
        assert held[19] > 0
        assert held[20] == held[19], "the crash came overnight: nobody could sell before it"
        sold = next(fill for fill in statement.fills if fill.day == 21)
        assert sold.shares == -held[20]
        assert sold.price == 6_050 * 9_995 // 10_000
        assert held[21 : 20 + QUICK.pause + 1] == [0] * QUICK.pause
        assert held[-1] > 0
        assert verify.compare(of, run, reference.compute(of, QUICK)).agreed


class TestBackpressure:
    """A slow analyzer."""

    def test_it_is_seen_and_harmless(self, real: Market) -> None:
        """The slow mailbox fills, its feed waits, no other mailbox does, the result is the same."""
        of = real.first(250)
        settings = Settings(window=40, mailbox=8, slow={("mean_reversion", "MSFT"): 0.0})
        run = trade_now(of, Parameters(), settings)
        name = "mean_reversion:MSFT"
        found = report.pressure(run, name)
        assert {mark.agent for mark in run.marks} == {name}
        assert found.depth == run.slow[name].capacity == 8
        assert found.waiting == 1
        assert found.highs == found.lows > 10
        assert 0 < found.above_high <= 1
        assert found.time_waiting > 0.5
        assert run.slow[name].delivered == len(of.days) == len(run.observations.depths)
        assert verify.compare(of, run, reference.compute(of, Parameters())).agreed

    def test_there_is_none_without(self, real: Market) -> None:
        """Nobody ever waits in a swarm without slow analyzers, however far ahead feeds may run."""
        run = trade_now(real.first(250), Parameters(), Settings(window=100))
        assert run.marks == ()

    def test_a_failure_is_seen(self, real: Market) -> None:
        """If an agent fails, the run fails with its error, and does not hang."""

        def fail(settled: int) -> None:
            raise RuntimeError(f"at {settled}")

        with pytest.raises(ExceptionGroup) as caught:
            remuda.run(trade(real.first(50), Parameters(), None, fail))
        assert caught.group_contains(RuntimeError, match="at 1")


class TestMeasuring:
    """What is reported."""

    def test_latencies_and_messages(self, real: Market) -> None:
        """Every sampled message is reported once, and every message is counted."""
        of = real.first(34)
        run = trade_now(of, Parameters(), Settings(sample=17))
        hops = [seen.hop for seen in run.observations.latencies]
        assert {hop: hops.count(hop) for hop in hops} == {
            "open to execution": 6,
            "bar to analyzer": 18,
            "signal to risk": 18,
        }
        assert all(seen.nanoseconds > 0 for seen in run.observations.latencies)
        # A day: 3 symbols * (publish, open, 5 closings, 3 signals), orders, executed, ask, settled.
        assert run.messages == 34 * (3 * 10 + 4) + 1

    def test_performance(self) -> None:
        """Profits of the symbols add up to the total; flat is flat; a drawdown is by hand."""
        of, parameters = a_market(48), some_parameters(48)
        rows = metrics.performance(of, trade_now(of, parameters).statements[0])
        total = rows.pop("total")
        assert total.trades == sum(row.trades for row in rows.values()) > 0
        assert total.profit == pytest.approx(sum(row.profit for row in rows.values()))
        flat = metrics.performance(
            closing_at(5, 5), trade_now(closing_at(5, 5), QUICK).statements[0]
        )
        assert astuple(flat["total"]) == (0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)
        assert metrics.drawdowns(np.array([2.0, 4.0, 3.0, 5.0])).min() == -0.25


class TestCommandLine:
    """`python -m examples.trading_swarm`."""

    def test_as_a_user_runs_it(self, tmp_path: Path) -> None:
        """The whole of it, in a process: tables, verdict, picture."""
        done = subprocess.run(
            [sys.executable, "-m", "examples.trading_swarm", "--picture", tmp_path / "swarm.svg"],
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80"},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "VERIFIED" in done.stdout
        assert "messages/s" in done.stdout
        assert "AAPL" in done.stdout
        lines = [line for line in done.stdout.splitlines() if not line.startswith("picture")]
        assert max(len(line.rstrip()) for line in lines) <= 80
        assert "…" not in done.stdout
        assert ElementTree.parse(tmp_path / "swarm.svg").getroot().tag.endswith("svg")

    def test_slow_analyzer(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A slow analyzer's backpressure is in a table, a timeline and the picture."""
        path = tmp_path / "swarm.svg"
        arguments = ["--days", "150", "--slow-analyzer", "momentum:*=0us", "--mailbox", "4"]
        assert cli.main([*arguments, "--repeat", "2", "--picture", str(path)]) == 0
        out = capsys.readouterr().out
        assert "backpressure" in out
        assert "momentum:IBM.1" in out
        assert "█" in out
        assert path.stat().st_size > 10_000

    def test_a_difference_fails(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """If the reference has another result the exit code is 1, and the output says where."""
        right = reference.compute

        def wrong(of: Market, parameters: Parameters) -> reference.Book:
            book = right(of, parameters)
            return replace(book, equity=(*book.equity[:-1], book.equity[-1] + 1))

        monkeypatch.setattr(reference, "compute", wrong)
        assert cli.main(["--days", "20", "--no-picture"]) == 1
        assert "equity 2000-03-28" in capsys.readouterr().out

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--symbols", "ORCL"],
            ["--repeat", "0"],
            ["--days", "-3"],
            ["--slow-analyzer", "momentum:MSFT"],
            ["--slow-analyzer", "luck:MSFT=1ms"],
            ["--random", "4", "--short"],
        ],
    )
    def test_bad_arguments(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        """What makes no sense is refused, and the message says what was expected."""
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 2
        assert "expected" in capsys.readouterr().err

    def test_what_can_not_be_run(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """An unknown slow symbol, an unwritable picture and a missing package exit with 2."""
        assert cli.main(["--days", "9", "--slow-analyzer", "momentum:FB=1ms"]) == 2
        assert cli.main(["--days", "9", "--picture", str(tmp_path / "no" / "where.svg")]) == 2
        monkeypatch.setitem(sys.modules, "bokeh_sampledata", None)
        assert cli.main([]) == 2
        told = capsys.readouterr().err
        assert all(part in told for part in ("AAPL, IBM, MSFT", "where.svg", "remuda[examples]"))

    def test_random_market(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A random market is checked in the same way, from a seed."""
        assert cli.main(["--random", "48", "--no-picture"]) == 0
        out = capsys.readouterr().out
        assert "VERIFIED" in out
        assert "138 trading days" in out

    def test_slow_analyzer_is_read(self) -> None:
        """Kind, symbol and time."""
        assert cli.slow_analyzer("volatility:ibm=1.5ms") == cli.SlowAnalyzer(
            "volatility", "IBM", 0.0015
        )


def test_the_picture_is_repeatable(tmp_path: Path) -> None:
    """The same run gives the same file, short positions and a stop included."""
    of = a_market(48)
    run = trade_now(of, some_parameters(48))
    assert run.stops[0]
    assert min(min(account.positions) for account in run.statements[0].accounts) < 0
    for name in ("a", "b"):
        picture.draw(of, run, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"fast": 0},
        {"slow": 20},
        {"calm": 3},
        {"stop": 20_000},
        {"band": 20_000},
        {"trend_weight": 0, "reversion_weight": 0},
    ],
)
def test_bad_parameters_are_refused(change: dict[str, int]) -> None:
    """A parameter that means nothing is named in the error."""
    with pytest.raises(ValueError, match=next(iter(change))):
        Parameters(**change)  # type: ignore[arg-type]  # wrong on purpose


def test_bad_settings_are_refused() -> None:
    """So is a setting."""
    with pytest.raises(ValueError, match="window"):
        Settings(window=0)
    with pytest.raises(ValueError, match="momentum:IBM"):
        Settings(slow={("momentum", "IBM"): -1.0})
    with pytest.raises(KeyError, match="ORCL"):
        trade_now(closing_at(5), QUICK, Settings(slow={("momentum", "ORCL"): 0.0}))
