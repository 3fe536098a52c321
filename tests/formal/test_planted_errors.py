"""The planted errors and their refutations, as far as they can be read without Coq."""

import pytest

import check
import planted_errors
import refutation
import statements


def test_the_text_that_each_error_replaces_stands_once_in_its_file():
    for mutant in (*planted_errors.MUTANTS, planted_errors.REWRITTEN):
        text = (statements.HERE / mutant.file).read_text("utf-8")
        assert text.count(mutant.right) == 1, mutant.name
        assert mutant.wrong != mutant.right


def test_an_error_without_a_point_is_planted_again_made_to_fit():
    names = {mutant.name: mutant.point for mutant in planted_errors.MUTANTS}
    unfit = [name for name, point in names.items() if point is None]
    assert len(unfit) == 2
    assert all(names[f"{name}, fitted"] for name in unfit)


def test_every_refutation_is_used_and_none_claims_without_proof():
    proofs = {mutant.point.proof for mutant in planted_errors.MUTANTS if mutant.point}
    files = sorted(refutation.FOLDER.glob("*.v"))
    assert {path.stem for path in files} == proofs | {"points"}
    assert check.unproved_in(files) == []


def test_the_words_of_a_theorem_become_a_proposition():
    words = refutation.as_proposition("Theorem t n (A : arch n) (z := f n) :\n  n = 0 ->\n  A = z.")
    assert words == "Definition claim : Prop := forall n (A : arch n) (z := f n),\n  n = 0 ->\n  A = z."
    with pytest.raises(ValueError, match="no theorem with variables"):
        refutation.as_proposition("Theorem t (x : R).")


def test_the_error_stands_in_the_definitions_that_are_refuted(tmp_path):
    for path in statements.files():
        (tmp_path / path.name).write_text(path.read_text("utf-8"), "utf-8")
    for mutant in planted_errors.MUTANTS:
        if mutant.point is None:
            continue
        path = tmp_path / mutant.file
        right = path.read_text("utf-8")
        planted_errors.replace(path, mutant.right, mutant.wrong)
        assert mutant.wrong.strip() in refutation.planted(tmp_path, mutant.point), mutant.name
        path.write_text(right, "utf-8")
        assert mutant.right in refutation.planted(tmp_path, mutant.point), mutant.name
