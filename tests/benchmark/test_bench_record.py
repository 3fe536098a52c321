"""The record as JSON."""

import dataclasses
import json

import jax

import backproof
from backproof.benchmark import Benchmark, environment
from figures import BENCHMARK


def as_lists(value):
    """Return `value` with tuples as the lists that JSON makes of them."""
    if isinstance(value, dict):
        return {name: as_lists(one) for name, one in value.items()}
    return [as_lists(one) for one in value] if isinstance(value, list | tuple) else value


def test_json_says_everything_that_was_measured():
    read = json.loads(BENCHMARK.to_json())
    assert read == as_lists(dataclasses.asdict(BENCHMARK))
    assert list(read) == [field.name for field in dataclasses.fields(Benchmark)]
    assert read["comparisons"][1]["size"] == {"width": 512, "depth": 64, "batch": 32, "dtype": "bfloat16"}
    assert read["comparisons"][1]["memory"] is None
    assert read["left_out"][0]["reason"] == "a step would take about 9 s, over 0.5 s"


def test_the_environment_is_that_of_this_process():
    here = environment()
    assert here.device == jax.devices()[0].device_kind
    assert (here.jax, here.backproof) == (jax.__version__, backproof.__version__)
    assert here.cores >= 1
