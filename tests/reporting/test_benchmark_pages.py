"""A benchmark in the terminal and as a figure."""

import dataclasses

import pytest

from backproof.benchmark import Size
from backproof.reporting import benchmark as pages
from backproof.reporting.plot import plot
from figures import BENCHMARK, LARGE, SMALL


def test_a_line_stands_under_its_heading():
    first, second = map(pages.line, BENCHMARK.comparisons)
    assert len(first) == len(second) == len(pages.HEADING)
    assert first.split() == [
        "64",
        "2",
        "1",
        "float32",
        "1",
        "ms",
        "0.90",
        "[0.81",
        "0.99]",
        "0.70",
        "0.50",
        "0.90",
        "0.50",
        "0.25",
    ]
    assert second.split()[8:11] == ["1.38]", "0.70", "–"]


def test_a_size_left_out_is_a_line_with_the_reason():
    assert pages.line(BENCHMARK.left_out[0]) == (
        "left out: width 4096, depth 1000, batch 1, float32: a step would take about 9 s, over 0.5 s"
    )


def test_the_summary_names_the_sizes_at_both_ends():
    said = pages.summary(BENCHMARK.comparisons).splitlines()
    assert said[0] == f"time: median 1.07 over 2 sizes, from 0.90 ({SMALL}) to 1.25 ({LARGE})"
    assert said[2] == f"temporary memory: median 0.50 over 1 sizes, from 0.50 ({SMALL}) to 0.50 ({SMALL})"


def test_the_table_of_a_stack_shows_memory_and_time():
    assert pages.table(BENCHMARK.tables[0]).splitlines()[-1].split() == [
        "autodiff", "5.00", "MB", "100", "ms", "1.00", "[0.90", "1.10]",
    ]  # fmt: skip


def test_a_peer_that_is_absent_is_a_line_too():
    *_, torch, equinox = pages.peers(BENCHMARK.peers, "1").splitlines()
    assert torch.split()[:4] == ["PyTorch", "2.9.0", "400", "5.00×"]
    assert equinox.split() == ["equinox", "not", "installed"]


@pytest.mark.parametrize(("seconds", "said"), [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (4.5e-5, "45 µs")])
def test_a_duration_has_a_unit_that_fits(seconds, said):
    assert pages.duration(seconds) == said


def depths(benchmark, count):
    """Return `benchmark` with so many depths: more than there are colours."""
    one = benchmark.comparisons[0]
    many = [dataclasses.replace(one, size=Size(8, depth, 1, "float32")) for depth in range(1, count)]
    return dataclasses.replace(benchmark, comparisons=tuple(many))


@pytest.mark.parametrize(
    "found",
    [
        BENCHMARK,
        dataclasses.replace(BENCHMARK, comparisons=()),
        dataclasses.replace(BENCHMARK, comparisons=(), peers=()),
        depths(BENCHMARK, 12),
    ],
    ids=["all", "only peers", "nothing", "many depths"],
)
def test_whatever_was_measured_is_drawn(found, tmp_path):
    plot(found, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
