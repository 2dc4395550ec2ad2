"""The kept corpus: what fuzzing found to reach something new, an archive for each target."""

import hashlib
import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "kept"


def kept(target: str) -> dict[str, bytes]:
    """The inputs that are kept of a target, by name."""
    path = FOLDER / f"{target}.tar.xz"
    if not path.exists():
        return {}
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                found[member.name] = file.read()
    return found


def keep(target: str, inputs: Iterable[bytes]) -> int:
    """Keep these inputs of a target instead, and return how many.

    The same inputs give the same archive.
    """
    named = {hashlib.sha256(data).hexdigest()[:16]: data for data in inputs}
    FOLDER.mkdir(exist_ok=True)
    with tarfile.open(FOLDER / f"{target}.tar.xz", "w:xz", preset=9) as archive:
        # Alike ones beside each other pack best.
        for name, data in sorted(named.items(), key=lambda item: (len(item[1]), item[1])):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return len(named)
