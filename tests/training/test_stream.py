"""Streams: the trajectory of the samples in memory, resumed bit for bit, bounded, every record checked."""

import threading
import weakref

import jax
import numpy as np
import optax
import pytest
from samples import (
    MEAN_CROSS_ENTROPY,
    M,
    draw,
    draw_params,
    linear_loss,
    recorder,
    reference_steps,
    same_bits,
)

import backproof as bp
from agreement import assert_value
from backproof.errors import CheckpointError, DataError, UsageError
from backproof.training import (
    Arrays,
    Checkpoints,
    Data,
    Standardiser,
    Stream,
    fit,
    patience,
    shards_in,
    standardise,
)
from backproof.training.segment import order_of
from backproof.training.stream import Reader

NETWORK = bp.mlp((3, 4, 2), bp.rules.relu)
ADAM = optax.adam(0.01)  # one, so that it is compiled for once
TRAIN, TEST = draw(0), draw(1, count=4)


class Records:
    """A source of the user's own, without `rows`; what it gives can be changed under way."""

    def __init__(self, x, y):
        self.x, self.y = list(x), list(y)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


def fit_stream(source=None, folder=None, every_steps=None, steps=2, test=TEST, **settings):
    """Train on a stream of seven samples: batches of 3, 3 and 1, two steps at once."""
    checkpoints = None if folder is None else Checkpoints(folder, every_steps=every_steps, every_seconds=0)
    how = {
        "epochs": 4,
        "batch_size": 3,
        "optimizer": ADAM,
        "checkpoints": checkpoints,
        **settings,
    }
    return fit(NETWORK, MEAN_CROSS_ENTROPY, Stream(source or Arrays(*TRAIN), *test, steps=steps), **how)


def visited(data, epochs=2, batch_size=1, seed=0):
    """Return the numbers 1 … M in the order in which the samples that bear them were visited."""
    rule, taken = bp.rules.affine(1), epochs * M
    outcome = fit(rule, linear_loss, data, recorder(taken), epochs=epochs, batch_size=batch_size, seed=seed)
    return np.asarray(outcome.memory[0])[:, 0]


NUMBERED = np.zeros((M, 3), np.float32), np.arange(1, M + 1, dtype=np.float32)[:, None]


@pytest.mark.parametrize(("source", "steps"), [(Arrays, 1), (Arrays, 100), (Records, 3)])
def test_the_order_is_that_of_the_same_samples_in_memory(source, steps):
    streamed = visited(Stream(source(*NUMBERED), steps=steps))
    assert streamed.tolist() == visited(Data(*NUMBERED)).tolist()


def test_records_that_overflow_in_the_dtype_they_are_trained_in_are_refused():
    x = TRAIN[0].astype(np.float64)
    x[5, 1] = 1e300
    with pytest.raises(DataError, match=r"must fit into float32, .*=1e\+300 \(1 of"):
        fit_stream(Arrays(x, TRAIN[1]), test=())


def test_an_attribute_named_rows_that_is_no_function_is_none_to_read_by():
    source = Records(*TRAIN)
    source.rows = 7
    assert same_bits(fit_stream(source).params, fit_stream().params)


def test_every_epoch_visits_each_sample_once_in_an_order_of_its_own():
    orders = visited(Stream(Arrays(*NUMBERED), steps=3)).reshape(2, M)
    assert np.sort(orders).tolist() == [list(range(1, M + 1))] * 2
    assert orders[0].tolist() != orders[1].tolist()
    assert orders[0].tolist() != visited(Stream(Arrays(*NUMBERED)), epochs=1, seed=1).tolist()


