"""The gradients written by hand in a module, wherever they stand; and which of them a verification judged."""

import pathlib

import jax.numpy as jnp
import pytest
from projects import NAMES

import backproof as bp
from backproof import session
from backproof.coverage.found import find, judged_by
from backproof.errors import UsageError

pytestmark = pytest.mark.as_user


@pytest.fixture
def found(project):
    return {one.name.removeprefix("my_package."): one for one in find(["my_package"], project())}


def heard(verify):
    session.take()
    verify()
    (one,) = session.take()
    return one


def test_every_gradient_is_found_once_and_none_of_a_library(found):
    assert list(found) == NAMES
    kinds = [one.kind for one in found.values()]
    assert kinds == ["custom_vjp"] * 3 + ["custom_jvp"] + ["custom_vjp"] * 2 + ["Rule"] + ["custom_vjp"] * 2
    sine = found["kernels:sine"]
    assert pathlib.Path(sine.file).read_text().splitlines()[sine.line].startswith("def sine")


def test_a_package_is_walked_and_a_rule_is_named_where_it_is_defined(project):
    again = "from my_package.kernels import sine as first, cube\n"
    names = [one.name for one in find(["my_package.again", "my_package"], project(again=again))]
    assert "my_package.kernels:sine" in names
    assert not any("again" in name for name in names)


def test_a_function_that_makes_a_listed_rule_is_not_listed_as_well(project):
    more = "from my_package.kernels import make\ntwice = make(2)\n"
    names = [one.name for one in find(["my_package"], project(more=more))]
    assert "my_package.more:twice" in names
    assert "my_package.kernels:make.<locals>.f" not in names


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("my_packag", "", "did you mean my_package?"),
        ("my_package.bad", "1 / 0\n", "ZeroDivisionError"),
        ("my_package.bad", "raise SystemExit(3)\n", "SystemExit: 3"),
    ],
)
def test_a_module_that_cannot_be_imported_is_named(project, name, text, said):
    with pytest.raises(UsageError, match="importable") as raised:
        find([name], project(bad=text))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "text", ["1 / 0\n", "raise SystemExit(3)\n", "import nothing_such\n", "import pytest; pytest.skip('x')"]
)
def test_a_module_of_a_package_that_cannot_be_imported_stands_in_the_list(project, text):
    every = {one.name: one for one in find(["my_package"], project(bad=text))}
    assert list(every) == [*(f"my_package.{name}" for name in NAMES), "my_package.bad"]
    bad = every["my_package.bad"]
    assert (bad.kind, pathlib.Path(bad.file).name, bool(bad.error)) == ("module", "bad.py", True)


def test_an_interrupt_while_a_module_is_imported_is_not_kept(project):
    with pytest.raises(KeyboardInterrupt):
        find(["my_package"], project(bad="raise KeyboardInterrupt\n"))


def test_packages_inside_packages_are_walked(project):
    folder = project(deep="")
    (folder / "my_package" / "deep.py").unlink()
    (folder / "my_package" / "deep").mkdir()
    (folder / "my_package" / "deep" / "__init__.py").write_text(
        "from my_package.kernels import make\nf = make(2)\n"
    )
    (folder / "my_package" / "deep" / "more.py").write_text(
        "from my_package.kernels import make\ng = make(3)\n"
    )
    names = {one.name for one in find(["my_package"], folder)}
    assert names >= {"my_package.deep:f", "my_package.deep.more:g"}


def test_a_verification_counts_for_the_object_that_it_judged(found):
    every, few = list(found.values()), {"args": [bp.array("n")], "examples": 3}
    sine, within = found["kernels:sine"].value, found["kernels:within"].value
    one = heard(lambda: bp.verify(sine, **few))
    assert judged_by(one, every) == (["my_package.kernels:sine"], [])
    one = heard(lambda: bp.verify(lambda x: 2 * within(x), **few))
    assert judged_by(one, every) == ([], ["my_package.kernels:within"])
    one = heard(lambda: bp.verify(lambda x: 2 * within(x), of=lambda x: 2 * x, **few))
    assert judged_by(one, every) == ([], ["my_package.kernels:within"])
    one = heard(lambda: bp.verify(found["kernels:own"].value, examples=3))
    assert judged_by(one, every) == (["my_package.kernels:own"], [])


def test_what_a_function_makes_counts_by_its_place_and_a_stranger_does_not(found):
    made = found["kernels:make.<locals>.f"].module.make(3.0)
    one = heard(lambda: bp.verify(made, args=[bp.array("n")], examples=3))
    assert judged_by(one, found.values()) == (["my_package.kernels:make.<locals>.f"], [])
    one = heard(
        lambda: bp.verify(
            of=jnp.sin, vjp=lambda args, ct: (ct * jnp.cos(*args),), args=[bp.array("n")], examples=3
        )
    )
    assert judged_by(one, found.values()) == ([], [])


def test_two_rules_made_by_one_function_are_told_apart(project):
    more = "from my_package.kernels import make\ntwice, thrice = make(2.0), make(3.0)\n"
    every = find(["my_package"], project(more=more))
    twice = next(one for one in every if one.name.endswith("twice"))
    one = heard(lambda: bp.verify(twice.value, args=[bp.array("n")], examples=3))
    assert judged_by(one, every) == (["my_package.more:twice"], [])


def test_rules_that_share_a_backward_pass_are_two(project):
    more = "from my_package.kernels import own\nother = own._replace(forward=lambda params, x: (x, x))\n"
    every = find(["my_package"], project(more=more))
    own, other = (one for one in every if one.kind == "Rule")
    one = heard(lambda: bp.verify(other.value, examples=3))
    assert (one.ok, judged_by(one, every)) == (False, (["my_package.more:other"], []))
    assert own.name == "my_package.kernels:own"


def test_the_backward_pass_alone_counts_for_its_rule(found):
    cube = found["kernels:cube"]
    wrong = {"of": lambda x: x**3, "vjp": cube.module.cube_bwd, "args": [bp.array("n")], "examples": 3}
    one = heard(lambda: bp.verify(**wrong))  # it takes residuals, and not the arguments
    assert (one.ok, judged_by(one, [cube])) == (False, (["my_package.kernels:cube"], []))
