"""The house stands: imports point down, each library has its one place, and no tolerance is chosen."""

import ast
import pathlib
import re

import pytest

import backproof as bp
import house

pytestmark = pytest.mark.smoke

ROOT = pathlib.Path(__file__).parent.parent
SRC = ROOT / "src" / "backproof"
FILES = sorted(SRC.rglob("*.py"))
# Scripts of their own, in the loops that users of other libraries write; nothing imports them.
PEERS = SRC / "benchmark" / "peers"
MODULES = {name: text for name, text in house.files().items() if ".peers." not in name}
ONLY_IN = {
    "optax": "training",
    "grain": "training",
    "orbax": "training",
    "hypothesis": ("verification", "selftest", "auditing"),
    "rich": ("reporting", "cli", "training"),
    "matplotlib": "reporting",
    "tensorboardX": "reporting",
    "pytest": ("auditing", "coverage"),
    "jinja2": "page",
    "markupsafe": "page",
    "math_core": "page",
}
# Files whose numbers are neither tolerances nor caps, and what they are.
OTHER_NUMBERS = {
    "verification/points/sizes.py": "the menu of sizes",
    "derivations/places.py": "the long sizes",
    "verification/points/from_arguments.py": "the menu of long axes, and the steps from one seed to the next",
    "verification/aiming/constants.py": "numbers that are drawn anyway",
    "verification/diagnosis/smallest.py": "the plain numbers of an example",
    "verification/blame/edits.py": "the order in which edits are tried",
    "verification/blame/rewrites.py": "axes",
    "verification/blame/trial.py": "a seed",
    "verification/blame/vocabulary.py": "the order in which edits are tried",
    "verification/report.py": "the width of what is printed",
    "verification/reach.py": "the lines of code that are named",
    "verification/running/sides.py": "the width of a line of code",
    "verification/claims/conventions.py": "what stands in a buffer before anything is added",
    "verification/claims/names.py": "the width of a name",
    "verification/claims/pasting.py": "the entries of an array that are written out",
    "verification/claims/masked_array.py": "the number that stands where a mask does not hold",
}


def place(path):
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def test_every_place_has_a_floor_and_every_room_is_there():
    assert {place(path) for path in FILES} == set(house.FLOORS)
    assert {path.name for path in (SRC / "verification").iterdir() if path.is_dir()} - {"__pycache__"} == set(
        house.ROOMS
    )


def test_no_files_import_one_another_in_a_circle():
    assert house.circle(house.arrows(MODULES)) == []


def test_imports_point_down():
    assert house.upward(house.arrows(MODULES)) == []


@pytest.mark.parametrize(
    "planted",
    [
        "from backproof.training.saving import Saver",
        "if TYPE_CHECKING:\n    from backproof.training.saving import Saver",
        "def saver():\n    from backproof.training import saving\n    return saving",
        "from importlib import import_module\nsaver = lambda: import_module('backproof.training.saving')",
    ],
    ids=["at the top", "for type checkers", "in a function", "by its name"],
)
def test_a_planted_circle_is_seen_wherever_the_import_stands(planted):
    graph = house.arrows({**MODULES, "backproof.training.checkpoints": planted})
    assert house.circle(graph) == [
        "backproof.training.checkpoints",
        "backproof.training.saving",
        "backproof.training.checkpoints",
    ]


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("backproof.rule", "import backproof.rules.tanh"),
        ("backproof.numerics.noise", "from backproof.verification.report import Report"),
        ("backproof.verification.running.point", "from backproof.verification.judging.kinks import jumps"),
        ("backproof.verification.diagnosis.causes", "from backproof.verification.campaign import Campaign"),
        ("backproof.rules._tanh", "def f(name):\n    return __import__(f'backproof.training.{name}')"),
    ],
)
def test_a_planted_import_that_points_up_is_seen(module, planted):
    modules = {**MODULES, "backproof.rules.tanh": "", module: planted}
    assert any(arrow.startswith(f"{module} -> ") for arrow in house.upward(house.arrows(modules)))