@pytest.mark.parametrize(("source", "steps"), [(Arrays, 2), (Records, 1)])
def test_it_takes_the_steps_one_would_take_by_hand(source, steps):
    """Two epochs by autodiff and optax alone, on the batches in the order of the seed."""
    x, labels = TRAIN[0].astype(np.float64), TRAIN[1]
    params = draw_params((3, 4, 2))
    key = jax.random.split(jax.random.key(0))[1]
    orders = [np.asarray(order_of(key, np.int32(epoch), M)) for epoch in (1, 2)]
    batches = [(x[part], labels[part]) for order in orders for part in np.split(order, (3, 6))]
    with jax.enable_x64(True):
        data = Stream(source(x, labels), steps=steps)
        how = {"epochs": 2, "batch_size": 3, "params": params}
        result = fit(NETWORK, MEAN_CROSS_ENTROPY, data, optax.sgd(0.1), **how).params
        result = jax.tree.map(np.asarray, result)
    by_hand = reference_steps(NETWORK, MEAN_CROSS_ENTROPY, optax.sgd(0.1))
    assert_value(by_hand, (params, *batches), result)


def test_loss_and_metric_are_those_of_the_same_samples_in_memory():
    how = {"epochs": 2, "batch_size": 3, "optimizer": optax.sgd(0.0)}
    in_memory = fit(NETWORK, MEAN_CROSS_ENTROPY, Data(*TRAIN, *TEST), **how).history
    streamed = fit_stream(**how).history
    assert [epoch.metric for epoch in streamed] == [epoch.metric for epoch in in_memory]
    for one, other in zip(streamed, in_memory, strict=True):
        assert np.float32(one.loss).view(np.int32) - np.float32(other.loss).view(np.int32) in range(-4, 5)


def test_a_test_part_is_not_needed():
    assert [epoch.metric for epoch in fit_stream(test=(), epochs=2).history] == [None, None]


class CutError(Exception):
    """Interrupts training, as a kill would."""


def same(one, other):
    return same_bits((one.params, one.memory), (other.params, other.memory)) and one.history == other.history


