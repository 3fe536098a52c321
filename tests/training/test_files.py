"""Samples from files: both formats are read as they were written, and a damaged file gets one clear error."""

import gzip
import struct

import numpy as np
import pytest

from backproof.errors import DataError
from backproof.training import load, load_inputs

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def write_idx(path, array, squeeze=False):
    """Write `array` as the IDX format has it, gzipped if `squeeze`."""
    header = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    content = header + array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(content) if squeeze else content)
    return path


def images(dtype="u1"):
    return np.arange(24).reshape(4, 2, 3).astype(dtype)


LABELS = np.array([2, 0, 1, 1], "u1")


@pytest.fixture
def idx(tmp_path):
    return write_idx(tmp_path / "images.idx", images()), write_idx(tmp_path / "labels.idx", LABELS)


def test_an_npz_gives_one_row_for_each_sample(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=images("f4"), y=LABELS)
    x, y = load(path)
    assert x.tolist() == np.arange(24).reshape(4, 6).tolist()
    assert x.dtype == np.float32
    assert y.tolist() == LABELS.tolist()


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("squeeze", [False, True], ids=["plain", "gzipped"])
def test_idx_files_give_what_was_written(tmp_path, dtype, squeeze):
    pair = (
        write_idx(tmp_path / "images", images(dtype), squeeze),
        write_idx(tmp_path / "labels", LABELS, squeeze),
    )
    x, y = load(pair)
    assert x.tolist() == np.arange(24).reshape(4, 6).tolist()
    assert x.dtype == np.dtype(dtype)
    assert x.dtype.isnative
    assert y.tolist() == LABELS.tolist()


def refused(source, *texts):
    """Assert that loading raises one `DataError` that says every text."""
    with pytest.raises(DataError) as caught:
        load(source)
    said = str(caught.value)
    for text in texts:
        assert text in said
    assert "\n" not in said


def test_a_missing_file_is_refused(tmp_path, idx):
    refused(tmp_path / "none.npz", "none.npz", "must exist", "no such file", "check the path")
    refused((idx[0], tmp_path / "none"), "none: the data file must exist")
    refused(tmp_path, "found a folder")


@pytest.mark.parametrize("keep", [0, 10, 200, 300])
def test_a_truncated_npz_is_refused(tmp_path, keep):
    path = tmp_path / "data.npz"
    np.savez(path, x=images(), y=LABELS)
    path.write_bytes(path.read_bytes()[:keep])
    refused(path, "must be a complete .npz archive", "an incomplete one")


def test_a_damaged_npz_is_refused(tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(4, 9)), y=LABELS)
    content = bytearray(path.read_bytes())
    content[150:250] = bytes(100)
    path.write_bytes(content)
    refused(path, "must hold complete arrays of numbers")


def test_another_kind_of_file_is_refused(tmp_path, idx):
    np.save(tmp_path / "data.npy", images())
    refused(tmp_path / "data.npy", "must be a complete .npz archive")
    refused(idx[0], "must be a complete .npz archive", "a pair of IDX files")
    refused((tmp_path / "data.npy", idx[1]), "data.npy: an IDX file begins with 00 00", "'93 4e 55 4d'")


def test_pickled_objects_are_refused_and_never_unpickled(tmp_path):
    path, trace = tmp_path / "data.npz", tmp_path / "unpickled"

    class Trap:
        def __reduce__(self):
            return trace.touch, ()

    np.savez(path, x=np.array([Trap()], dtype=object), y=np.zeros(1, int))
    refused(path, "complete arrays of numbers", "Object arrays cannot be loaded")
    assert not trace.exists()


def test_an_npz_without_x_and_y_is_refused(tmp_path):
    np.savez(tmp_path / "data.npz", images=images(), y=LABELS)
    refused(tmp_path / "data.npz", "arrays named x and y", "['images', 'y']")


def test_truncated_idx_files_are_refused(tmp_path, idx):
    content = idx[0].read_bytes()
    for keep, text in [
        (3, "begins with 00 00"),
        (10, "the header must have 16 bytes, but found 10 bytes"),
        (39, "of shape (4, 2, 3) has 40 bytes, but found 39 bytes"),
    ]:
        idx[0].write_bytes(content[:keep])
        refused(idx, "images.idx", text)
    idx[0].write_bytes(content + b"\0")
    refused(idx, "has 40 bytes, but found 41 bytes")


def test_a_truncated_gzip_is_refused(tmp_path, idx):
    packed = write_idx(tmp_path / "images.gz", images(), squeeze=True)
    packed.write_bytes(packed.read_bytes()[:-9])
    refused((packed, idx[1]), "images.gz: the file must be readable", "EOFError")


def test_images_and_labels_the_wrong_way_round_are_refused(idx):
    refused(idx[::-1], "x.shape=(4,), y.shape=(4, 2, 3)", "images first")


def test_differing_lengths_are_refused(tmp_path, idx):
    refused((idx[0], write_idx(tmp_path / "three", LABELS[:3])), "found x: 4, y: 3")


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.array([0.0, 1, 2, 3]), "y.dtype=float64"),
        (np.array([0, 1, -1, 3]), "y[2]=-1 among 4 samples"),
        (np.array([0, 4, 1, 3]), "y[1]=4 among 4 samples"),
    ],
)
def test_labels_that_number_no_classes_are_refused(tmp_path, labels, text):
    np.savez(tmp_path / "data.npz", x=images(), y=labels)
    refused(
        tmp_path / "data.npz",
        "labels must be texts, or whole numbers 0, 1",
        text,
        "number the classes from 0",
    )


def test_inputs_that_are_no_finite_real_numbers_are_refused(tmp_path):
    x = images("f4")
    for bad, text in [
        (x.astype(complex), "x.dtype=complex128"),
        (x.astype(str), "x.dtype=<U"),
        (x * np.nan, "=nan"),
    ]:
        np.savez(tmp_path / "data.npz", x=bad, y=LABELS)
        refused(tmp_path / "data.npz", text)


def test_empty_data_are_refused(tmp_path):
    np.savez(tmp_path / "data.npz", x=images()[:0], y=LABELS[:0])
    refused(tmp_path / "data.npz", "at least one sample")


def test_inputs_are_read_without_labels(tmp_path, idx):
    np.savez(tmp_path / "inputs.npz", x=images("f4"))
    np.savez(tmp_path / "both.npz", x=images("f4"), y=LABELS + 200)
    rows = np.arange(24).reshape(4, 6).tolist()
    for source, labels in [
        (tmp_path / "inputs.npz", None),
        (tmp_path / "both.npz", (LABELS + 200).tolist()),  # a file need not hold every class
        (idx[0], None),
        (write_idx(tmp_path / "images.gz", images(), squeeze=True), None),
        (idx, LABELS.tolist()),
    ]:
        x, y = load_inputs(source)
        assert x.tolist() == rows
        assert (None if y is None else y.tolist()) == labels


def test_inputs_that_cannot_be_used_are_refused(tmp_path, idx):
    np.savez(tmp_path / "text.npz", x=images().astype(str))
    np.savez(tmp_path / "none.npz", y=LABELS)
    for source, text in [
        (tmp_path / "text.npz", "x.dtype=<U"),
        (tmp_path / "none.npz", "an array named x"),
        (tmp_path / "nothing", "no such file"),
        (tmp_path, "a folder"),
    ]:
        with pytest.raises(DataError, match=text):
            load_inputs(source)
