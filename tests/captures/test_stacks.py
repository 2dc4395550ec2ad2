"""Programs in other languages: what they need is named, what was compiled is kept and made anew."""

import random
from pathlib import Path

import pytest

from captures.lab import asked, proxies, scenario, services, stacks, tools
from captures.lab.errors import LabError

SOURCE = "package main\n\nfunc main() {{ println({}) }}\n"
needs_go = pytest.mark.skipif(tools.find("go") is None, reason="needs Go")


def program(folder: Path, number: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "server.go"
    path.write_text(SOURCE.format(number))
    return path


def test_a_program_is_known_by_its_suffix() -> None:
    assert all(map(stacks.known, ("go/server.go", "ruby/a.rb", "php/a.php", "java/A.java")))
    assert not any(map(stacks.known, ("node/server.js", "python/threads.py", "nginx")))


def test_what_is_missing_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda name: None)
    with pytest.raises(LabError, match=r"php-fpm8\.2 \(apt-get install php8\.2-fpm"):
        stacks.command(Path("php/desk.php"))


def test_so_is_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda name: f"/usr/bin/{name}")
    monkeypatch.setitem(stacks.LIBRARIES, ".rb", ("exit 1", "Sinatra (how to get it)"))
    with pytest.raises(LabError, match=r"^missing on this machine: Sinatra \(how to get it\)$"):
        stacks.command(Path("ruby/campsites.rb"))


@needs_go
def test_a_changed_source_is_compiled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = stacks.command(program(tmp_path / "go", 1))
    assert stacks.command(program(tmp_path / "go", 1)) == first
    changed = stacks.command(program(tmp_path / "go", 2))
    assert changed != first
    assert all(Path(*argv).is_file() for argv in (first, changed))


@needs_go
def test_what_does_not_compile_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = program(tmp_path / "go", 1)
    path.write_text("package main\nfunc main() { nonsense }\n")
    with pytest.raises(LabError, match=r"^go failed: .*nonsense$"):
        stacks.command(path)


def test_who_asks_is_told_by_credentials_alone() -> None:
    assert asked.who({"accept": "text/html"}) is None
    one, other = {"authorization": "Bearer a"}, {"cookie": "Bearer a"}
    assert len({asked.who(one), asked.who(other), asked.who({**one, **other})}) == 3


def test_nginx_in_front_of_php_passes_every_path_to_the_script(tmp_path: Path) -> None:
    server = scenario.Server("nginx", {"fastcgi": "php/desk.php"}, port=3000)
    proxies.command(server, tmp_path)
    text = (tmp_path / "nginx.conf").read_text()
    assert f"fastcgi_pass unix:{tmp_path}/php-fpm.sock;" in text
    (script,) = [line for line in text.splitlines() if "SCRIPT_FILENAME" in line]
    assert Path(script.split()[-1].rstrip(";")).is_file()


def test_a_word_between_braces_is_drawn() -> None:
    make = services.fmt("/a/{word}/{number:02x}", word=["x", "y"], number=(10, 12))
    targets = {make(random.Random(seed)).target for seed in range(60)}
    assert targets == {f"/a/{word}/0{digit}" for word in "xy" for digit in "abc"}
