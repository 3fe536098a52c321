"""Shipped rules, wrong by one labelled thing, are WRONG; the cause is that label or `unknown`."""

import os

import pytest

from backproof import rules
from backproof.selftest.mutants import EVERY, MUTATIONS, NETWORKS, SQUARE, Mutant, mutants
from backproof.verification import Verdict, verify
from backproof.verification.edits import SLIPS
from backproof.verification.layers import CAUSES
from backproof.verification.symptoms import TESTS

pytestmark = pytest.mark.as_user
WIDE = os.environ.get("BACKPROOF_PROFILE") == "wide"
BY_NAME = {mutation.name: mutation for mutation in MUTATIONS}
CROSS_SECTION = [
    Mutant(BY_NAME[name], rule)
    for name, chosen in {
        "sign": [rules.relu, rules.softmax],
        "three times": [rules.elu, NETWORKS[0]],
        "twice": [rules.hard_tanh],
        "x twice": [rules.sin, NETWORKS[1]],
        "zero x": [rules.leaky_relu, NETWORKS[0]],
        "zero W": [SQUARE[1]],
        "negative W": [SQUARE[1]],
        "mean W": [SQUARE[0]],
        "mean b": [NETWORKS[0]],
        "cotangent dropped": [rules.identity, rules.gelu],
        "cotangent clipped": [rules.sigmoid],
        "W transposed": [SQUARE[0]],
        "slope at output": [rules.sigmoid, rules.silu],
        "no gate": [NETWORKS[2]],
        "b not summed": [NETWORKS[0]],
        "moved by one": [rules.tanh],
        "last column lost": [rules.sin],
        "wrong at zero": [rules.elu],
        "left half lost": [rules.softplus],
        "second term lost": [rules.silu],
    }.items()
    for rule in chosen
]
SHOWN = list(mutants()) if WIDE else CROSS_SECTION


@pytest.mark.parametrize("mutant", SHOWN, ids=lambda mutant: mutant.name)
def test_a_mutant_is_wrong_and_named_rightly(mutant):
    report = mutant.verified()
    assert report.verdict is Verdict.WRONG
    assert report.cause in mutant.mutation.labels | ({"unknown"} if WIDE else set())


@pytest.mark.parametrize("rule", SQUARE, ids=lambda rule: rule.name)
def test_the_rules_made_square_are_right_themselves(rule):
    assert verify(rule, examples=60, dtypes=(), second_order=False).ok


def test_every_kind_of_mutant_is_in_the_cross_section_and_every_rule_has_one():
    assert {mutant.mutation.name for mutant in CROSS_SECTION} == set(BY_NAME)
    named = {rule.name for rule in EVERY}
    assert {rule.name for rule in rules.CATALOGUE} - named == {"relu_with(0.5)"}
    for mutant in CROSS_SECTION:
        assert mutant.of.name in {rule.name for rule in mutant.mutation.of}


def test_labels_of_mutants_are_names_of_causes():
    slips = {slip.cause for several in SLIPS.values() for slip in several}
    for mutation in MUTATIONS:
        assert mutation.labels <= {*TESTS, *slips, *CAUSES.values(), "missing-sum"}
