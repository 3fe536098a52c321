"""`tests/` mirrors `src/backproof/`: every module has a test of its name, or a list says where it is tested.

The tests of `a/b.py` are `tests/a/test_b.py`, a file whose name goes on from there (`test_b_of_c.py`), or the
files of a folder `tests/a/b/`. A base name occurs once in `tests/`, so some begin with their folder's name
or its first letters: `cli/test_cli_verify.py`, `benchmark/test_bench_grid.py`.
"""

import pathlib
from fnmatch import fnmatch

import pytest

pytestmark = pytest.mark.smoke

ROOT = pathlib.Path(__file__).parent
SRC = ROOT.parent / "src" / "backproof"
MODULES = {str(path.relative_to(SRC)) for path in SRC.rglob("*.py") if path.name != "__init__.py"}
TESTS = {str(path.relative_to(ROOT)) for path in ROOT.rglob("test_*.py")}

# A test file, and the modules without one of their own that it shows at work.
TESTED_IN = {
    "auditing/test_audit.py": (
        "auditing/call.py",
        "auditing/one_rule.py",
        "auditing/planting.py",
        "auditing/session.py",
    ),
    "auditing/test_interception.py": ("auditing/named.py", "auditing/watching.py"),
    "auditing/test_by_pytest.py": ("auditing/ended.py", "auditing/runs.py"),
    "auditing/test_hiding.py": ("auditing/rounding.py",),
    "cli/test_parser.py": ("__main__.py", "cli/_main.py", "cli/devices.py", "cli/readers.py"),
    "page/test_extra.py": ("page/notebook.py",),
    "reporting/test_reporting_formulas.py": ("reporting/formulas/*.py",),
    "reporting/test_sweep.py": ("reporting/network_picture.py", "reporting/sweep_steps.py"),
    "cli/test_interrupts.py": ("cli/workers.py",),
    "cli/test_networks.py": ("cli/samples.py",),
    "cli/test_train.py": ("cli/extras.py",),
    "cli/test_cli_verify.py": (
        "catalogue.py",
        "cli/options.py",
        "cli/outcome.py",
        "cli/shipped.py",
        "cli/target.py",
    ),
    "coverage/test_plan.py": ("cli/table.py",),
    "cli/test_cli_derivations.py": (
        "cli/show.py",
        "derivations/markdown.py",
        "derivations/marks.py",
        "derivations/report.py",
        "reporting/derived.py",
    ),
    "numerics/test_covered.py": ("numerics/coverage.py", "numerics/indexing.py", "numerics/windows.py"),
    "numerics/test_own_arrays.py": ("numerics/rebuilding.py",),
    "numerics/test_decisions.py": ("numerics/lanes.py",),
    "numerics/test_compiled_noise.py": ("numerics/paired_run.py",),
    "verification/running/test_programs.py": ("verification/running/compiled.py",),
    "verification/test_memory.py": ("verification/fingerprint.py",),
    "verification/blame/test_blame.py": (
        "verification/blame/case.py",
        "verification/blame/edits.py",
        "verification/blame/failing.py",
        "verification/blame/forward.py",
        "verification/blame/places.py",
        "verification/blame/respelled.py",
        "verification/blame/rewrites.py",
        "verification/blame/search.py",
        "verification/blame/seen.py",
        "verification/blame/trial.py",
        "verification/blame/tries.py",
        "verification/blame/vocabulary.py",
    ),
    "verification/blame/test_watched.py": (
        "verification/blame/marking.py",
        "verification/blame/source.py",
    ),
    "verification/test_reach.py": ("verification/evidence.py",),
    "verification/claims/test_by_differences.py": ("verification/claims/beside.py",),
    "verification/diagnosis/test_program_slips.py": ("verification/diagnosis/operations.py",),
    "verification/judging/test_laws.py": ("verification/judging/repeats.py",),
    "verification/judging/test_reference.py": ("numerics/stops.py",),
    "test_compose.py": ("errors.py", "network.py", "rule.py"),
    "test_depth.py": ("stack.py",),
    "losses/test_losses_catalogue.py": ("losses/_targets.py",),
    "benchmark/test_bench_compare.py": (
        "benchmark/limit.py",
        "benchmark/problem.py",
        "benchmark/program.py",
    ),
    "benchmark/test_bench_grid.py": ("benchmark/estimate.py",),
    "benchmark/test_bench_stacks.py": ("benchmark/autodiff.py", "benchmark/tables.py"),
    "benchmark/test_bench_libraries.py": ("benchmark/peers/*.py",),
    "reporting/test_benchmark_pages.py": ("reporting/plot.py",),
    "reporting/test_terminal.py": ("reporting/wrapping.py",),
    "training/test_checkpoints.py": ("training/saving.py",),
    "training/test_model.py": ("training/archive.py",),
    "training/test_loop.py": (
        "training/history.py",
        "training/optimizers.py",
        "training/run.py",
        "training/segment.py",
        "training/start.py",
    ),
    "training/test_stream.py": ("training/feeding.py",),
    "selftest/test_cases.py": (
        "selftest/blind_spots*.py",
        "selftest/case.py",
        "selftest/corpus*.py",
        "selftest/false_alarms.py",
        "selftest/run.py",
    ),
    "verification/test_mutants_of_rules.py": ("selftest/mutants.py",),
    "cli/test_self_test.py": ("selftest/tally.py",),
    "derivations/test_anchor.py": ("derivations/source.py",),
    "derivations/test_bad_input.py": ("derivations/broken.py", "derivations/form.py"),
    "derivations/test_claims.py": ("derivations/lines.py",),
    "derivations/test_lemmas.py": ("derivations/watching.py",),
    "derivations/test_search.py": ("derivations/moving.py",),
    "derivations/test_slips.py": ("derivations/changes.py", "derivations/mends.py"),
    "derivations/test_verdicts.py": (
        "derivations/causes.py",
        "derivations/conclusion.py",
        "derivations/example.py",
        "derivations/judgement.py",
        "derivations/link.py",
        "derivations/places.py",
        "derivations/replay.py",
        "derivations/table.py",
        "derivations/verify.py",
        "derivations/walk.py",
    ),
    "numerics/test_noise.py": ("numerics/interpreter.py", "numerics/rounding.py"),
    "test_house.py": ("numerics/effort.py", "numerics/tolerance.py"),
    "verification/test_engine.py": (
        "verification/campaign.py",
        "verification/claims/claim.py",
        "verification/claims/contract.py",
        "verification/claims/of_functions.py",
        "verification/claims/of_rules.py",
        "verification/diagnosis/missing_sum.py",
        "verification/findings.py",
        "verification/report.py",
        "verification/running/evaluators.py",
        "verification/running/looks.py",
    ),
    "verification/test_kernels.py": ("numerics/whole_operations.py",),
    "test_arguments.py": ("arguments/*.py",),
    "verification/points/test_members.py": (
        "verification/points/increasing.py",
        "verification/points/matrices.py",
        "verification/points/rows.py",
        "verification/points/structure.py",
        "verification/points/structures.py",
    ),
    "verification/points/test_draws.py": (
        "verification/points/directions.py",
        "verification/points/domain.py",
        "verification/points/from_arguments.py",
        "verification/points/hypothesis_draws.py",
        "verification/points/sizes.py",
        "verification/points/values.py",
    ),
    "verification/claims/test_static_arguments_and_declared.py": ("verification/claims/declared.py",),
    "verification/claims/test_numpy_code.py": (
        "verification/claims/by_point.py",
        "verification/claims/deciding.py",
        "verification/claims/host.py",
        "verification/claims/masked_array.py",
        "verification/claims/numpy_array.py",
        "verification/claims/numpy_in_jax.py",
        "verification/claims/one_operation.py",
        "verification/claims/primal.py",
        "verification/claims/same_values.py",
        "verification/claims/samples.py",
    ),
    "verification/claims/test_replays.py": (
        "verification/claims/calls.py",
        "verification/claims/names.py",
        "verification/claims/pasting.py",
    ),
    "verification/running/test_differences.py": (
        "numerics/extrapolation.py",
        "verification/running/evaluator.py",
        "verification/running/point.py",
    ),
    "verification/aiming/test_aimed.py": (
        "numerics/cost.py",
        "verification/aiming/constants.py",
        "verification/aiming/lengths.py",
    ),
    "verification/judging/test_accuracy.py": (
        "verification/precisions.py",
        "verification/diagnosis/smallest_row.py",
        "verification/running/low_precision.py",
    ),
    "verification/judging/test_kinks.py": (
        "verification/judging/judge.py",
        "verification/running/one_sided.py",
    ),
    "verification/diagnosis/test_causes.py": (
        "verification/diagnosis/diagnosis.py",
        "verification/diagnosis/compared.py",
        "verification/diagnosis/factors.py",
        "verification/diagnosis/masks.py",
        "verification/diagnosis/pattern.py",
        "verification/diagnosis/prediction.py",
        "verification/diagnosis/witnesses.py",
        "verification/diagnosis/whole.py",
    ),
    "verification/test_intermediates.py": (
        "verification/claims/of_taps.py",
        "verification/claims/taps.py",
        "verification/intermediates_report.py",
    ),
    "verification/diagnosis/test_layers.py": (
        "verification/diagnosis/balances.py",
        "verification/diagnosis/layer_slips.py",
    ),
}


