"""Interleaving, rounds and ratios, by a clock that only the runs move."""

from backproof.benchmark.timing import Spread, interleaved, ratio, spread


class Clock:
    """Tells a time that passes only while something runs."""

    def __init__(self):
        self.now, self.called = 0.0, []

    def __call__(self):
        return self.now

    def run(self, name, seconds):
        def run():
            self.called.append(name)
            self.now += seconds * (1 + 0.1 * len(self.called))  # a machine that grows slower and slower

        return run


def test_a_round_calls_everything_forwards_and_backwards():
    clock = Clock()
    interleaved([clock.run("A", 1), clock.run("B", 1), clock.run("C", 1)], 0, least=2, clock=clock)
    assert "".join(clock.called[6:]) == "ABCCBAABCCBA"


def test_a_drift_of_the_machine_cancels_and_the_slower_side_is_told():
    clock = Clock()
    twice, once = interleaved([clock.run("A", 2), clock.run("B", 1)], 0, least=3, clock=clock)
    assert 1.999 < ratio(twice, once).low <= ratio(twice, once).high < 2.001
    assert 0.499 < ratio(once, twice).low <= ratio(once, twice).high < 0.501


def test_rounds_are_added_until_the_time_is_spent():
    clock = Clock()
    (taken,) = interleaved([clock.run("A", 1)], 100, least=2, most=50, clock=clock)
    assert 2 < len(taken) < 50
    assert sum(2 * one for one in taken[:-1]) < 100


def test_there_are_at_least_and_at_most_so_many_rounds():
    clock = Clock()
    assert len(interleaved([clock.run("A", 1)], 0, least=4, clock=clock)[0]) == 4
    assert len(interleaved([clock.run("A", 1)], 1e9, least=1, most=6, clock=clock)[0]) == 6


def test_short_calls_are_repeated_until_the_clock_can_tell_them():
    clock = Clock()

    def run():
        clock.called.append("A")
        clock.now += 1.001e-5

    (taken,) = interleaved([run], 0, least=1, clock=clock)
    assert 0.99e-5 < taken[0] < 1.01e-5
    assert len(clock.called) == 2 + 2 * 100


def test_a_spread_is_median_and_quartiles():
    assert spread([4, 1, 2, 3, 5]) == Spread(3.0, 2.0, 4.0, 5)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0, 1)
