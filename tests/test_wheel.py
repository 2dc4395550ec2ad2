"""The wheel that users install needs no compiler, and has the kernels in it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.recordings import recordings

ROOT = Path(__file__).parent.parent
SOURCES = ("analyzer", "docs", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
UNBUILT = shutil.ignore_patterns("__pycache__", "*.so", "kernels.c")


def run(*words: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **more}
    return subprocess.run(words, capture_output=True, text=True, check=False, env=env)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to build a wheel with")
    tree = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=UNBUILT)
        else:
            shutil.copy(ROOT / name, tree / name)
    out = tree / "out"
    built = run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, tree)
    if built.returncode and "No matching distribution" in built.stderr:
        pytest.skip("no package index to fetch the build tools from")
    assert built.returncode == 0, built.stderr
    (found,) = out.iterdir()
    return found


def test_a_wheel_runs_its_kernels_where_there_is_no_compiler(wheel: Path, tmp_path: Path) -> None:
    assert not wheel.name.endswith("any.whl")  # it is of one platform: the kernels are in it
    there = tmp_path / "env"
    assert run(sys.executable, "-m", "venv", "--without-pip", there).returncode == 0
    python = there / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    nowhere = {"PATH": str(there / "bin"), "CC": "/nowhere"}
    installed = run(*pip, "install", "-q", "--no-deps", "--no-index", wheel, **nowhere)
    assert installed.returncode == 0, installed.stderr
    # The packages that it depends on are those of this environment, without the program itself:
    # a path in such a file is searched, and no other such file there is read.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(there)}))
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    program = there / "bin" / "wrangler-forensics"
    version = run(program, "--version", **nowhere)
    assert "(compiled kernels)" in version.stdout
    where = "import analyzer.kernels; print(analyzer.kernels.__file__)"
    assert run(python, "-I", "-c", where, **nowhere).stdout.startswith(str(there))
    path = next(one.path for one in recordings() if one.scenario == "clean-node14")
    scanned = run(program, "scan", path, **nowhere)
    assert scanned.returncode == 0, scanned.stderr
