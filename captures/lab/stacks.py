"""Programs in languages that are compiled first, or that Debian brings: Go, Java, Ruby, PHP.

A program is known by its suffix. What it needs comes from Debian's packages; what is missing is
named with the package that has it. What was compiled stays in the cache, under a key made of the
sources, so that a changed source is compiled again.
"""

import hashlib
import os
import re
import subprocess
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
JARS = Path("/usr/share/java")  # where Debian's libtomcat9-java puts Tomcat

FPM = """
[global]
error_log = /proc/self/fd/2
daemonize = no
[www]
user = root
group = root
listen = {directory}/php-fpm.sock
pm = static
pm.max_children = {workers}
clear_env = no
php_admin_value[apc.enabled] = 1
"""


def known(program: str) -> bool:
    """Whether a program is of one of these languages."""
    return Path(program).suffix in NEEDS


def command(program: Path) -> list[str]:
    """The command line of a program, compiled if it must be.

    Raises LabError, in one line, for what the machine lacks or what does not compile.
    """
    tools.require(NEEDS[program.suffix])
    match program.suffix:
        case ".go":
            return [str(_go(program.parent))]
        case ".java":
            return _java(program)
        case ".rb":
            return [tools.find("ruby") or "ruby", str(program)]
    # the pool's file has the run's directory in it, so php-fpm is started through a shell
    pool = FPM.format(directory="$DIRECTORY", workers="$WORKERS")
    write = f"cat > $DIRECTORY/php-fpm.conf <<END\n{pool}END\n"
    read = "import json,os;c=json.loads(os.environ['WF_SERVER']);"
    read += "print('DIRECTORY=%s WORKERS=%d' % (c['directory'], c.get('workers', 4)))"
    run = f"exec {tools.find('php-fpm8.2')} -R -F -y $DIRECTORY/php-fpm.conf"
    return ["sh", "-c", f'export $(python3 -c "{read}")\n{write}{run}']


def version(program: str) -> str:
    """The release of a program's language or server, as it says itself."""
    argv = VERSIONS[Path(program).suffix]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()[0]
    if program.endswith(".java"):
        said += f", Tomcat {_tomcat_release()}"
    return said


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
        raise LabError(f"{argv[0]} failed: {(done.stderr or done.stdout).strip()[-600:]}")


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
