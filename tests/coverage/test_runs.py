"""The plugin in runs of every kind: a part of a suite, a run of no tests, a run within a run, and faults."""

import sys

import pytest

import backproof.cli.table
import backproof.coverage.compiled
import backproof.coverage.items
import backproof.coverage.watch  # imported here, since pytester forgets what a run in this process imports

pytest_plugins = "pytester"
pytestmark = pytest.mark.as_user

TOML = """
[tool.pytest.ini_options]
testpaths = ["tests"]
[tool.backproof]
modules = ["their_package"]
"""
REQUIRED = f"{TOML}require = true\n"
CUBE = """
import jax

@jax.custom_vjp
def cube(x):
    return x**3

def cube_fwd(x):
    return x**3, (x,)

def cube_bwd(kept, ct):
    (x,) = kept
    return (3 * x**2 * ct,)

cube.defvjp(cube_fwd, cube_bwd)
"""
ANNOTATED = CUBE.replace("def cube(x):", "def cube(x: Float[Array, ' n']):").replace(
    "import jax\n", "import jax\nfrom jaxtyping import Array, Float\n"
)
NOTHING = "def test_x():\n    pass\n"
HERE = ("-o", "pythonpath=.")
LISTED = "  never verified: their_package.kernels:cube*"
PARTIAL = "backproof: only a part of the tests ran, *"


@pytest.fixture
def run(pytester, monkeypatch):
    """A run of pytest in this process, in a project with these files."""

    def of(*options, toml=TOML, kernels=CUBE, tests=NOTHING, cache=("-p", "no:cacheprovider"), **files):
        files = {"their_package/__init__": "", "their_package/kernels": kernels, **files}
        for name, text in {**files, "tests/test_mine": tests, "tests/test_other": NOTHING}.items():
            path = pytester.path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (pytester.path / "pyproject.toml").write_text(toml)
        return pytester.runpytest_inprocess(*cache, "--backproof-examples=2", *options)

    monkeypatch.setattr(sys, "path", [*sys.path])
    return of


@pytest.mark.parametrize("passed", ["kernels.cube_bwd", "kernels.cube.bwd"])
def test_a_backward_pass_that_was_verified_is_listed_as_verified(run, passed):
    tests = f"""
import backproof as bp
from their_package import kernels

def test_cube():
    bp.check(of=lambda x: x**3, vjp={passed}, args=[bp.array("n")])
"""
    result = run(*HERE, tests=tests)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["backproof: 1 of 1 gradient by hand shown to be right"])
    result.stdout.no_fnmatch_line("*never verified: *")


@pytest.mark.parametrize("option", ["--collect-only", "--fixtures", "--setup-plan"])
def test_a_run_of_no_tests_requires_and_lists_nothing(run, option):
    result = run(option, toml=REQUIRED)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*never verified: *")
    assert run(option, "--backproof-coverage=their_package").ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("options", "toml"),
    [
        ((), REQUIRED),
        (("tests",), REQUIRED),
        (("tests", "--backproof-require"), TOML),
        (("tests",), REQUIRED.replace("testpaths", "# testpaths")),
        (("tests/test_mine.py", "--backproof-whole"), REQUIRED),
    ],
)
def test_a_run_of_the_folders_with_tests_is_the_whole_suite(run, options, toml):
    result = run(*options, toml=toml)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["backproof: 0 of 1 gradient *", LISTED])


@pytest.mark.parametrize("options", [(), ("tests",)])
def test_a_named_folder_does_not_take_the_items_of_the_modules_away(run, options):
    result = run(*options, toml=REQUIRED, kernels=ANNOTATED)
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["backproof: 1 of 1 gradient by hand shown to be right"])


@pytest.mark.parametrize(
    "options",
    [
        ("tests/test_mine.py",),
        ("tests/test_other.py::test_x", "--backproof-coverage=their_package"),
        ("tests/test_other.py", "tests/deep", "--backproof-require"),
        ("tests/deep",),
        ("-k", "test_mine"),
    ],
)
def test_a_part_of_the_suite_says_so_and_requires_nothing(run, options):
    result = run(*options, toml=REQUIRED, **{"tests/deep/test_deep": NOTHING})
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines([PARTIAL])
    result.stdout.no_fnmatch_line("*never verified: *")


def test_a_run_that_ends_as_tests_cannot_be_collected_lists_nothing(run):
    result = run(toml=REQUIRED, tests="1 / 0\n")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*never verified: *")
    result = run("--continue-on-collection-errors", toml=REQUIRED, tests="1 / 0\n")
    result.stdout.fnmatch_lines([LISTED])


def test_a_cache_that_cannot_be_written_is_done_without(run, pytester):
    (pytester.path / "taken").write_text("a file")
    result = run("-o", "cache_dir=taken/nope", "-W", "ignore", cache=())
    result.assert_outcomes(passed=2)
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    assert backproof.session.asked() == backproof.session.Asked()


def test_what_was_begun_is_undone_if_the_run_cannot_begin(run, monkeypatch):
    def fails(around):
        raise RuntimeError("planted")

    monkeypatch.setattr(backproof.session, "stand_around", fails)
    run(cache=())
    assert backproof.session.asked() == backproof.session.Asked()


def test_a_module_that_cannot_be_imported_takes_no_other_gradient_away(run):
    bad = {"their_package/bad": "raise SystemExit(3)\n", "their_package/optional": "import nothing_such\n"}
    bad["their_package/skips"] = "import pytest\npytest.importorskip('nothing_such')\n"
    table = '[tool.backproof.rules."their_package.optional:f"]\nargs = "f32[n]"\n'
    before = [*sys.path]
    result = run(toml=f"{REQUIRED}{table}", kernels=ANNOTATED, **bad)
    result.assert_outcomes(passed=3)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "backproof: 1 of 4 gradients by hand shown to be right",
            "  never verified: their_package.bad *their_package/bad.py:1)*cannot be imported: SystemExit: 3",
            "  never verified: their_package.optional *cannot be imported: ModuleNotFoundError: *",
            "  never verified: their_package.skips *cannot be imported: Skipped: *",
        ]
    )
    assert sys.path == before


def test_a_run_within_a_test_leaves_what_the_test_verified_to_it(run):
    tests = """
import pytest
import backproof as bp
from their_package import kernels

def test_outer():
    bp.check(kernels.cube, args=[bp.array("n")])
    assert pytest.main(["-q", "-p", "no:cacheprovider", "tests/test_inner.py"]) == 0
    bp.check(of=lambda x: 2 * x, vjp=lambda args, ct: (2 * ct,), args=[bp.array("n")])
"""
    inner = """
import backproof as bp
from their_package import kernels

def test_in():
    bp.check(lambda x: kernels.cube(x), of=lambda x: x**3, args=[bp.array("n")])
"""
    result = run(*HERE, "tests/test_mine.py", "--backproof-whole", tests=tests, **{"tests/test_inner": inner})
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["backproof: 1 of 1 gradient by hand*", "backproof: 2 rules verified; *"])
