"""The plugin at work in a user's project: items, failures, options, coverage, processes, junit files."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from projects import KERNELS

import backproof.cli.table
import backproof.coverage.compiled
import backproof.coverage.items
import backproof.coverage.watch  # imported here, since pytester forgets what a run in this process imports
import backproof_pytest

pytest_plugins = "pytester"
pytestmark = pytest.mark.as_user

TOML = """
[tool.pytest.ini_options]
testpaths = ["tests"]
[tool.backproof]
modules = ["my_package.kernels"]
derivations = ["proofs/*.py"]
[tool.backproof.rules."my_package.kernels:TABLE['sin']"]
left_out = "it is an example"
"""
TESTS = """
import jax, jax.numpy as jnp
import backproof as bp
from my_package import kernels

def test_quiet_runs():
    jax.grad(lambda x: kernels.quiet(x).sum())(jnp.ones(3))

def test_within():
    bp.check(lambda x: 2 * kernels.within(x), args=[bp.array("n")], examples=3)

def test_cube():
    try:
        1 / 0
    except ZeroDivisionError:
        bp.check(kernels.cube, args=[bp.array("n")], examples=3)

def test_taps():
    f = lambda x: jnp.sum(bp.tap("z", x * 2))
    bp.check_intermediates(f, [jnp.ones(2)], {"z": jnp.zeros(2)})
"""
PROOFS = """
import jax, jax.numpy as jnp, backproof as bp
from jaxtyping import Array, Float

def J(z):
    return jnp.tanh(z).sum()

@bp.derivation(r"\\delta", of=J)
def good(z: Float[Array, " n"]):
    yield bp.line("1 - a^2", 1 - jnp.tanh(z) ** 2, "slope of tanh")

@bp.derivation(r"\\delta", of=J)
def bad(z: Float[Array, " n"]):
    yield bp.line("-(1 - a^2)", -(1 - jnp.tanh(z) ** 2), "slope of tanh")
"""
FEWER = """
import jax, jax.numpy as jnp
from jaxtyping import Array, Float

@jax.custom_vjp
def wrong(x: Float[Array, " n"]):
    return 2 * x

wrong.defvjp(lambda x: (2 * x, None), lambda _, ct: (-2 * ct,))

@jax.custom_vjp
def ran(x):
    return x

ran.defvjp(lambda x: (x, None), lambda _, ct: (ct,))
"""
FEW = "--backproof-examples=2"


@pytest.fixture
def run(pytester):
    """A run of pytest in this process, in a project with these files."""

    def of(*options, toml=TOML, tests=TESTS, proofs=PROOFS, few="", where=pytester.runpytest_inprocess):
        for folder, name, text in (
            ("my_package", "__init__", ""),
            ("my_package", "kernels", KERNELS),
            ("my_package", "few", few),
            ("tests", "test_their_kernels", tests),
            ("proofs", "s1", proofs),
        ):
            (pytester.path / folder).mkdir(exist_ok=True)
            (pytester.path / folder / f"{name}.py").write_text(text)
        (pytester.path / "pyproject.toml").write_text(toml)
        pytester.syspathinsert()
        return where("-p", "no:cacheprovider", *options)

    return of


def test_a_project_is_verified_listed_and_counted(run, pytester):
    result = run(FEW, "--junitxml=junit.xml", "-v")
    assert result.parseoutcomes() == {"passed": 6, "failed": 4}
    said = ("sine*PASSED", "cube*FAILED", "scaled*PASSED", "own*PASSED")
    result.stdout.fnmatch_lines([f"pyproject.toml::my_package.kernels:{name}*" for name in said])
    result.stdout.fnmatch_lines(
        [
            "proofs/s1.py::good PASSED*",
            "backproof: 3 of 9 gradients by hand shown to be right, 1 more inside other functions, 1 not",
            "  never verified: my_package.kernels:quiet*its backward pass ran, but nothing judged it; *",
            "  never verified: my_package.kernels:Layers.never*its backward pass never ran; its arguments*",
            "  never verified: my_package.kernels:TABLE*left out: it is an example",
            "  never verified: my_package.kernels:make.<locals>.f*nothing judged it; a function makes it*",
            "backproof: 5 rules and 1 set of intermediate gradients and 2 derivations verified, 4 not *",
        ]
    )
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "junit.xml").iter("testcase")}
    said = {one.get("name"): one.get("value") for one in cases["my_package.kernels:cube"].iter("property")}
    assert (said["backproof_verdict"], said["backproof_cause"]) == ("WRONG", "sign")
    assert int(said["backproof_points"]) > 0
    assert not list(cases["test_quiet_runs"].iter("property"))
    _require_the_reports(result)


def _require_the_reports(result):
    """Each failure is the report, at the user's line; the summary has the verdict and the cause."""
    text = result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            ">*bp.check(kernels.cube, args=*",
            "E * cube: WRONG (sign)",
            "E *result[[]0[]] has the opposite sign",
            "tests/test_their_kernels.py:*: GradientError",
        ]
    )
    assert text.count("ZeroDivisionError") == 1  # in the user's own line
    assert "engine.py" not in text
    assert "form.py" not in text
    result.stdout.fnmatch_lines(
        [
            "*_ gradient my_package.kernels:cube _*",
            "cube: WRONG (sign)",
            "bad, δ: FAILS at line 1 (sign)*",
            "*DOES NOT FOLLOW: slope of tanh",
            "FAILED tests/test_their_kernels.py::test_cube - WRONG (sign): cube",
            "FAILED tests/test_their_kernels.py::test_taps - WRONG (missing): <lambda>, *",
            "FAILED pyproject.toml::my_package.kernels:cube - WRONG (sign): cube",
            "FAILED proofs/s1.py::bad - FAILS at line 1 (sign): bad",
        ]
    )


