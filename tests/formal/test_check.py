"""The check of the proofs can fail: what it reads in the sources and in Coq's answers."""

import pytest

import check
import statements

AXIOMS = """Axioms:
boolp.propositional_extensionality : forall P Q : Prop, P <-> Q -> P = Q
boolp.functional_extensionality_dep
  : forall (A : Type) (B : A -> Type) (f g : forall x : A, B x),
    (forall x : A, f x = g x) -> f = g
"""


def test_no_source_claims_without_proof():
    assert check.unproved_words(statements.HERE) == []


@pytest.mark.parametrize(
    "line",
    [
        "Proof. Admitted.",
        "by admit.",
        "Axiom cheat : False.",
        "Parameter x : R.",
        "Parameters x y : R.",
        "Conjecture c : False.",
        "Unset Guard Checking.",
    ],
)
def test_a_word_that_claims_without_proof_is_found(line, tmp_path):
    (tmp_path / "_CoqProject").write_text("-Q . Backproof\na.v\n")
    (tmp_path / "a.v").write_text(f"(* Admitted\n in a comment *)\n{line}\n")
    (found,) = check.unproved_words(tmp_path)
    assert found.startswith("a.v:3: ")


def test_an_option_that_weakens_coq_is_found(tmp_path):
    (tmp_path / "_CoqProject").write_text("-arg -type-in-type\n")
    assert check.unproved_words(tmp_path) == ["_CoqProject: type-in-type"]


def test_axioms_are_read_from_the_answer_of_coq():
    assert check.assumptions(AXIOMS) == {
        "boolp.propositional_extensionality",
        "boolp.functional_extensionality_dep",
    }
    assert check.assumptions(AXIOMS + "scaling.smuggled : forall P : Prop, P\n") - check.LIBRARY == {
        "scaling.smuggled"
    }
    assert check.assumptions("Closed under the global context\n") == set()
    with pytest.raises(ValueError, match="no answer"):
        check.assumptions("")
