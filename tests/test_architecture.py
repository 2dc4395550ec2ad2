"""The arrows between modules point one way, and the small laws of the layout hold."""

import ast
from functools import cache
from pathlib import Path

import pytest

import analyzer
from analyzer.anomalies import SENTENCES, Anomalies
from analyzer.tables import CONNECTIONS, EXCHANGES, Column

ROOT = Path(analyzer.__file__).parent

# A module, or all of a folder, and what of the analyzer it may import. Everybody may import FREE.
FREE = {"anomalies", "compiled", "declined", "errors", "intervals", "limits", "tables"}
# In these folders every module has arrows of its own.
SPLIT = {"tcp", "features"}
ALLOWED: dict[str, set[str]] = {
    "__init__": {"pipeline", "report", "errors"},
    "__main__": {"cli"},
    "cli": {"pipeline", "report", "explain", "dossier", "archive", "review", "__init__", "errors",
            "stopping", "verification", "baselines", "openapi", "watch", "facts", "logs"},
    # composes the pipeline, stories and files
    "dossier": {
        "pipeline", "capture", "second_pass", "explain", "findings", "report", "__init__", "errors",
        "sockets",
    },
    "facts": {"sockets", "errors"},
    # composes the pipeline and a file
    "archive": {"pipeline", "correlate", "second_pass", "report", "__init__", "errors"},
    # goes through an examination on a screen
    "review": {"pipeline", "explain", "report", "errors"},
    # composes the stages
    "pipeline": {
        "ahead", "capture", "packets", "tcp.blocks", "tcp.halves", "tcp.streams", "extraction",
        "http", "features.echoes", "features.endpoints", "features.shapes", "features.templates",
        "correlate", "baselines", "findings", "matching", "diagnosis", "judging", "openapi",
        "report", "second_pass", "explain", "stopping", "sockets", "workers", "logs",
    },
    # compose http and features over the bytes of streams: each message, whole blocks
    "extraction": {
        "tcp.blocks", "tcp.streams", "http", "bulk", "features.bodies", "features.shapes",
        "features.endpoints", "features.echoes", "features.operations", "features.demanded",
        "features.sequences", "features.asked", "features.sketch",
    },
    "bulk": {
        "tcp.blocks", "http", "features.bodies", "features.forms", "features.shapes",
        "features.endpoints", "features.echoes", "features.operations", "features.demanded",
        "features.asked", "features.sketch",
    },
    # composes the same stages over the packets of a few connections
    "second_pass": {"capture", "packets", "tcp.blocks", "tcp.streams", "extraction", "http"},
    "ahead": set(),
    # stages
    "capture": {"stopping"},
    "packets": {"capture"},  # the FRAMES table alone: see below
    "tcp": set(),
    "tcp.blocks": set(),
    "tcp.halves": {"tcp.blocks"},
    "tcp.streams": {"tcp.blocks", "tcp.resets", "tcp.waiting"},
    "tcp.resets": {"tcp.waiting"},
    "tcp.waiting": set(),
    "http": set(),
    "features": set(),
    "features.bodies": {"http", "features.forms", "features.shapes"},
    # composes the readers of bodies
    "features.forms": {
        "features.shapes", "features.markup", "features.texts", "features.binary",
        "features.sequences",
    },
    "features.markup": {"features.shapes"},
    "features.texts": {"features.shapes", "features.markup"},
    "features.binary": {"features.shapes"},
    "features.sequences": {"features.shapes"},
    "features.shapes": set(),
    "features.endpoints": {"features.operations"},
    "features.operations": set(),
    "features.templates": {"features.endpoints"},
    "features.echoes": {"features.watched"},
    "features.demanded": set(),
    "features.asked": set(),
    "features.sketch": set(),
    "features.watched": set(),
    # what sees tables only
    "correlate": {
        "second_pass", "features.endpoints", "features.shapes", "features.forms", "features.echoes",
    },
    "baselines": {
        "correlate", "features.shapes", "features.echoes", "features.demanded",
        "features.endpoints", "secrets",
    },
    # what judging puts out
    "findings": {"correlate", "baselines", "second_pass"},
    "matching": {
        "correlate", "baselines", "second_pass", "findings", "features.endpoints",
        "features.shapes", "features.forms", "features.echoes", "features.demanded",
        "features.asked", "features.sketch",
    },
    "diagnosis": {
        "correlate", "baselines", "second_pass", "findings", "matching", "features.echoes",
        "sockets", "logs",
    },
    # logs of programs, held against the tables
    "logs": {"correlate", "capture"},
    # composes the three of them
    "judging": {
        "correlate", "baselines", "findings", "matching", "diagnosis", "features.shapes",
    },
    # holds what is known of an API against the tables
    "openapi": {
        "baselines", "correlate", "findings", "matching", "second_pass", "features.endpoints",
        "features.shapes",
    },
    # tables and models alone: see below
    "explain": {"capture", "second_pass", "correlate", "baselines", "findings", "secrets"},
    "report": {
        "capture", "second_pass", "correlate", "baselines", "findings", "explain", "secrets",
        "logs",
    },
    # beside the wire; composes all of it
    "watch": {"pipeline", "dossier", "facts", "workers", "capture", "correlate", "baselines",
              "findings", "matching", "explain", "report", "sockets", "errors", "stopping",
              "__init__"},
    # what everybody may import
    "anomalies": set(),
    "compiled": {"kernels"},
    "declined": set(),
    "errors": set(),
    "intervals": set(),
    "limits": {"errors"},
    "tables": set(),
    "stopping": set(),
    "sockets": set(),
    "workers": {"stopping"},
    "secrets": set(),
    # shares nothing with the stages but their result
    "verification": {"correlate", "findings", "report", "rejoined"},
    "rejoined": set(),
}  # fmt: skip
# Of these only the table's module may be imported.
TABLE_ONLY = {("packets", "capture"): ("analyzer.capture.frames",),
              ("second_pass", "capture"): ("analyzer.capture.frames",),
              ("correlate", "second_pass"): ("analyzer.second_pass.model",),
              ("openapi", "second_pass"): ("analyzer.second_pass.model",),
              ("findings", "second_pass"): ("analyzer.second_pass.model",),
              ("matching", "second_pass"): ("analyzer.second_pass.model",),
              ("diagnosis", "second_pass"): ("analyzer.second_pass.model",),
              ("explain", "second_pass"): ("analyzer.second_pass.model",),
              ("report", "second_pass"): ("analyzer.second_pass.model",),
              ("explain", "capture"): ("analyzer.capture.frames",),
              ("report", "explain"): ("analyzer.explain.model", "analyzer.explain.overviews"),
              ("report", "capture"): ("analyzer.capture.frames",)}  # fmt: skip


