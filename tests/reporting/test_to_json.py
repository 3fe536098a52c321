"""The JSON file: strict JSON, one object a report, and never half of it."""

import json

import jax.numpy as jnp
import jsonschema
import pytest
from jaxtyping import Array, Float

import backproof as bp
from backproof.reporting import print_jsonl, schema, write_json
from backproof.verification import Report, Verdict


@pytest.mark.as_user
def test_a_wrong_report_carries_its_smallest_example(tmp_path):
    wrong = bp.rules.tanh._replace(backward=lambda params, a, delta: ((), -delta * (1 - a * a)))
    path = tmp_path / "reports.json"
    report = bp.verify(wrong, examples=5)
    write_json([Report("good", Verdict.AGREES), report], path)
    good, found = json.loads(path.read_text("utf-8"), parse_constant=pytest.fail)
    assert (good["verdict"], good["ok"], good["counterexample"]) == ("AGREES", True, None)
    assert (found["verdict"], found["ok"], found["cause"]) == ("WRONG", False, "sign")
    assert found["counterexample"]["hand"] == report.counterexample.hand
    assert found["counterexample"]["repro"] == report.counterexample.repro


def test_a_failure_leaves_the_file_that_was_there(tmp_path):
    path = tmp_path / "reports.json"
    path.write_text("before")

    class Broken(Report):
        def to_json(self):
            raise ValueError("no JSON")

    with pytest.raises(ValueError, match="no JSON"):
        write_json([Report("good", Verdict.AGREES), Broken("bad", Verdict.WRONG)], path)
    assert path.read_text() == "before"


def test_a_file_that_was_there_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "reports.json"
    path.write_text("before")
    write_json([], path)
    assert json.loads(path.read_text()) == []
    assert list(tmp_path.iterdir()) == [path]


def loss(x, W):
    z = bp.tap("z", x @ W)
    return jnp.sum(bp.tap("a", jnp.tanh(z)) ** 2)


def slope(sign=1):
    @bp.derivation("f'", of=lambda z: jnp.sum(jnp.tanh(z)), wrt="z")
    def derived(z: Float[Array, " n"]):
        yield bp.assume(jnp.all(z != 0), r"z \neq 0")
        yield bp.line("1 - a^2", sign * (1 - jnp.tanh(z) ** 2), "slope of tanh")

    return derived


def refuted():
    refutes = bp.Refutes(1, "E1", "sign", "a sign is lost")

    @bp.derivation("f'", refutes=refutes)
    def derived(z: Float[Array, " n"]):
        yield bp.line("z", z, "definition")
        yield bp.line("-z", -z, "a slip")

    return derived


def without_lines():
    @bp.derivation("f'")
    def derived(z: Float[Array, " n"]):
        yield z

    return derived


def sine(factor):
    return lambda args, ct: (factor * jnp.cos(args[0]) * ct,)


def intermediates(**by_hand):
    return bp.verify_intermediates(loss, [bp.array("2 n"), bp.array("n 3")], lambda x, W: by_hand)


X = [bp.array("n")]
KINDS = {
    "right": lambda: bp.verify(of=jnp.sin, vjp=sine(1), args=X, examples=5),
    "a factor": lambda: bp.verify(of=jnp.sin, vjp=sine(2), args=X, examples=5),
    "another form": lambda: bp.verify(of=jnp.sin, vjp=lambda args, ct: (ct[:0],), args=X, examples=5),
    "it raises": lambda: bp.verify(of=jnp.sin, vjp=lambda args, ct: 1 / 0, args=X, examples=5),
    "not finite": lambda: bp.verify(of=jnp.sin, vjp=sine(jnp.inf), args=X, examples=5),
    "complex": lambda: bp.verify(
        of=jnp.sin, vjp=sine(2), args=[bp.array("n", dtype="complex64")], examples=5
    ),
    "a tangent": lambda: bp.verify(
        of=jnp.sin, jvp=lambda args, t: t[0] * jnp.sin(args[0]), args=X, examples=5
    ),
    "a rule": lambda: bp.verify(bp.rules.relu, examples=5),
    "a derivation that holds": lambda: slope().verify(),
    "a derivation that fails": lambda: slope(-1).verify(),
    "an erratum": lambda: refuted().verify(),
    "a broken derivation": lambda: without_lines().verify(),
    "intermediates": lambda: intermediates(a=jnp.zeros(()), z=jnp.zeros(())),
}


@pytest.mark.as_user
@pytest.mark.parametrize("name", KINDS)
def test_every_report_is_of_the_form_that_the_schema_describes(name):
    found = json.loads(KINDS[name]().to_json(), parse_constant=pytest.fail)
    jsonschema.Draft202012Validator(schema()).validate(found)


def test_the_schema_is_one_and_refuses_what_it_does_not_describe():
    jsonschema.Draft202012Validator.check_schema(schema())
    good = json.loads(Report("good", Verdict.AGREES).to_json())
    valid = jsonschema.Draft202012Validator(schema()).is_valid
    assert valid(good)
    assert not valid({**good, "more": 1})
    assert not valid({**good, "verdict": "FINE"})
    assert not valid({key: value for key, value in good.items() if key != "reach"})


def test_each_report_is_a_line_as_soon_as_it_is_known(capsys):
    printed = []

    def reports():
        for name in ("first", "second"):
            yield Report(name, Verdict.AGREES)
            printed.append(capsys.readouterr().out)

    assert [report.name for report in print_jsonl(reports())] == ["first", "second"]
    assert [json.loads(text)["name"] for text in printed] == ["first", "second"]