@pytest.fixture(scope="module")
def whole():
    """Return the outcome of a run that nobody interrupted."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        return fit_stream()


class Cut(Records):
    """A source that fails at a chosen request, and with it the run."""

    def __init__(self, requests):
        super().__init__(*TRAIN)
        self.left, self.lock = requests, threading.Lock()

    def __getitem__(self, index):
        with self.lock:
            self.left -= 1
            if self.left < 0:
                raise CutError
        return super().__getitem__(index)


@pytest.mark.parametrize("requests", [5, 32])  # before training begins, and under way
def test_a_run_that_was_cut_anywhere_is_resumed_bit_for_bit(requests, whole, tmp_path):
    with pytest.raises(DataError, match="CutError"):
        fit_stream(Cut(requests), folder=tmp_path)
    assert same(fit_stream(Records(*TRAIN), folder=tmp_path), whole)


def test_training_resumes_within_an_epoch(whole, tmp_path):
    def cut(epoch):
        if epoch.number == 2:
            raise CutError

    with pytest.raises(CutError):
        fit_stream(folder=tmp_path, on_epoch=cut)
    assert max(int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()) % 3 == 2
    seen = []
    assert same(fit_stream(folder=tmp_path, on_epoch=seen.append), whole)
    assert [epoch.number for epoch in seen] == [2, 3, 4]


def test_a_finished_run_is_handed_back_and_can_be_prolonged(whole, tmp_path):
    first = fit_stream(folder=tmp_path, epochs=2)
    assert same(fit_stream(folder=tmp_path, epochs=2), first)
    assert same(fit_stream(folder=tmp_path), whole)


def test_an_epoch_is_cut_where_the_checkpoints_ask(tmp_path):
    fit_stream(folder=tmp_path, every_steps=1, steps=2, epochs=1)
    kept = {int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()}
    assert kept == {1, 2, 3}


def test_checkpoints_of_another_stream_are_refused(tmp_path):
    fit_stream(folder=tmp_path, epochs=1)
    other = TRAIN[0].copy()
    other[3] += 1
    with pytest.raises(CheckpointError, match="found data='a stream of 7 records"):
        fit_stream(Arrays(other, TRAIN[1]), folder=tmp_path)
    with pytest.raises(CheckpointError, match="every_steps=2 there and 3 here"):
        fit_stream(folder=tmp_path, steps=3)


def test_training_can_stop_early_and_leaves_no_thread(tmp_path):
    outcome = fit_stream(stop=patience(2), optimizer=optax.sgd(0.0), epochs=50)
    assert outcome.stopped
    assert len(outcome.history) == 3
    for thread in threading.enumerate():
        if thread.name.startswith("grain-prefetch"):
            thread.join(timeout=5)
            assert not thread.is_alive()


class Counted(Arrays):
    """A source that counts how many of its batches are in memory, and how many were ever asked for."""

    alive = most = asked = 0
    lock = threading.Lock()

    def rows(self, indices):
        x, y = super().rows(indices)
        with Counted.lock:
            Counted.asked += 1
            Counted.alive += 1
            Counted.most = max(Counted.most, Counted.alive)
        weakref.finalize(x, self.gone)
        return x, y

    @staticmethod
    def gone():
        with Counted.lock:
            Counted.alive -= 1


def test_never_more_batches_are_in_memory_than_two_segments_hold():
    """Sixty segments an epoch: those being read ahead, and those being put together."""
    x, labels = draw(3, count=600)
    ahead = []

    def seen(epoch):
        ahead.append(Counted.asked - 1 - epoch.number * 120)  # the first record is looked at before

    fit(
        NETWORK, MEAN_CROSS_ENTROPY, Stream(Counted(x, labels), steps=2, threads=2),
        epochs=3, batch_size=5, on_epoch=seen,
    )  # fmt: skip
    assert Counted.asked == 1 + 3 * 120
    assert Counted.most <= 2 * 2 + 2
    assert max(ahead) <= 3 * 2  # the segment that is running, the one to come, and the one after it


def changed(records, at, **parts):
    """Return a source in which one record is different."""
    for name, value in parts.items():
        getattr(records, name)[at] = value
    return records


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"x": np.float32([1, np.nan, 0])}, r"record 5: every value must be finite, but found x\[0, 1\]=nan"),
        ({"y": np.int32(2)}, "record 5: labels must lie between 0 and 1, but found y=2"),
        ({"y": np.int32(-1)}, "record 5: labels must lie between 0 and 1, but found y=-1"),
        ({"x": np.zeros(4, np.float32)}, r"record 5: every record must be like .* found x: float32\[4\]"),
        ({"x": np.zeros(3)}, r"record 5: every record must be like the first, x: float32\[3\].*float64"),
    ],
)
def test_a_record_that_cannot_be_used_is_named(parts, text):
    with pytest.raises(DataError, match=text):
        fit_stream(changed(Records(*TRAIN), 5, **parts))


@pytest.mark.parametrize("part", ["x", "y"])
def test_a_value_that_cannot_be_used_is_named_among_rows_read_at_once(part):
    x, y = TRAIN[0].copy(), TRAIN[1].copy()
    (x if part == "x" else y)[5] = np.inf if part == "x" else 7
    with pytest.raises(DataError, match=r"record 5: .* found (x.*=inf|y=7)"):
        fit_stream(Arrays(x, y))


def test_a_record_that_changes_under_way_is_noticed_when_it_is_read_again():
    records, seen = Records(*TRAIN), []

    def meddle(epoch):
        seen.append(epoch.number)
        if epoch.number == 2:
            records.x[5] = np.full(3, np.nan, np.float32)

    with pytest.raises(DataError, match="record 5: every value must be finite"):
        fit_stream(records, on_epoch=meddle, epochs=9)
    assert seen[:2] == [1, 2]
    assert len(seen) < 9


def test_a_source_whose_length_changes_is_noticed():
    records = Records(*TRAIN)

    def meddle(epoch):
        records.x.append(records.x[0])

    with pytest.raises(DataError, match="must keep its length while it is read, but found 8 records"):
        fit_stream(records, on_epoch=meddle, epochs=9)


def test_whatever_a_source_raises_is_told_with_the_record():
    class Failing(Records):
        def __getitem__(self, index):
            if index == 4:
                raise OSError("disk on fire")
            return super().__getitem__(index)

    with pytest.raises(DataError, match=r"record 4: .* found OSError: disk on fire; repair the data"):
        fit_stream(Failing(*TRAIN))


def test_rows_that_are_not_those_asked_for_are_refused():
    class Short(Arrays):
        def rows(self, indices):
            return super().rows(indices[:-1] if len(indices) > 1 else indices)

    with pytest.raises(DataError, match=r"rows\(indices\) must give 3 records like the first"):
        fit_stream(Short(*TRAIN))


def test_records_may_be_trees():
    records = Records([{"q": np.ones(2), "k": np.full(3, i)} for i in range(4)], np.arange(4.0))
    x, y = Reader(Stream(records)).batch(np.array([2, 0]))
    assert x["k"].tolist() == [[2, 2, 2], [0, 0, 0]]
    assert (x["q"].shape, y.tolist()) == ((2, 2), [2, 0])


def test_a_stream_is_standardised_by_one_pass_and_its_test_part_too():
    x, labels = draw(3, count=40)
    stream = Stream(Records(20 * x + 3, labels), 20 * x[:4] + 3, labels[:4]).standardised()
    in_memory = standardise(Data(20 * x + 3, labels, 20 * x[:4] + 3, labels[:4]))
    assert_value(lambda x: x.std(0), (20 * x + 3,), stream.standardiser.scale.astype(np.float32))
    read, _ = Reader(stream).batch(np.arange(40))
    assert read.dtype == in_memory.x_train.dtype
    assert np.abs(read - in_memory.x_train).max() < 16 * np.finfo(np.float32).eps
    assert same_bits(stream.sample().x_test, stream.standardiser.apply(20 * x[:4] + 3))
    fit(NETWORK, MEAN_CROSS_ENTROPY, stream, epochs=1)


def test_a_record_that_cannot_be_used_is_named_when_the_standardiser_is_fitted():
    records = changed(Records(*TRAIN), 5, x=np.float32([1, np.inf, 0]))
    with pytest.raises(DataError, match="record 5: every value must be finite"):
        Standardiser.fitted_on(Stream(records))


def fingerprint(x=TRAIN[0], y=TRAIN[1], test=TEST, **settings):
    return Stream(Arrays(x, y), *test, **settings).fingerprint()


def test_the_fingerprint_tells_streams_apart():
    prints = [
        fingerprint(),
        fingerprint(x=TRAIN[0] + np.eye(M, 3, dtype=np.float32)),
        fingerprint(TRAIN[0][:6], TRAIN[1][:6]),
        fingerprint(y=1 - TRAIN[1]),
        fingerprint(test=()),
        fingerprint(standardiser=Standardiser.fitted(TRAIN[0])),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(TRAIN[0].copy(), steps=9) == prints[0]


def test_the_fingerprint_holds_what_the_source_says_of_itself(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / f"{name}.npz", x=TRAIN[0], y=TRAIN[1])
    one, other = (Stream(shards_in(tmp_path / name)).fingerprint() for name in ("one", "other"))
    assert one != other


def test_the_fingerprint_looks_at_64_records_and_the_ends():
    """What it does not see is said where it is documented."""
    x, y = np.zeros((1000, 3), np.float32), np.zeros(1000, np.int32)
    before = fingerprint(x, y)
    seen = []
    for record in (0, 1, 500, 998, 999):
        other = x.copy()
        other[record] = 1
        seen.append(fingerprint(other, y) != before)
    assert (seen[0], seen[-1]) == (True, True)
    assert not all(seen)


def test_a_folder_of_shards_trains_as_the_same_samples_do(tmp_path, whole):
    for number, part in enumerate(np.split(np.arange(M), (2, 5))):
        np.savez(tmp_path / f"{number}.npz", x=TRAIN[0][part], y=TRAIN[1][part])
    assert same(fit_stream(shards_in(tmp_path)), whole)


@pytest.mark.parametrize("source", [TRAIN, TRAIN[0], "folder", 3, list(zip(*TRAIN, strict=True))])
def test_what_is_no_source_is_refused_with_the_cure(source):
    with pytest.raises(UsageError, match=r"Stream: source must have len\(source\) .*; pass training.Arrays"):
        Stream(source)


def test_settings_out_of_range_are_refused():
    for name in ("steps", "threads"):
        with pytest.raises(UsageError, match=f"{name} must be a whole number of at least 1"):
            Stream(Arrays(*TRAIN), **{name: 0})
    with pytest.raises(DataError, match="Stream: there must be a record, but found none"):
        Stream(Records([], []))