@pytest.mark.parametrize("library", ONLY_IN)
def test_each_library_has_its_one_place(library):
    files = [path for path in FILES if path.parent != PEERS]
    users = {place(path) for path in files if library in libraries(path)}
    places = ONLY_IN[library]
    assert users
    assert users <= set(places if isinstance(places, tuple) else (places,))


def libraries(path):
    return {name.split(".")[0] for name in house.imports_of(path.read_text(encoding="utf-8"))}


def test_no_peer_is_imported():
    named = {path.stem for path in PEERS.glob("*.py")}
    assert len(named) == 6
    imported = {name for text in MODULES.values() for name in house.imports_of(text)}
    assert not any(f".peers.{stem}" in name for name in imported for stem in named)


@pytest.mark.parametrize("package", ["rules", "losses"])
def test_every_rule_and_loss_has_a_test_of_its_stem(package):
    stems = {path.stem.lstrip("_") for path in (SRC / package).glob("_[a-z]*.py")} - {"targets"}
    tests = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / package).glob("test_*.py")}
    assert stems <= tests


def test_every_public_rule_and_loss_is_in_the_catalogue():
    for package, noun in ((bp.rules, bp.Rule), (bp.losses, bp.Loss)):
        public = [getattr(package, name) for name in package.__all__]
        shown = {
            (one.name, one.backward) for one in package.CATALOGUE
        }  # maybe with fewer sizes in its domain
        assert all((one.name, one.backward) in shown for one in public if isinstance(one, noun))


def test_no_tolerance_is_chosen_by_hand():
    """The one tolerance is measured; `numerics/noise.py` says how."""
    chosen = re.compile(r"\b(rtol|atol|allclose|isclose|approx)\b\s*[=(]")
    files = [*FILES, *(path for path in (ROOT / "tests").rglob("*.py") if path.name != "test_house.py")]
    lines = [(path.name, line) for path in files for line in path.read_text("utf-8").splitlines()]
    found = [f"{name}: {line.strip()}" for name, line in lines if chosen.search(line)]
    assert not found


def numbers_of(source):
    """Return the names to which a module assigns a number, or an expression of numbers, at its top."""
    found = []
    for node in ast.parse(source).body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        parts = list(ast.walk(value)) if value else []
        constants = [part.value for part in parts if isinstance(part, ast.Constant)]
        numbers = [number for number in constants if type(number) in (int, float)]
        if numbers and not any(isinstance(part, ast.Lambda | ast.Dict | ast.Call) for part in parts):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [ast.unparse(target) for target in targets]
    return found


def test_every_number_that_decides_stands_in_tolerance_and_every_cap_in_effort():
    judges = [
        path
        for folder in ("numerics", "verification", "derivations")
        for path in (SRC / folder).rglob("*.py")
        if path.name not in ("tolerance.py", "effort.py") and str(path.relative_to(SRC)) not in OTHER_NUMBERS
    ]
    found = {str(path.relative_to(SRC)): numbers_of(path.read_text(encoding="utf-8")) for path in judges}
    assert {path: names for path, names in found.items() if names} == {}
    assert numbers_of("LIMIT = 2.0**-10\nNAMES = ('a',)") == ["LIMIT"]


def test_every_tolerance_and_every_cap_is_used_and_has_its_reason():
    others = [path for path in FILES if path.name not in ("tolerance.py", "effort.py")]
    text = "\n".join(path.read_text("utf-8") for path in others)
    tolerance = (SRC / "numerics" / "tolerance.py").read_text("utf-8")
    names = [name for target in numbers_of(tolerance) for name in re.findall(r"[A-Z_]+", target)]
    assert len(names) > 30
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []
    for name in names:
        before = tolerance[: re.search(rf"^(.*, )?{name}\b.* = ", tolerance, re.MULTILINE).start()]
        assert re.search(r"#[^\n]*\n([A-Z_, ]+ = [^\n]*\n)?$", before), name
    effort = ast.parse((SRC / "numerics" / "effort.py").read_text("utf-8")).body
    record = next(node for node in effort if isinstance(node, ast.ClassDef))
    said = ast.get_docstring(record)
    for field in (node.target.id for node in record.body if isinstance(node, ast.AnnAssign)):
        assert re.search(rf"\b{field}\b[^\n]*:", said), field
        assert f"EFFORT.{field}" in text, field


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