def test_two_processes_give_what_one_gives(run, pytester):
    tests = TESTS.partition("def test_within")[0].replace("kernels.quiet", "kernels.ran")
    tests = tests.replace("import kernels", "import few as kernels")
    few = TOML.replace('["proofs/*.py"]', "[]").replace("my_package.kernels", "my_package.few")
    options = {"tests": tests, "toml": few.partition("[tool.backproof.rules")[0], "few": FEWER}
    result = run(FEW, "-n", "2", "--backproof-require", where=pytester.runpytest_subprocess, **options)
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(
        [
            "backproof: 0 of 2 gradients by hand shown to be right, 1 not",
            "  never verified: my_package.few:ran *its backward pass ran, but nothing judged it; its arg*",
            "backproof: 1 rule verified, 1 not good; *",
            "FAILED pyproject.toml::my_package.few:wrong - WRONG (sign): wrong",
        ]
    )


def test_a_part_of_the_suite_lists_nothing_and_requires_nothing(run):
    result = run("-k", "sine", "--backproof-require", FEW)
    assert result.parseoutcomes()["passed"] == 1
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["backproof: only a part of the tests ran, so gradients*", "backproof: 1 rule *"]
    )
    result = run("proofs/s1.py::good", FEW)
    assert result.parseoutcomes() == {"passed": 1}
    assert "never verified:" not in result.stdout.str()


def test_a_gradient_that_must_be_verified_and_is_not_fails_the_run(run):
    plain = {"tests": "def test_nothing():\n    pass\n", "proofs": ""}
    few = TOML.replace("[tool.backproof]", "[tool.backproof]\nrequire = true").replace(
        '["proofs/*.py"]', "[]"
    )
    assert run("-k", "not cube", FEW, toml=few, **plain).ret == pytest.ExitCode.OK
    result = run("--backproof-coverage=my_package", "tests", toml="", **plain)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["backproof: 0 of 9 gradients by hand*"])
    result = run("--backproof-coverage=my_package", "--backproof-require", "tests", **plain)
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_options_reach_the_checks_of_tests_and_are_gone_afterwards(run):
    tests = """
import jax.numpy as jnp
import backproof as bp

def test_settings():
    report = bp.verify(of=jnp.sin, vjp=lambda a, ct: (ct * jnp.cos(*a),), args=[bp.array("n")])
    assert (report.seed, report.reach.budget) == (7, 50)
    assert report.examples < 30
"""
    options = ("--backproof-seed=7", "--backproof-budget=50", "tests")
    assert run(FEW, *options, tests=tests, toml="").parseoutcomes() == {"passed": 1}
    assert backproof.session.asked() == backproof.session.Asked()


@pytest.mark.parametrize(
    ("options", "toml", "said"),
    [
        (("--backproof-examples=0",), "", "must be a whole number of at least 1"),
        (("--backproof-budget=-1",), "", "must be a finite number above 0"),
        ((), "[tool.backproof]\nmodule = ['x']\n", "did you mean modules?"),
        ((), "[tool.backproof]\nderivations = ['none/*.py']\n", "must name files or folders"),
        ((), "[tool.backproof]\nmodules = ['my_packag']\n", "did you mean my_package?"),
        (("--backproof-coverage=my_packag",), "", "did you mean my_package?"),
        ((), TOML.replace("TABLE['sin']", "TABLE"), "must be one that stands in the modules"),
    ],
)
def test_misuse_is_one_clear_error(run, options, toml, said):
    result = run(*options, toml=toml, tests="def test_nothing():\n    pass\n", proofs="")
    assert said in result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERRUPTED)


def test_without_the_plugin_a_check_is_a_plain_test(run):
    result = run("-p", "no:backproof", "tests", "-k", "cube")
    assert result.parseoutcomes()["failed"] == 1
    assert "backproof: " not in result.stdout.str()
    assert "cube: WRONG (sign)" in result.stdout.str()


def imported(code):
    """Return which heavy modules a program imports."""
    code = f"import sys\n{code}\nprint(*sorted({{'jax', 'backproof', 'numpy'}} & {{*sys.modules}}))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return said.stdout.split()


def test_the_plugin_imports_nothing_of_backproof():
    assert imported("import backproof_pytest") == []
    assert imported("import backproof_pytest, backproof.session") == ["backproof"]  # so it would be seen


@pytest.mark.parametrize("text", ["", "import backproof.session\n"], ids=["as it is", "planted"])
def test_a_suite_without_backproof_imports_nothing_of_it(pytester, text):
    tests = f"""
import sys
{text}
def test_nothing_is_imported():
    assert not {{"jax", "backproof"}} & {{*sys.modules}}  # another plugin may import NumPy
"""
    pytester.makepyfile(test_plain=tests)
    pytester.makepyprojecttoml("[tool.other]\nname = 'x'\n")
    result = pytester.runpytest_subprocess()
    assert result.parseoutcomes() == ({"failed": 1} if text else {"passed": 1})
    assert "backproof: " not in result.stdout.str()


def test_the_package_is_imported_as_it_is_and_its_assertions_are_not_rewritten(request):
    marked = request.config.pluginmanager.rewrite_hook._must_rewrite
    marked.add("backproof")  # as an installed package is
    backproof_pytest._spare(request.config)
    assert "backproof" not in marked


def test_the_plugin_is_the_one_that_is_installed(request):
    assert request.config.pluginmanager.get_plugin("backproof") is backproof_pytest
