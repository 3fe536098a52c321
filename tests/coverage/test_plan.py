"""How a gradient that stands in a module is verified: its reference and its arguments, or why not."""

import pytest

import backproof as bp
from backproof.cli.table import entries
from backproof.coverage.found import find
from backproof.coverage.plan import plans
from backproof.errors import UsageError

pytestmark = pytest.mark.as_user
UNKNOWN = "its arguments are not known; annotate it, or give args in the table"


@pytest.fixture
def found(project):
    return find(["my_package.kernels"], project())


def planned(found, **rules):
    table = {f"my_package.kernels:{name}": rule for name, rule in rules.items()}
    return {plan.found.name.rpartition(":")[2]: plan for plan in plans(found, entries(table))}


def test_annotations_and_names_say_how_a_gradient_is_verified(found):
    plan = planned(found)
    assert [name for name, one in plan.items() if not one.why_not] == ["sine", "cube", "scaled", "own"]
    assert [plan[name].reference for name in ("sine", "cube", "own")] == [
        "its own body",
        "cube_reference",
        "its forward pass",
    ]
    assert list(plan["scaled"].args) == [bp.array("n"), 2.0]
    assert plan["quiet"].why_not == plan["within"].why_not == UNKNOWN
    assert plan["make.<locals>.f"].why_not == "a function makes it; verify what it returns in a test"


def test_a_plan_verifies_and_a_slip_is_seen(found):
    plan = planned(found)
    verdicts = [str(plan[name].verify(examples=3).verdict) for name in ("sine", "cube", "scaled", "own")]
    assert verdicts == ["AGREES", "WRONG", "AGREES", "AGREES"]


def test_the_table_gives_arguments_references_and_reasons(found):
    plan = planned(
        found,
        quiet={"args": "f32[n]"},
        within={"args": "f32[n]", "of": "cube_reference"},
        cube={"declared": {"x": "meant so"}},
        sine={"left_out": "it is an example"},
    )
    assert plan["quiet"].verify(examples=3).ok
    assert plan["within"].verify(examples=3).verdict == "WRONG"
    assert plan["cube"].verify(examples=3).verdict == "DECLARED"
    assert plan["sine"].why_not == "left out: it is an example"


def test_a_reference_without_known_arguments_is_said(project):
    text = "import jax\nf = jax.custom_vjp(lambda x: x)\ndef f_reference(x):\n    return x\n"
    (plan,) = plans(find(["my_package.more"], project(more=text)), {})
    assert "its arguments are not known (its reference is f_reference)" in plan.why_not


def test_a_name_in_the_table_that_no_gradient_has_is_an_error(found):
    with pytest.raises(UsageError, match=r"did you mean my_package.kernels:sine\?"):
        planned(found, sin={"args": "f32[n]"})


def test_a_module_that_cannot_be_imported_says_why_and_can_be_left_out(project):
    every = find(["my_package"], project(bad="1 / 0\n"))
    table = entries({"my_package.bad:f": {"args": "f32[n]"}})  # it may stand there: nobody can look
    assert plans(every, table)[-1].why_not == "cannot be imported: ZeroDivisionError: division by zero"
    assert plans(every, entries({"my_package.bad": {"left_out": "old"}}))[-1].why_not == "left out: old"
