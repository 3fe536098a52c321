"""Kinds of code that were once judged wrongly: more members of each kind, and the verdicts they must get.

The wide profile runs every member; the suite runs each third one, and the first of each kind that must pass
and that must not.
"""

import os

import kinds_of_domains
import kinds_of_guards
import kinds_of_kinks
import kinds_of_machinery
import kinds_of_precision
import kinds_of_runs
import kinds_of_ways_in
import kinds_of_zeros
import pytest

pytestmark = pytest.mark.as_user
KINDS = {
    "machinery": kinds_of_machinery.MEMBERS,
    "precision": kinds_of_precision.MEMBERS,
    "guards": kinds_of_guards.MEMBERS,
    "kinks": kinds_of_kinks.MEMBERS,
    "zeros": kinds_of_zeros.MEMBERS,
    "domains": kinds_of_domains.MEMBERS,
    "runs": kinds_of_runs.MEMBERS,
    "ways in": kinds_of_ways_in.MEMBERS,
}
SLOW = ("covariance", "rotation", "linear system")
WIDE = os.environ.get("BACKPROOF_PROFILE") == "wide"
TABLE = [(kind, member) for kind, members in KINDS.items() for member in members]


def in_the_suite(members):
    """Return the members of a kind that the suite runs: each third one, and the first on each side."""
    firsts = [next(m for m in members if word in m.wanted) for word in ("AGREES", "WRONG")]
    third = [m for at, m in enumerate(members) if at % 3 == 0 and not any(word in m.name for word in SLOW)]
    return list(members) if WIDE else [m for m in members if m in third or m in firsts]


RUN = [(kind, member) for kind, members in KINDS.items() for member in in_the_suite(members)]


@pytest.mark.parametrize("member", [pytest.param(m, id=f"{kind}: {m.name}") for kind, m in RUN])
def test_the_verdict_is_that_of_mathematics(member):
    report = member.report()
    text = str(report)
    assert report.verdict.value in member.wanted, f"{member.why}\n{text}"
    assert all(word in text for word in member.says), f"it must say {member.says}\n{text}"
    assert not any(word in text for word in member.hides), f"it must not say {member.hides}\n{text}"


def test_every_kind_has_members_that_must_pass_and_members_that_must_not():
    for kind, members in KINDS.items():
        sides = {frozenset(m.wanted) & {"AGREES", "WRONG"} for m in members}
        assert {frozenset({"AGREES"}), frozenset({"WRONG"})} <= sides, kind


def test_no_two_members_share_a_name_and_each_is_argued():
    names = [m.name for _, m in TABLE]
    assert len(set(names)) == len(names) >= 45
    assert all(m.why and m.wanted for _, m in TABLE)
