"""A model in a file: the same network with the same bits, or one clear error."""

import json
import os
import stat
from contextlib import suppress

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from samples import same_bits

import backproof as bp
from backproof.errors import DataError, UsageError
from backproof.training import Model, Standardiser, load_model, model, probabilities, save_model

SIZES = (3, 4, 2)


def draw_model(dtype=jnp.float32, **changed):
    network = bp.mlp(SIZES, bp.rules.tanh)
    params, _ = network.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 3), jnp.float32))
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    standardiser = Standardiser(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5, 2.0]))
    settings = {"sizes": SIZES, "activation": "tanh", "params": params, "standardiser": standardiser}
    return Model(**{**settings, **changed})


X = np.arange(15.0).reshape(5, 3)


@pytest.fixture
def path(tmp_path):
    save_model(tmp_path / "model.npz", draw_model())
    return tmp_path / "model.npz"


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16, jnp.float8_e4m3fn])
def test_a_model_comes_back_with_the_same_bits(dtype, tmp_path):
    kept = draw_model(dtype)
    save_model(tmp_path / "model.npz", kept)
    back = load_model(tmp_path / "model.npz")
    assert (back.sizes, back.activation, back.last) == (SIZES, "tanh", "identity")
    assert same_bits(back.params, kept.params)
    assert [leaf.dtype for leaf in jax.tree.leaves(back.params)] == [dtype] * 4
    assert same_bits(
        [back.standardiser.mean, back.standardiser.scale], [np.arange(1.0, 4), np.array([1.0, 0.5, 2.0])]
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_it_predicts_what_it_predicted(dtype, tmp_path):
    kept = draw_model(dtype)
    save_model(tmp_path / "model.npz", kept)
    assert same_bits(probabilities(load_model(tmp_path / "model.npz"), X), probabilities(kept, X))


def test_probabilities_are_the_softmax_of_the_network_at_standardised_inputs():
    kept = draw_model()
    x = jnp.asarray((X - [1.0, 2.0, 3.0]) / [1.0, 0.5, 2.0], jnp.float32)
    expected = jax.jit(lambda x: jax.nn.softmax(kept.network.forward(kept.params, x)[0]))(x)
    assert same_bits(probabilities(kept, X), expected)
    assert kept.classes == expected.shape[1]


def test_without_a_standardiser_inputs_are_taken_as_they_are(tmp_path):
    save_model(tmp_path / "model.npz", draw_model(standardiser=None))
    back = load_model(tmp_path / "model.npz")
    assert back.standardiser is None
    assert not same_bits(probabilities(back, X), probabilities(draw_model(), X))


def test_many_rows_are_predicted_in_parts_and_none_is_lost(monkeypatch):
    whole = probabilities(draw_model(), X)
    monkeypatch.setattr(model, "ROWS_AT_ONCE", 2)
    assert (probabilities(draw_model(), X).argmax(-1) == whole.argmax(-1)).all()
    assert probabilities(draw_model(), X[:0]).shape == (0, 2)


def test_whole_numbers_of_more_than_31_bits_are_taken_as_what_they_are():
    plain = draw_model(standardiser=None)
    large = np.array([[2**40, 1, 0], [0, -(2**33), 1]])
    assert same_bits(probabilities(plain, large), probabilities(plain, large.astype(np.float32)))


def test_rows_of_another_width_are_refused():
    with pytest.raises(DataError, match=r"the model needs rows of 3 numbers, .* x of shape \(5, 2\)"):
        probabilities(draw_model(), X[:, :2])


def test_text_is_no_row_of_numbers():
    with pytest.raises(DataError, match="dtype <U1"):
        probabilities(draw_model(), np.array([["1", "2", "3"]]))


@pytest.mark.parametrize("activation", [jax.nn.relu, None, 3])
def test_an_activation_is_given_by_name(activation):
    with pytest.raises(UsageError, match="an activation must be one of"):
        draw_model(activation=activation)


def test_nothing_in_the_file_is_pickled(path):
    with np.load(path, allow_pickle=False) as file:
        assert {name: file[name].dtype.kind for name in file.files} == {
            "about": "u", "1.W": "f", "1.b": "f", "2.W": "f", "2.b": "f", "mean": "f", "scale": "f",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"activation": "tnah"}, "an activation must be one of .* found 'tnah'"),
        ({"sizes": (3, 5, 2)}, "must fit mlp.* but found .*4, 3"),
        ({"params": draw_model().params[:1]}, "must fit mlp"),
        ({"standardiser": Standardiser(np.zeros(2), np.ones(2))}, r"standardiser.mean.shape=\(2,\)"),
    ],
)
def test_what_cannot_be_built_anew_is_refused(changed, text):
    with pytest.raises(UsageError, match=text):
        draw_model(**changed)


