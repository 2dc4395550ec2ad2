"""How a scan ends when something comes in between: signals, closed pipes, full disks, races."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer import pipeline
from analyzer.errors import InputError
from analyzer.extraction import Extraction
from analyzer.report import files
from analyzer.stopping import Pace
from tests.builder import SECOND, in_time, pcap, request
from tests.findings.stable import VET, epilogue, ordinary, swap, talk
from tests.recordings import recording
from tests.report.test_command import PROGRAM, complaint, run


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture with findings in it."""
    one, two = swap()
    path = tmp_path_factory.mktemp("story") / "story.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames, two.frames, epilogue())))
    return path


# --- signals --------------------------------------------------------------------------------------


def started(*arguments: str | Path, code: str = "") -> subprocess.Popen[bytes]:
    """The command, reading standard input; `code` is run before it in its process."""
    command: list[str | Path] = [PROGRAM]
    if code:
        command = [sys.executable, "-c", f"{code}\nfrom analyzer.cli import main; main()"]
    return subprocess.Popen(
        [str(part) for part in [*command, *arguments]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def reads(process: subprocess.Popen[bytes]) -> None:
    """Wait until the process waits for more input."""
    for _ in range(400):
        where = Path(f"/proc/{process.pid}/wchan").read_text()
        if "pipe" in where:
            return
        time.sleep(0.05)
    raise AssertionError(where)


@pytest.mark.skipif(not Path("/proc/self/wchan").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("packed", [False, True])
def test_a_signal_ends_it_with_what_was_found(
    story: Path, number: int, status: int, packed: bool
) -> None:
    data = story.read_bytes()
    if packed:
        import zlib

        squeeze = zlib.compressobj(wbits=31)
        data = squeeze.compress(data) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    process = started("scan", "-", "--json", "-")
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    process.stdin.write(data)
    process.stdin.flush()
    reads(process)
    process.send_signal(number)
    out, err = process.stdout.read(), process.stderr.read()
    assert process.wait(20) == status
    assert err.decode().splitlines() == [
        "wrangler-forensics: ended by a signal; what was read by then has been reported"
    ]
    report = json.loads(out)
    assert report["partial"] is report["captures"][0]["partial"] is True
    assert report["captures"][0]["anomalies"] == {}
    assert [f["kind"] for f in report["findings"]] == ["unanswered", "misdelivered"]
    process.stdin.close()


def test_what_is_partial_says_so_in_a_terminal(story: Path) -> None:
    process = started("scan", "-")
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(story.read_bytes())
    process.stdin.flush()
    reads(process)
    process.send_signal(signal.SIGINT)
    assert b"Partial: stopped before the captures ended" in process.stdout.read()
    assert process.wait(20) == 130
    process.stdin.close()


def test_what_is_partial_says_so_on_a_page(story: Path) -> None:
    process = started("scan", "-", "--html", "-")
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(story.read_bytes())
    process.stdin.flush()
    reads(process)
    process.send_signal(signal.SIGINT)
    text = process.stdout.read()
    assert b"Partial: stopped" in text and b"could not be read a second time" in text
    assert process.wait(20) == 130
    process.stdin.close()


def test_of_what_is_partial_no_har_is_written(story: Path, tmp_path: Path) -> None:
    har, lines = tmp_path / "c.har", tmp_path / "c.jsonl"
    process = started("scan", "-", "--har", har, "--jsonl", lines)
    assert process.stdin is not None and process.stderr is not None
    process.stdin.write(story.read_bytes())
    process.stdin.flush()
    reads(process)
    process.send_signal(signal.SIGINT)
    assert b"c.har: no HAR is written" in process.stderr.read()
    assert process.wait(20) == 130
    assert not har.exists() and len(lines.read_text().splitlines()) == 2
    process.stdin.close()


def test_what_was_read_to_its_end_is_not_partial(story: Path) -> None:
    report = json.loads(run("scan", story, "--json", "-").stdout)
    assert report["partial"] is False
    assert b"Partial" not in run("scan", story).stdout


def test_a_second_signal_ends_it_at_once(story: Path) -> None:
    code = (
        "import time; from analyzer import pipeline\n"
        "def judge(*_):\n    print('judging', flush=True)\n    time.sleep(60)\n"
        "pipeline.judge = judge"
    )
    process = started("scan", story, "--jobs", "1", code=code)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"judging\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    assert process.stdout.read() == b""
    assert process.stderr.read() == b"wrangler-forensics: ended at once; nothing was reported\n"


def rows(extraction: Extraction) -> list[bytes]:
    """All exchanges but for the numbers given on the way, sorted."""
    found = []
    for table, targets in extraction.exchanges.chunks():
        for row, target in zip(table, targets, strict=True):
            what = [row[n].item() for n in ("request_frame", "response_frame", "outcome", "flags")]
            found.append(repr(what).encode() + target)
    return sorted(found)


def test_all_processes_stop_behind_the_same_block(tmp_path: Path) -> None:
    source = recording("clean-node14", "container")
    whole = subprocess.run(["zstd", "-dc", source], capture_output=True, check=False).stdout
    if not whole:
        import zstandard

        whole = zstandard.ZstdDecompressor().decompressobj().decompress(source.read_bytes())
    path = tmp_path / "c.pcap"
    path.write_bytes(whole)
    pace, read = Pace(), 0

    def progress(size: int) -> None:
        nonlocal read
        read += size
        if read > len(whole) // 3:
            pace.ask()

    # The bytes come a megabyte at a time, the blocks are small: there is a lot still to be read.
    extraction, captures, _ = pipeline.extract(
        [str(path)], block=16_384, jobs=2, progress=progress, pace=pace
    )
    assert captures[0].partial
    frames = captures[0].frames
    assert 0 < frames < pipeline.extract([str(path)])[1][0].frames
    cut = tmp_path / "cut.pcap"
    at = 24
    for _ in range(frames):
        at += 16 + int.from_bytes(whole[at + 8 : at + 12], "little")
    cut.write_bytes(whole[:at])
    assert rows(extraction) == rows(pipeline.extract([str(cut)])[0])


def killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_one_line(story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_extract_part", killed)
    with pytest.raises(InputError, match="--jobs 1"):
        pipeline.extract([str(story)], jobs=2)


# --- pipes and disks ------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["--json", "-"]])
def test_a_closed_pipe_is_no_trouble(story: Path, more: list[str]) -> None:
    process = started("scan", story, *more)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(60) == 1
    assert process.stderr.read() == b""


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


@full
@pytest.mark.parametrize("more", [[], ["--json", "-"]])
def test_standard_output_on_a_full_disk(story: Path, more: list[str]) -> None:
    with Path("/dev/full").open("wb") as nowhere:
        done = subprocess.run(
            [PROGRAM, "scan", story, *more], stdout=nowhere, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"wrangler-forensics: standard output: No space left on device\n"


@full
@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_one_output_that_fails_takes_no_other_along(
    story: Path, tmp_path: Path, option: str
) -> None:
    other = tmp_path / "e.csv"
    done = run("scan", story, option, "/dev/full", "--force", "--exchanges", other)
    assert "/dev/full: No space left on device" in complaint(done)
    assert b"1 misdelivered" in done.stdout
    assert len(other.read_text().splitlines()) == 20
    assert Path("/dev/full").is_char_device()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 16 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("mounting a small file system needs root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", place], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("name", ["e.csv", "e.parquet"])
def test_a_full_disk_leaves_nothing_half_written(small_disk: Path, name: str) -> None:
    source = recording("clean-node14", "container")
    done = run("scan", source, "--exchanges", small_disk / name)
    assert "No space left on device" in complaint(done)
    assert b"No finding" in done.stdout
    assert list(small_disk.iterdir()) == []
    kept = small_disk / name
    kept.write_text("mine")
    run("scan", source, "--exchanges", kept, "--force")
    assert kept.read_text() == "mine"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "r.json"

    def put(file: object) -> None:
        place.write_text("mine")

    with pytest.raises(InputError, match="exists already"):
        files.write(str(place), put)
    assert place.read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    files.write(str(place), lambda file: file.write(b"whole"), force=True)
    assert place.read_bytes() == b"whole"


def test_a_link_is_followed_and_a_pipe_written_to(story: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    assert run("scan", story, "--csv", tmp_path / "link", "--force").returncode == 1
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text().startswith("id,")
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    assert run("scan", story, "--csv", tmp_path / "pipe", "--force").returncode == 1
    assert reader.communicate()[0] == (tmp_path / "there").read_bytes()
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_to_nowhere_is_there(story: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "there")
    assert "exists already" in complaint(run("scan", story, "--csv", tmp_path / "link"))
    assert not (tmp_path / "there").exists()


def test_a_terminal_without_unicode(tmp_path: Path) -> None:
    one = talk().ask(request("/caf\xe9")).wait(30 * SECOND).close()
    two = talk(2).ask(request(VET))
    path = tmp_path / "c.pcap"
    path.write_bytes(pcap(in_time(ordinary(), one.frames, two.frames, epilogue())))
    done = subprocess.run(
        [PROGRAM, "scan", path],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 1
    assert rb"/caf\xe9" in done.stdout


# --- the capture ----------------------------------------------------------------------------------


def test_reading_never_changes_the_capture(story: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.pcap"
    path.write_bytes(story.read_bytes())
    path.chmod(0o444)
    before = path.stat()
    code = (
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('c.pcap'):\n"
        "        assert arguments[1] in ('r', 'rb', None) and not arguments[2] & 3, arguments\n"
        "sys.addaudithook(watch)"
    )
    process = started("scan", path, code=code)
    process.communicate()
    assert process.returncode == 1
    after = path.stat()
    assert path.read_bytes() == story.read_bytes()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_no_process_outlives_the_one_that_started_it(tmp_path: Path) -> None:
    # Only the second process reads; what it reads never comes.
    source = tmp_path / "c.pcap"
    os.mkfifo(source)
    code = (
        "import time; from analyzer import pipeline\n"
        "pipeline.extract_share = lambda *_, **__: time.sleep(60)\n"
        f"pipeline.extract([{str(source)!r}], jobs=2)"
    )
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with source.open("wb"):  # returns when somebody reads
        process.kill()
        # Their ends of the pipes are closed when all processes have ended.
        process.communicate(timeout=20)
