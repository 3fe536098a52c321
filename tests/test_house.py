"""The house stands: imports point down, each library has its one place, and no tolerance is chosen."""

import ast
import functools
import pathlib
import re

import pytest

import backproof as bp

pytestmark = pytest.mark.smoke

ROOT = pathlib.Path(__file__).parent.parent
SRC = ROOT / "src" / "backproof"
FILES = sorted(SRC.rglob("*.py"))
# From the ground up; a place may import from those before it and from itself.
FLOORS = (
    "errors", "arguments", "rule", "rules", "losses", "datasets", "compose", "stack", "depth", "precision",
    "network", "gradient", "catalogue", "verification", "derivations", "selftest", "training", "benchmark",
    "reporting", "cli", "__main__", "__init__",
)  # fmt: skip
# Scripts of their own, in the loops that users of other libraries write; nothing imports them.
PEERS = SRC / "benchmark" / "peers"
ONLY_IN = {
    "optax": "training",
    "grain": "training",
    "hypothesis": ("verification", "selftest"),
    "rich": ("reporting", "cli"),
    "matplotlib": "reporting",
}


def place(path):
    return path.relative_to(SRC).parts[0].removesuffix(".py")


@functools.cache
def imported(path):
    """Return every module that a file imports, at any depth of nesting."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def test_every_place_has_a_floor():
    assert {place(path) for path in FILES} == set(FLOORS)


def upward(path, names):
    """Return the floors above that of the file at `path` among the modules it names."""
    parts = (name.split(".") for name in names if name.startswith("backproof."))
    return sorted({part[1] for part in parts if part[1] in FLOORS[FLOORS.index(place(path)) + 1 :]})


def test_imports_point_down():
    face = SRC / "__init__.py"  # hands on every name, and only for type checkers
    found = {str(path.relative_to(SRC)): upward(path, imported(path)) for path in FILES if path != face}
    assert {path: above for path, above in found.items() if above} == {}


def test_an_import_that_points_up_is_seen():
    assert upward(SRC / "rule.py", ["jax", "backproof.errors", "backproof.rules.tanh"]) == ["rules"]


@pytest.mark.parametrize("library", ONLY_IN)
def test_each_library_has_its_one_place(library):
    files = [path for path in FILES if path.parent != PEERS]
    users = {place(path) for path in files if library in {name.split(".")[0] for name in imported(path)}}
    places = ONLY_IN[library]
    assert users <= set(places if isinstance(places, tuple) else (places,))


def test_no_peer_is_imported():
    named = {path.stem for path in PEERS.glob("*.py")}
    assert len(named) == 6
    assert not any(f".peers.{stem}" in name for path in FILES for name in imported(path) for stem in named)


@pytest.mark.parametrize("package", ["rules", "losses"])
def test_every_rule_and_loss_has_a_test_of_its_stem(package):
    stems = {path.stem.lstrip("_") for path in (SRC / package).glob("_[a-z]*.py")} - {"targets"}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / package).glob("test_*.py")}
    assert stems <= tests


def test_every_public_rule_and_loss_is_in_the_catalogue():
    for package, noun in ((bp.rules, bp.Rule), (bp.losses, bp.Loss)):
        public = [getattr(package, name) for name in package.__all__]
        shown = {id(one) for one in package.CATALOGUE}
        assert all(id(one) in shown for one in public if isinstance(one, noun))


def test_no_tolerance_is_chosen_by_hand():
    """The one tolerance is measured; `verification/noise.py` says how."""
    chosen = re.compile(r"\b(rtol|atol|allclose|isclose|approx)\b\s*[=(]")
    files = [*FILES, *(path for path in (ROOT / "tests").rglob("*.py") if path.name != "test_house.py")]
    lines = [(path.name, line) for path in files for line in path.read_text("utf-8").splitlines()]
    found = [f"{name}: {line.strip()}" for name, line in lines if chosen.search(line)]
    assert not found


def test_no_file_is_named_for_nothing_and_none_is_a_giant():
    named = {path.stem for path in FILES} & {"utils", "helpers", "misc", "core", "common"}
    assert not named
    known = re.findall(r"`(\S+\.py)` has more than 300 lines", (ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    long = {str(path.relative_to(SRC)) for path in FILES if len(path.read_text("utf-8").splitlines()) > 300}
    assert long == set(known)


def test_everything_on_the_face_can_be_had():
    for name in bp.__all__:
        assert getattr(bp, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = bp.nothing