def refused(path, *texts):
    with pytest.raises(DataError) as caught:
        load_model(path)
    said = str(caught.value)
    assert all(text in said for text in (path.name, *texts)), said
    assert "\n" not in said


def test_what_is_no_file_is_refused(tmp_path):
    refused(tmp_path / "none.npz", "no such file", "backproof train --save")
    refused(tmp_path, "a folder")


def test_a_truncated_file_is_refused_at_every_length(path):
    content = path.read_bytes()
    for keep in range(0, len(content), 97):
        path.write_bytes(content[:keep])
        refused(path, "an incomplete one")


def test_a_damaged_file_is_refused(path):
    """The archive holds a checksum of each array; what is damaged outside of them changes no number."""
    content, kept = path.read_bytes(), draw_model()
    for at in range(0, len(content), 41):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        with suppress(DataError):
            assert same_bits(load_model(path).params, kept.params)


def test_foreign_archives_are_refused(path):
    np.savez(path, x=X, y=np.zeros(5, int))
    refused(path, "an archive of x, y")
    for about in (b"no json", b"[]", b'{"format": 1}'):
        np.savez(path, about=np.frombuffer(about, np.uint8))
        refused(path, "something that backproof did not write")
    np.savez(path, about=np.frombuffer(b'{"kind": "another"}', np.uint8))
    refused(path, "another, where backproof model is wanted")


def rewritten(path, about=None, **arrays):
    with np.load(path) as file:
        stored = {name: file[name] for name in file.files}
    kept = json.loads(stored.pop("about").tobytes())
    text = np.frombuffer(json.dumps({**kept, **(about or {})}).encode(), np.uint8)
    np.savez(path, about=text, **{**stored, **arrays})


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        ({"about": {"format": 99}}, ["must have format 1, but found format 99; read it with the backproof"]),
        ({"about": {"sizes": [3, 4, 4, 2]}}, ["a damaged one (KeyError"]),
        ({"about": {"sizes": "3"}}, ["a damaged one"]),
        ({"about": {"sizes": [3, 5, 2]}}, ["a damaged one", "must fit mlp"]),
        ({"about": {"activation": "swoosh"}}, ["swoosh"]),
        ({"about": {"dtypes": {}}}, ["a damaged one"]),
        ({"1.W": np.zeros((4, 3), np.int16)}, ["int16 in the place of float32"]),
        ({"1.W": np.zeros((4, 3), object)}, ["a damaged one", "Object arrays cannot be loaded"]),
    ],
)
def test_files_whose_parts_do_not_fit_are_refused(path, changes, texts):
    rewritten(path, **changes)
    refused(path, *texts)


def test_a_write_that_fails_leaves_the_old_model_and_nothing_else(path, monkeypatch):
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model.np, "savez", full)
    with pytest.raises(DataError, match="No space left on device; name another file"):
        save_model(path, draw_model(activation="relu"))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_model_takes_the_place_of_the_one_before(path):
    save_model(path, draw_model(activation="relu"))
    assert load_model(path).activation == "relu"
    assert os.listdir(path.parent) == [path.name]


def test_others_may_read_it_as_any_new_file(path, tmp_path):
    (tmp_path / "any").write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "any").stat().st_mode)


def test_a_folder_or_a_device_is_not_replaced(tmp_path):
    for place, found in ((tmp_path, "a folder"), (os.devnull, "a device")):
        with pytest.raises(DataError, match=f"must be written to a file, but found {found}"):
            save_model(place, draw_model())
