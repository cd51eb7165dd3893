"""`remuda check`: what it looks at, what it prints, and the status that it ends with."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from remuda import cli
from remuda.check.rules import RULES

BAD = """\
from remuda import AgentRef, iso


async def hand_over(agent: AgentRef[list[int]]) -> None:
    numbers = iso([1])
    await agent.send(numbers)
    print(numbers)
"""
GOOD = "import remuda\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good and a bad file."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "bad.py").write_text(BAD)
    (tmp_path / "good.py").write_text(GOOD)
    return tmp_path


def configure(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.remuda.check]\n{text}\n")


def check(*words: str | Path) -> int:
    return cli.main(["check", *map(str, words)])


def test_nothing_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 0 and nothing is printed."""
    assert check(folder / "good.py") == 0
    assert capsys.readouterr().out == ""


def test_something_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 1; the place, the code, and the place of the move are printed."""
    assert check(folder) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{folder}/bad.py:7:11: RMD101 numbers is used after it was sent on line 6"
    assert second == f"    {folder}/bad.py:6:11: sent here"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "expected files or folders to check, got none"),
        (["missing.py"], "expected a file or a folder, found nothing at missing.py"),
        ([".", "--select", "RMD999"], "expected --select to hold codes among RMD100"),
        ([".", "--ignore", "E501"], "expected --ignore to hold codes among RMD100"),
        ([".", "--config", "missing.toml"], "expected a file, found none at missing.toml"),
        (["--explain", "RMD999"], "expected one of RMD100, "),
    ],
)
def test_words_that_are_not_understood(
    words: list[str],
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The status is 2, and it is told what was expected."""
    monkeypatch.chdir(folder)
    assert check(*words) == 2
    assert told in capsys.readouterr().err


def test_unknown_format(folder: Path) -> None:
    """The status is 2 too where argparse refuses a word."""
    with pytest.raises(SystemExit) as ended:
        check(folder, "--format", "xml")
    assert ended.value.code == 2


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is a list of findings, with the other place where there is one."""
    assert check(folder, "--format", "json") == 1
    assert json.loads(capsys.readouterr().out) == [
        {
            "file": f"{folder}/bad.py",
            "line": 7,
            "column": 11,
            "code": "RMD101",
            "message": "numbers is used after it was sent on line 6",
            "severity": "error",
            "related": {
                "file": f"{folder}/bad.py",
                "line": 6,
                "column": 11,
                "message": "sent here",
            },
        }
    ]


def test_json_of_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without findings it is an empty list."""
    assert check(folder / "good.py", "--format", "json", "--statistics") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == []
    assert "0 findings in 1 files" in printed.err


def test_sarif(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SARIF 2.1.0 has what the standard demands: version, tool, rules by index, locations."""
    monkeypatch.chdir(folder)
    assert check("bad.py", "--format", "sarif") == 1
    log = json.loads(capsys.readouterr().out)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "remuda check"
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    (result,) = run["results"]
    assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "RMD101"
    assert result["level"] == "error"
    place = result["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "bad.py"},
        "region": {"startLine": 7, "startColumn": 11},
    }
    assert result["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 6


def test_paths_in_sarif_are_uris(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path that is no URI as it stands is encoded."""
    odd = folder / "a b%.py"
    odd.write_text(BAD)
    check(odd, "--format", "sarif")
    log = json.loads(capsys.readouterr().out)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("/a%20b%25.py")


def test_columns_count_characters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column counts characters, not bytes."""
    (folder / "bad.py").write_text(BAD.replace("print(numbers)", 'print("äöü", numbers)'))
    check(folder / "bad.py")
    assert "bad.py:7:18: " in capsys.readouterr().out


def test_unreadable_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no Python program, or isn't in the encoding that it says, is a finding."""
    (folder / "bad.py").write_text("def broken(:\n")
    (folder / "worse.py").write_bytes(b"# \xff\n")
    (folder / "worst.py").write_bytes(b"a = 1\0")
    assert check(folder) == 1
    assert capsys.readouterr().out.count("RMD100") == 3


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('select = ["RMD102"]', 0),
        ('select = ["RMD10"]', 1),
        ('ignore = ["RMD101"]', 0),
        ('exclude = ["bad.py"]', 0),
        ('exclude = ["b*"]', 0),
        ('exclude = ["other/bad.py"]', 1),
        ('per-file-ignores = { "*.py" = ["RMD101"] }', 0),
        ('per-file-ignores = { "good.py" = ["RMD101"] }', 1),
    ],
)
def test_configuration(text: str, status: int, folder: Path) -> None:
    """pyproject.toml says which rules are on, and where."""
    configure(folder, text)
    assert check(folder) == status
    assert check(folder / "bad.py") == status


@pytest.mark.parametrize(
    "text",
    [
        'selects = ["RMD101"]',
        'select = "RMD101"',
        "ignore = [101]",
        'ignore = ["E501"]',
        "per-file-ignores = []",
        'per-file-ignores = { "a.py" = "RMD101" }',
        "select = [",
    ],
)
def test_wrong_configuration(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not expected in pyproject.toml is told, and the status is 2."""
    configure(folder, text)
    assert check(folder) == 2
    assert "expected" in capsys.readouterr().err


def test_words_go_before_the_configuration(folder: Path) -> None:
    """`--select` takes the place of what is configured; `--ignore` and `--exclude` add to it."""
    configure(folder, 'select = ["RMD102"]')
    assert check(folder, "--select", "RMD101") == 1
    assert check(folder, "--select", "RMD101", "--ignore", "RMD101") == 0
    assert check(folder, "--select", "RMD101", "--exclude", "bad.py") == 0


def test_folders_that_are_not_looked_into(folder: Path) -> None:
    """Environments, caches and hidden folders hold nobody's own sources."""
    for name in (".venv", "site-packages", "__pycache__"):
        (folder / name).mkdir()
        (folder / "bad.py").rename(folder / name / "bad.py")
        assert check(folder) == 0
        (folder / name / "bad.py").rename(folder / "bad.py")


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    """`--explain` prints the page of a code."""
    assert check("--explain", "rmd101") == 0
    assert capsys.readouterr().out.startswith("# RMD101: use-after-move\n")


def test_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark's programs are as long as they say, and only one of them has findings."""
    assert cli.main(["bench", "check", "--lines", "500", "--repeats", "1"]) == 0
    *_, agents, plain = capsys.readouterr().out.splitlines()
    assert re.match(r"agents +5\d\d +[1-9]", agents)
    assert re.match(r"nothing of agents +5\d\d +0 ", plain)


def test_the_hook_runs_the_command() -> None:
    """What pre-commit calls is a command that there is."""
    hooks = (Path(__file__).resolve().parents[2] / ".pre-commit-hooks.yaml").read_text()
    entry = re.search(r"^  entry: (.*)$", hooks, re.MULTILINE)
    assert entry is not None
    program, *words = shlex.split(entry[1])
    assert program == "remuda"
    assert cli.main([*words, __file__]) == 0