def has_a_test_of_its_name(module, tests):
    """Return whether a test file, or a folder of tests, stands where `module` does and bears its name."""
    folder, name = pathlib.Path(module).parent, pathlib.Path(module).stem.strip("_")
    for test in map(pathlib.Path, tests):
        words = test.stem.removeprefix("test_")
        first, _, rest = words.partition("_")
        named = {f"{words}_", f"{rest}_"} if folder.name.startswith(first) else {f"{words}_"}
        if test.parent == folder and any(one.startswith(f"{name}_") for one in named):
            return True
        if folder / name in test.parents:
            return True
    return False


def without_a_test(modules, tests, tested_in):
    """Return the modules that have no test of their name and are not said to be tested elsewhere."""
    said = [pattern for patterns in tested_in.values() for pattern in patterns]
    missing = [module for module in modules if not has_a_test_of_its_name(module, tests)]
    return sorted(module for module in missing if not any(fnmatch(module, pattern) for pattern in said))


def unneeded(modules, tests, tested_in):
    """Return the entries of `tested_in` whose test is gone, or whose modules are gone or have a test."""
    found = [test for test in tested_in if test not in tests]
    for pattern in (pattern for patterns in tested_in.values() for pattern in patterns):
        named = [module for module in modules if fnmatch(module, pattern)]
        if not named or any(has_a_test_of_its_name(module, tests) for module in named):
            found.append(pattern)
    return sorted(found)


