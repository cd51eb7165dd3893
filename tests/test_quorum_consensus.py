"""The consensus example: what it guarantees it keeps with every seed, and what is wrong the checker finds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from examples.quorum_consensus import cli
from examples.quorum_consensus.history import Chosen, History, Proposal, Settings, check
from examples.quorum_consensus.show import plot, timeline
from examples.quorum_consensus.world import run

SOUND = [
    Settings("crash", 5),
    Settings("crash", 4, leaders=3),
    Settings("crash", 1),
    Settings("byzantine", 4, 1),
    Settings("byzantine", 6, 1),
    Settings("byzantine", 7, 2),
]
WRONG = [
    Settings("crash", 5, broken="forgetful-leader"),
    Settings("crash", 5, broken="forgetful-member"),
    Settings("crash", 5, broken="small-quorum"),
    Settings("crash", 5, liars=1),
    Settings("byzantine", 4, 1, broken="small-quorum"),
    Settings("byzantine", 4, 1, broken="forgetful-leader"),
    Settings("byzantine", 4, 2),
]


@pytest.mark.parametrize("settings", SOUND, ids=str)
def test_all_is_decided_and_agreed_on(settings: Settings) -> None:
    """Under crashes, cut links, lost and late messages, and as many liars as are allowed, all have the same log."""
    for seed in range(100):
        assert check(run(seed, settings)) == [], f"seed {seed}"


@pytest.mark.parametrize("settings", WRONG, ids=str)
def test_the_checker_finds_what_is_wrong(settings: Settings) -> None:
    """Leaders or members that forget, quorums that are too small and liars that are too many don't go unseen."""
    for seed in range(100):
        if any(not wrong.startswith("progress") for wrong in check(run(seed, settings))):
            return
    pytest.fail("expected one of 100 seeds to show it")


def test_a_seed_is_a_run() -> None:
    """The same seed has the same run, to the last message."""
    settings = Settings("byzantine", 4, 1)
    assert run(11, settings) == run(11, settings)
    assert run(11, settings).rounds != run(12, settings).rounds


def test_the_faults_are_real() -> None:
    """Members and leaders die, links are cut, rounds fail, and leaders find what others have had accepted."""
    histories = [run(seed, Settings()) for seed in range(20)]
    kinds = {fault.kind for history in histories for fault in history.faults}
    assert kinds == {"member", "leader", "cut"}
    assert any(not one.reached for history in histories for one in history.rounds)
    assert {"●", "○", "x", "-", "·"} == {
        mark for history in histories for one in history.rounds for mark in one.marks
    }
    found = [
        one
        for history in histories
        for one in history.chosen
        if not one.value.startswith("AB"[one.leader])
    ]
    assert found


def history(**changes: object) -> History:
    """One slot, decided as A0 by both leaders."""
    right = [Chosen(1.0, 0, 0, 4, "A0"), Chosen(2.0, 1, 0, 5, "A0")]
    made = History(Settings(slots=1), chosen=right, commands={"A0", "B0"})
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_what_the_checker_says() -> None:
    """It names the property, the slot and the values, also for a decision that no leader has heard of."""
    assert check(history()) == []
    assert check(history(chosen=[])) == ["progress: slot 0 was never decided"]
    divided = [Chosen(1.0, 0, 0, 4, "A0"), Chosen(2.0, 1, 0, 5, "B0")]
    assert check(history(chosen=divided)) == ["agreement: slot 0 was decided as each of A0, B0"]
    assert check(history(commands={"B0"})) == [
        "validity: nobody has proposed 'A0', which is in slot 0"
    ]
    unheard = [(who, Proposal(0, 9, "B0")) for who in range(3)]
    assert check(history(accepts=unheard)) == ["agreement: slot 0 was decided as each of A0, B0"]
    assert check(history(accepts=unheard[:2])) == []
    twice = [Chosen(1.0, 0, 0, 4, "A0"), Chosen(2.0, 0, 1, 4, "A0")]
    longer = history(chosen=twice, settings=replace(Settings(), slots=2))
    assert check(longer) == ["once: 'A0' is in slots 0 and 1"]


def test_the_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It shows one run, or checks many and says how to see the first that is wrong; 1 says that one is."""
    picture = tmp_path / "run.svg"
    assert cli.main(["--mode", "byzantine", "--slots", "2", "--plot", str(picture)]) == 0
    assert "slot 1 is" in capsys.readouterr().out
    assert picture.read_text().count("<path") > 20
    assert cli.main(["--seeds", "30", "--broken", "small-quorum"]) == 1
    told = capsys.readouterr().out
    seed = re.search(r"replay: .* --seed (\d+) .*--broken small-quorum", told)
    assert seed
    assert cli.main(["--seed", seed[1], "--broken", "small-quorum"]) == 1
    assert "agreement: slot" in capsys.readouterr().out
    assert cli.main(["--plot", str(tmp_path / "run.what"), "--slots", "1"]) == 2
    assert "can't be drawn" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--members", "0"],
        ["--members", "3", "--mode", "byzantine"],
        ["--liars", "5"],
        ["--slots", "0"],
        ["--seeds", "0"],
        ["--leaders", "0"],
        ["--mode", "kind"],
    ],
    ids=" ".join,
)
def test_words_that_make_no_sense(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What can't be is refused, with what was expected."""
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 2
    assert re.search("expected|invalid choice", capsys.readouterr().err)


def test_a_picture_of_many_slots(tmp_path: Path) -> None:
    """The time line and the picture can show any run."""
    long = run(5, Settings("byzantine", 7, 2, leaders=3, slots=9))
    assert check(long) == []
    plot(long, tmp_path / "long.png")
    assert (tmp_path / "long.png").stat().st_size > 10_000
    console = Console(record=True, width=120)
    timeline(long, console)
    assert "slot 8 is" in console.export_text()
