"""Figures of a benchmark as it might have come out, without measuring anything."""

from backproof.benchmark import (
    Benchmark,
    Comparison,
    Environment,
    Grid,
    LeftOut,
    Peer,
    Row,
    Settings,
    Size,
    Speed,
    Spread,
    Table,
)
from backproof.benchmark.program import Program


def near(median):
    return Spread(median, median * 0.9, median * 1.1, 5)


def comparison(size, time=0.9, memory=0.5):
    programs = Program((0.2, 0.3), 1e6, 1000), Program((0.3, 0.4), 1.1e6, 2000)
    seconds = near(1e-3), near(2e-3), near(5e-4)
    return Comparison(size, *programs, *seconds, near(time), near(0.7), memory, 0.9, near(0.5), near(0.25))


SMALL, LARGE = Size(64, 2, 1, "float32"), Size(512, 64, 32, "bfloat16")
BENCHMARK = Benchmark(
    environment=Environment("cpu", "cpu", 2, "0.12.0", "0.1.0", "3.12.1", "1"),
    settings=Settings(Grid((64, 512), (2, 64), (1, 32), ("float32", "bfloat16")), 0.1, 0.5, True),
    speeds={"float32": Speed(1e10, 1e9)},
    comparisons=(comparison(SMALL), comparison(LARGE, time=1.25, memory=None)),
    left_out=(LeftOut(Size(4096, 1000, 1, "float32"), "a step would take about 9 s, over 0.5 s"),),
    tables=(Table("a gradient", (Row("autodiff", Program((0.1,), None, 5_000_000), near(1.0)),)),),
    peers=(
        Peer("backproof", "0.1.0", 0.975, near(2000), near(3), near(1), near(1)),
        Peer("PyTorch", "2.9.0", 0.97, near(400), near(6), near(5), near(2)),
        Peer("equinox", "not installed"),
    ),
)
