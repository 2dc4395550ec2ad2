"""Programs in languages that are compiled first, or that Debian brings: Go, Java, Ruby, PHP.

A program is known by its suffix. What it needs comes from Debian's packages; what is missing is
named with the package that has it. What was compiled stays in the cache, under a key made of the
sources, so that a changed source is compiled again.
"""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from captures.lab import runtimes, tools
from captures.lab.errors import LabError

NEEDS = {
    ".go": ("go",),
    ".java": ("java", "javac"),
    ".rb": ("ruby", "puma"),
    ".php": ("php-fpm8.2",),
}
VERSIONS = {
    ".go": ("go", "version"),
    ".java": ("java", "-version"),
    ".rb": ("puma", "--version"),
    ".php": ("php-fpm8.2", "--version"),
}
# What comes in a package of its own: a command that fails without it, and how to get it.
LIBRARIES = {
    ".rb": ("ruby -rpuma -rsinatra/base -e ''", "Sinatra (apt-get install ruby-sinatra)"),
    ".php": ("php-fpm8.2 -m | grep -qx apcu", "APCu (apt-get install php8.2-apcu)"),
}
# What a server of ours starts itself, beside the packages that it is given.
BESIDE = {"python/library.py": "redis-server", "python/plots_flask.py": "memcached"}
JARS = Path("/usr/share/java")  # where Debian's libtomcat9-java puts Tomcat


def known(program: str) -> bool:
    """Whether a program is of one of these languages."""
    return Path(program).suffix in NEEDS


def command(program: Path) -> list[str]:
    """The command line of a program, compiled if it must be.

    Raises LabError, in one line, for what the machine lacks or what does not compile.
    """
    tools.require(NEEDS[program.suffix])
    if program.suffix in LIBRARIES:
        probe, missing = LIBRARIES[program.suffix]
        if subprocess.run(["sh", "-c", probe], capture_output=True, check=False).returncode:
            raise LabError(f"missing on this machine: {missing}")
    match program.suffix:
        case ".go":
            return [str(_go(program.parent))]
        case ".java":
            return _java(program)
        case ".rb":
            return [tools.find("ruby") or "ruby", str(program)]
    return [sys.executable, str(program.with_name("pool.py"))]


def version(program: str) -> str:
    """The release of a program's language or server, as it says itself."""
    argv = VERSIONS[Path(program).suffix]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()[0]
    if program.endswith(".java"):
        said += f", Tomcat {_tomcat_release()}"
    return said


def beside(program: str) -> str:
    """The release of what a server starts beside itself, with a space before it; or nothing."""
    if program not in BESIDE:
        return ""
    argv = [tools.find(BESIDE[program]) or BESIDE[program], "--version"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return " " + " ".join(done.stdout.split()[:3])


def _built(sources: Sequence[Path], kind: str) -> Path:
    """Where the program made of these sources is kept, or will be."""
    told = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources))
    return runtimes.cache() / kind / told.hexdigest()[:12]


def _compile(argv: Sequence[str], ready: Path, env: dict[str, str] | None = None) -> None:
    ready.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})}
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise LabError(f"{argv[0]} failed: {said[-600:]}")


def _go(package: Path) -> Path:
    """The binary of a directory of Go files; nothing but the standard library is used."""
    sources = sorted(package.glob("*.go"))
    binary = _built(sources, "go") / package.name
    if not binary.exists():
        argv = ["go", "build", "-o", str(binary), *(str(path) for path in sources)]
        _compile(argv, binary, {"GO111MODULE": "off", "CGO_ENABLED": "0"})
    return binary


def _java(program: Path) -> list[str]:
    """java with the classes of a directory and Debian's Tomcat on its path."""
    jars = sorted(JARS.glob("tomcat9-*.jar"))
    if not jars:
        raise LabError("missing on this machine: Tomcat 9 (apt-get install libtomcat9-java)")
    wanted = [path for path in jars if not re.search(r"-i18n-|-ha|-ant|-\d", path.name)]
    sources = sorted(program.parent.glob("*.java"))
    home = _built(sources, "java")
    path = ":".join(str(jar) for jar in wanted)
    if not (home / f"{program.stem}.class").exists():
        argv = ["javac", "-nowarn", "-cp", path, "-d", str(home), *(str(one) for one in sources)]
        _compile(argv, home / "classes")
    return [tools.find("java") or "java", "-Xmx192m", "-cp", f"{home}:{path}", program.stem]


def _tomcat_release() -> str:
    found = [re.fullmatch(r"tomcat9-catalina-(\d.*)\.jar", path.name) for path in JARS.iterdir()]
    return next((one[1] for one in found if one), "unknown")
