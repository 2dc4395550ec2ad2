"""Frames have their files wherever several are in play, in every place that names one."""

import csv
import io
import json
import re
from pathlib import Path

from analyzer import pipeline
from analyzer.correlate.frames import Frame, file_names, listed, once
from analyzer.report.files import csv_text, json_text
from tests.recordings import recording

# A number behind the word, without a file before it.
BARE = re.compile(r"\bframes? \d+|, \d+ and \d+ more|\bframes? [^.;]*?(?:,| and) \d+\b")
FILES = {"client1.pcap", "client2.pcap"}


def test_a_frame_is_written_with_its_file_where_it_has_one() -> None:
    assert f"in frame {Frame(0, 7)}" == "in frame 7"
    assert f"in frame {Frame(1, 7, 'client1.pcap')}" == "in frame client1.pcap:7"


def test_frames_of_two_files_with_one_number_are_two() -> None:
    one, two, none = Frame(0, 7, "a"), Frame(1, 7, "b"), Frame(0, 0, "a")
    assert once([one, none, two, one]) == (one, two)


def test_frames_are_listed() -> None:
    frames = [Frame(0, n) for n in (3, 4, 9)]
    assert listed(frames[:1], 5) == "frame 3"
    assert listed(frames, 5) == "frames 3, 4 and 9"
    assert listed(frames, 1) == "frames 3 and 2 more"


def test_files_are_called_by_what_tells_them_apart() -> None:
    assert file_names(["/a/client.pcap", "/a/host.pcap"]) == ["client.pcap", "host.pcap"]
    assert file_names(["/a/x/c.pcap", "/a/y/c.pcap"]) == ["x/c.pcap", "y/c.pcap"]
    assert file_names(["-"]) == ["-"]
    assert file_names(["/a/c.pcap", "/a/c.pcap"]) == ["/a/c.pcap", "/a/c.pcap"]


def several() -> pipeline.Examination:
    """Two responses that were crossed, each in the capture of its own client."""
    paths = [recording("crossed-node14", name) for name in ("client1", "client2")]
    return pipeline.examine([str(path) for path in paths])


def test_every_frame_in_json_has_its_capture() -> None:
    report = several().report
    told = json.loads(json_text(report))
    assert {f["request"]["capture"] for f in told["findings"]} == {0, 1}
    named = [
        (one, texts)
        for finding in told["findings"]
        for key, text in (("evidence", "fact"), ("causes", "because"), ("weighed", "fact"))
        for one in finding[key]
        for texts in [one.get(text, "")]
    ]
    assert named
    for one, text in named:
        assert all(set(frame) == {"capture", "frame"} for frame in one["frames"]), one
        assert not BARE.search(text), text
    both = [one for one, _ in named if len({f["capture"] for f in one["frames"]}) == 2]
    assert both, "some fact is seen in both files"


def test_every_frame_in_csv_has_its_file() -> None:
    report = several().report
    for row in csv.DictReader(io.StringIO(csv_text(report).decode(), newline="")):
        assert Path(row["request_file"]).stem in FILES
        for column in ("evidence", "causes", "seen"):
            assert not BARE.search(row[column]), row[column]
        shown = re.findall(r"\[([^\]]*)\]", row["evidence"])
        assert shown and all(
            re.fullmatch(r"client[12]\.pcap:\d+", frame)
            for group in shown
            for frame in group.split()
        )


def test_every_frame_of_a_story_has_its_file() -> None:
    examined = several()
    for incident in examined.incidents():
        story = examined.story(incident)
        assert {e.frame.file for e in story.events if e.frame} == FILES
        texts = [
            *story.summary,
            *(fact.fact for proof in story.evidence for fact in proof.facts),
            *(event.text for event in story.events),
            *(cause.because for cause in story.causes),
        ]
        assert not [text for text in texts if BARE.search(text)]


def test_frames_of_one_capture_are_numbers() -> None:
    report = pipeline.scan([str(recording("story-node12", "bridge"))])
    told = json.loads(json_text(report))
    frames = [frame for f in told["findings"] for one in f["evidence"] for frame in one["frames"]]
    assert frames and all(isinstance(frame, int) for frame in frames)
