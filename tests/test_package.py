"""The package as users get it: a wheel, an sdist, and an editable install, each in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import remuda

pytestmark = [pytest.mark.package, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """
import remuda

async def double(mailbox):
    async for request in mailbox:
        request.reply(2 * request.message)

async def main():
    async with remuda.Runtime() as runtime:
        return await runtime.spawn(double).ask(21)

print(remuda.run(main()), remuda.__file__)
"""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Runs a command outside of the project's own environment, and returns what it printed."""
    environment = dict(os.environ)
    for name in ("VIRTUAL_ENV", "PYO3_PYTHON", "PYTHONPATH"):
        environment.pop(name, None)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist of the source tree."""
    folder = tmp_path_factory.mktemp("dist")
    maturin = Path(sys.executable).with_name("maturin")
    run(maturin, "sdist", "--out", folder, cwd=ROOT)
    run(maturin, "build", "--release", "--interpreter", sys.executable, "--out", folder, cwd=ROOT)
    return folder


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[..., Path]:
    """Makes an environment, installs into it with pip, and returns its python."""

    def install(*arguments: str | Path) -> Path:
        venv.create(tmp_path / "venv", with_pip=True)
        python = tmp_path / "venv" / "bin" / "python"
        run(python, "-m", "pip", "install", "--quiet", *arguments, cwd=tmp_path)
        return python

    return install


def works(python: Path, tmp_path: Path) -> str:
    """Uses what is installed, from a folder without sources, and returns where the package is."""
    version = f"remuda {remuda.__version__}\n"
    assert run(python, "-m", "remuda", "--version", cwd=tmp_path) == version
    assert run(python.with_name("remuda"), "--version", cwd=tmp_path) == version
    answer, _, where = run(python, "-c", PROGRAM, cwd=tmp_path).strip().partition(" ")
    assert answer == "42"
    return where


def unpacked(dist: Path, tmp_path: Path) -> Path:
    """The sdist, unpacked."""
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / archive.name.removesuffix(".tar.gz")


def test_wheel_has_the_package_and_nothing_else(dist: Path) -> None:
    """The wheel holds the package, its types and one compiled module: that of the interpreter it was built for."""
    (wheel,) = dist.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        f"remuda/{path.relative_to(ROOT / 'src' / 'remuda')}"
        for pattern in ("*.py", "*.pyi", "py.typed")
        for path in (ROOT / "src" / "remuda").rglob(pattern)
    }
    compiled = f"remuda/_kernel{sysconfig.get_config_var('EXT_SUFFIX')}"
    metadata = {name for name in names if ".dist-info/" in name}
    assert names - metadata == sources | {compiled}
    assert any(name.endswith("/licenses/LICENSE") for name in metadata)


def test_wheel_installs(dist: Path, fresh: Callable[..., Path], tmp_path: Path) -> None:
    """The wheel installs and works."""
    (wheel,) = dist.glob("*.whl")
    assert str(tmp_path) in works(fresh(wheel), tmp_path)


def test_sdist_is_complete(dist: Path, tmp_path: Path) -> None:
    """The sdist has all sources, what the demo and the tests need, and nothing that was built."""
    tree = unpacked(dist, tmp_path)
    files = {path.relative_to(tree) for path in tree.rglob("*") if path.is_file()}
    for name in ("LICENSE", "README.md", "Makefile", "Cargo.lock", "pyproject.toml"):
        assert Path(name) in files
    for folder in ("crates", "src", "examples", "benchmarks", "tests", "scripts", "docs"):
        tracked = {
            path.relative_to(ROOT)
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix != ".so" and "__pycache__" not in path.parts
        }
        assert tracked - files == set(), f"the sdist lacks files of {folder}/"
    assert [
        name for name in files if name.suffix in (".so", ".pyc") or "target" in name.parts
    ] == []


def test_sdist_installs(dist: Path, fresh: Callable[..., Path], tmp_path: Path) -> None:
    """The sdist builds in isolation, with what pip alone brings, and works."""
    (archive,) = dist.glob("*.tar.gz")
    assert str(tmp_path) in works(fresh(archive), tmp_path)


def test_editable_install_works(dist: Path, fresh: Callable[..., Path], tmp_path: Path) -> None:
    """`pip install -e .` works, and finds the examples of its tree from anywhere."""
    tree = unpacked(dist, tmp_path)
    python = fresh("--editable", tree)
    assert str(tree / "src") in works(python, tmp_path)
    help_text = run(python.with_name("remuda"), "--help", cwd=tmp_path)
    assert "demo" in help_text
