"""The command line says what it can do, and what is wrong with what it was given."""

import subprocess
import sys
from pathlib import Path

import pytest

import remuda
from remuda import cli


def test_the_version_is_told() -> None:
    """`python -m remuda --version` prints the name and the version."""
    command = [sys.executable, "-m", "remuda", "--version"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout == f"remuda {remuda.__version__}\n"


@pytest.mark.parametrize("words", [[], ["dance"], ["demo", "dance"], ["bench"]])
def test_unknown_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is expected is listed, and the status is 2."""
    try:
        status = cli.main(words)
    except SystemExit as error:
        status = error.code  # type: ignore[assignment]  # argparse exits with a number
    assert status == 2
    told = capsys.readouterr().err
    assert ("trading_swarm" in told) == (words[:1] == ["demo"])
    assert ("message_passing" in told) == (words[:1] == ["bench"])


def test_an_unknown_level_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """REMUDA_LOG takes the names of logging's levels."""
    monkeypatch.setenv("REMUDA_LOG", "loud")
    with pytest.raises(SystemExit):
        cli.main(["demo", "trading_swarm", "--help"])
    assert "expected REMUDA_LOG to be one of CRITICAL" in capsys.readouterr().err


def test_a_folder_without_programs_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the source tree is not at hand, the command says what to do."""
    (tmp_path / "src" / "remuda").mkdir(parents=True)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(remuda, "__file__", str(tmp_path / "src" / "remuda" / "__init__.py"))
    for words in (["demo", "trading_swarm"], ["bench", "message_passing"]):
        assert cli.main(words) == 2
        assert "expected programs in the folder" in capsys.readouterr().err