def area(module: str) -> str:
    """The first name below the package: `analyzer.http.grammar` -> `http`; of SPLIT two."""
    parts = module.split(".")[1:]
    return ".".join(parts[: 2 if parts[0] in SPLIT else 1]) if parts else "__init__"


def area_of(path: Path) -> str:
    """The same, of a module's file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return area(".".join(("analyzer", *parts)).removesuffix(".__init__"))


@cache
def modules() -> dict[Path, ast.Module]:
    """All modules of the analyzer, parsed."""
    return {path: ast.parse(path.read_text()) for path in sorted(ROOT.rglob("*.py"))}


@cache
def imports() -> list[tuple[str, str, str]]:
    """(area, file, module of the analyzer that it imports), those inside functions included."""
    found = []
    for path, tree in modules().items():
        name = path.relative_to(ROOT)
        of = area_of(path)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0, f"{name}: a relative import"
                of_modules = node.module == "analyzer" or node.module.split(".")[-1] in SPLIT
                names = [
                    f"{node.module}.{alias.name}" if of_modules else node.module
                    for alias in node.names
                ]
            else:
                continue
            found += [(of, str(name), n) for n in names if n.split(".")[0] == "analyzer"]
    return [(of, file, "analyzer" if m == "analyzer.__version__" else m) for of, file, m in found]


def test_every_module_has_its_place() -> None:
    assert {area_of(path) for path in ROOT.rglob("*.py")} <= set(ALLOWED)


@pytest.mark.parametrize("of", ALLOWED)
def test_arrows_point_one_way(of: str) -> None:
    wrong = []
    for source, file, module in imports():
        target = area(module)
        if source != of or target == of:
            continue
        free = FREE if of not in FREE else set()
        more_than_table = module not in TABLE_ONLY.get((of, target), (module,))
        if target not in ALLOWED[of] | free or more_than_table:
            wrong.append((file, module))
    assert wrong == []


def test_there_is_no_circle() -> None:
    arrows = {(source, area(module)) for source, _, module in imports()}
    arrows = {(a, b) for a, b in arrows if a != b and "__init__" not in (a, b)}
    while True:
        left = {(a, b) for a, b in arrows if b in {source for source, _ in arrows}}
        if left == arrows:
            break
        arrows = left
    assert arrows == set()


def test_modules_are_of_a_readable_size() -> None:
    lines = {p.name: len(p.read_text().splitlines()) for p in ROOT.rglob("*.py")}
    assert {name: count for name, count in lines.items() if count > 900} == {}


def test_every_module_says_what_it_is_for() -> None:
    for path, tree in modules().items():
        assert ast.get_docstring(tree), path


def test_a_column_has_one_type_everywhere() -> None:
    known: dict[str, Column] = {}
    for column in (*EXCHANGES, *CONNECTIONS):
        assert column.meaning
        if column.name == "flags":
            continue  # of different kinds: the unit says which
        assert known.setdefault(column.name, column).code == column.code


def test_anomalies_are_a_closed_list() -> None:
    with pytest.raises(KeyError):
        Anomalies().count("invented")


def test_every_anomaly_is_counted_somewhere() -> None:
    named = {
        node.value
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if path.name != "anomalies.py"
    }
    assert set(SENTENCES) - named == set()


def test_only_the_command_line_prints() -> None:
    for path, tree in modules().items():
        if path.parent.name == "cli":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "exit"), path