def test_every_module_has_a_test_of_its_name_or_it_is_said_where_it_is_tested():
    assert without_a_test(MODULES, TESTS, TESTED_IN) == []


def test_everything_said_about_tests_elsewhere_is_needed():
    assert unneeded(MODULES, TESTS, TESTED_IN) == []


def test_a_module_without_a_test_is_reported():
    assert "rules/_planted.py" in without_a_test({*MODULES, "rules/_planted.py"}, TESTS, TESTED_IN)
    assert "rules/_tanh.py" in without_a_test(MODULES, TESTS - {"rules/test_tanh.py"}, TESTED_IN)


@pytest.mark.parametrize(
    ("test", "module"),
    [
        ("rules/test_tanh.py", "rules/_tanh.py"),  # has a test of its own
        ("rules/test_tanh.py", "rules/_gone.py"),  # no such module
        ("rules/test_gone.py", "rules/_gone.py"),  # no such test
    ],
)
def test_an_entry_that_is_not_needed_is_reported(test, module):
    assert module in unneeded(MODULES, TESTS, {**TESTED_IN, test: (module,)})


def test_a_name_with_words_around_it_and_a_folder_count_and_a_part_of_a_word_does_not():
    tests = {"cli/test_cli_verify.py", "verification/points/test_drawing.py", "training/test_steps.py"}
    assert has_a_test_of_its_name("cli/verify.py", tests)
    assert has_a_test_of_its_name("verification/points.py", tests)
    assert not has_a_test_of_its_name("training/step.py", tests)
    assert not has_a_test_of_its_name("rules/_tanh.py", {"rules/test_hard_tanh.py", "test_tanh.py"})
