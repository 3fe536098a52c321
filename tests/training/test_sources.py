"""Sources on disk: the rows that were written, in any order, and no crash when a file changes."""

import numpy as np
import pytest

from backproof.errors import DataError
from backproof.training import Arrays, shards_in, sources

COUNTS = (4, 1, 0, 6)


def rows_of(count, first=0):
    """Return x and y whose entries tell the record and the place in it."""
    records = np.arange(first, first + count, dtype=np.float32)
    return records[:, None] * 10 + np.arange(3, dtype=np.float32), records.astype(np.int16)


WHOLE = rows_of(sum(COUNTS))


def write_npz(folder, number, x, y, write=np.savez):
    write(folder / f"shard_{number}.npz", x=x, y=y)


def write_npy(folder, number, x, y):
    np.save(folder / f"x_{number}.npy", x)
    np.save(folder / f"y_{number}.npy", y)


def write_columns_first(folder, number, x, y):
    write_npy(folder, number, np.asfortranarray(x), y)


@pytest.fixture(params=[write_npz, write_npy, write_columns_first])
def folder(request, tmp_path):
    first = 0
    for number, count in enumerate(COUNTS):
        request.param(tmp_path, number, *rows_of(count, first))
        first += count
    return tmp_path


def same(found, expected):
    return all(one.tolist() == other.tolist() for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("chosen", [[0], [10, 0, 4, 3, 5, 4], list(range(11))])
def test_rows_come_as_they_were_written_in_any_order(folder, chosen):
    source = shards_in(folder)
    assert len(source) == 11
    x, y = source.rows(np.array(chosen))
    assert same((x, y), [part[chosen] for part in WHOLE])
    assert (x.dtype, y.dtype) == (np.float32, np.int16)
    assert same(source[chosen[0]], [part[chosen[0]] for part in WHOLE])


def test_files_are_mapped_and_not_read(folder):
    x, y = shards_in(folder)._arrays(0)
    assert isinstance(x, np.memmap)
    assert isinstance(y, np.memmap)


def test_files_can_be_listed(tmp_path):
    write_npz(tmp_path, 7, *rows_of(2))
    write_npz(tmp_path, 3, *rows_of(3, 2))
    source = shards_in([tmp_path / "shard_7.npz", str(tmp_path / "shard_3.npz")])
    assert same(source.rows(np.arange(5)), rows_of(5))


def test_a_listed_file_that_is_no_shard_is_refused_and_not_left_out(tmp_path):
    write_npy(tmp_path, 0, *WHOLE)
    x, y, foreign = tmp_path / "x_0.npy", tmp_path / "y_0.npy", tmp_path / "labels.npy"
    assert len(shards_in([x, y])) == len(WHOLE[0])
    others = [tmp_path / name for name in ("z_0.npy", "x_1.NPY", "x_0.npy.bak", "y_1.npy")]
    for listed, refused in (([x, foreign], foreign), ([y], y), *(([x, one], one) for one in others)):
        with pytest.raises(DataError, match=refused.name):
            shards_in(listed)


def test_more_shards_than_are_kept_open_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "OPEN_SHARDS", 2)
    for number in range(7):
        write_npy(tmp_path, number, *rows_of(2, 2 * number))
    source = shards_in(tmp_path)
    for _ in range(2):
        assert same(source.rows(np.arange(14)), rows_of(14))
    assert source._arrays.cache_info().currsize == 2


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_a_file_that_changes_under_way_is_an_error_and_no_crash(tmp_path, suffix):
    """Reading past the end of a mapped file would end the process with SIGBUS."""
    (write_npz if suffix == "npz" else write_npy)(tmp_path, 0, *rows_of(5000))
    source = shards_in(tmp_path)
    source.rows(np.arange(3))
    path = next(path for path in tmp_path.iterdir() if path.name.startswith(("x", "shard")))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=rf"{path.name}: a shard must stay as it is while it is read"):
        source.rows(np.array([4999]))
    path.unlink()
    with pytest.raises(DataError, match="found No such file"):
        source.rows(np.array([4999]))


def test_the_fingerprint_is_of_names_and_sizes(folder):
    before = shards_in(folder).fingerprint()
    assert before == shards_in(folder).fingerprint()
    path = next(folder.iterdir())
    path.rename(path.with_name(path.name.replace("_", "_a")))
    if path.suffix == ".npz":
        assert shards_in(folder).fingerprint() != before


def refused(place, *texts):
    with pytest.raises(DataError) as caught:
        shards_in(place)
    said = str(caught.value)
    assert all(text in said for text in (*texts, "write them with numpy.savez")), said
    assert "\n" not in said


def test_what_is_no_shard_is_refused(tmp_path):
    refused(tmp_path / "nowhere", "nowhere", "found no folder")
    refused(tmp_path, "no .npz and no x….npy file")
    refused([tmp_path / "none.npz"], "none.npz", "no such file")
    (tmp_path / "damaged.npz").write_bytes(b"PK and nothing else")
    refused(tmp_path, "damaged.npz", "BadZipFile")
    (tmp_path / "damaged.npz").unlink()
    np.save(tmp_path / "x_1.npy", np.ones((3, 2)))
    refused(tmp_path, "y_1.npy", "no such file")


def test_a_compressed_archive_is_refused_with_the_cure(tmp_path):
    write_npz(tmp_path, 0, *rows_of(3), write=np.savez_compressed)
    refused(tmp_path, "shard_0.npz", "it is compressed; write it with numpy.savez")


def test_pickled_objects_are_refused_and_never_unpickled(tmp_path):
    trace = tmp_path / "unpickled"

    class Trap:
        def __reduce__(self):
            return trace.touch, ()

    write_npy(tmp_path, 0, np.array([Trap()], dtype=object), np.zeros(1, int))
    refused(tmp_path, "pickled objects")
    assert not trace.exists()


def test_shards_that_do_not_fit_together_are_refused(tmp_path):
    write_npz(tmp_path, 0, *rows_of(3))
    write_npz(tmp_path, 1, np.ones((3, 4), np.float32), rows_of(3)[1])
    refused(tmp_path, "shard_1.npz", "(4,)", "shard_0.npz has", "(3,)")
    write_npz(tmp_path, 1, *(part.astype(np.float64) for part in rows_of(3)))
    refused(tmp_path, "float64")
    write_npz(tmp_path, 1, rows_of(3)[0], rows_of(2)[1])
    refused(tmp_path, "x.shape=(3, 3), y.shape=(2,)")


def test_shards_without_any_sample_are_refused(tmp_path):
    write_npz(tmp_path, 0, *rows_of(0))
    refused(tmp_path, "no sample in them")


def test_an_archive_without_x_and_y_is_refused(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.ones((2, 3)))
    refused(tmp_path, "other.npz", "y.npy")


def test_mapped_arrays_are_a_source(tmp_path):
    write_npy(tmp_path, 0, *WHOLE)
    source = Arrays(np.load(tmp_path / "x_0.npy", mmap_mode="r"), WHOLE[1])
    assert len(source) == 11
    assert same(source.rows(np.array([3, 1])), [part[[3, 1]] for part in WHOLE])
    assert same(source[2], [part[2] for part in WHOLE])


def test_arrays_of_differing_lengths_are_refused():
    with pytest.raises(DataError, match=r"x.shape=\(11, 3\), y.shape=\(4,\)"):
        Arrays(WHOLE[0], WHOLE[1][:4])


def test_what_is_no_array_is_refused():
    with pytest.raises(DataError, match="found y a list"):
        Arrays(WHOLE[0], [0])
