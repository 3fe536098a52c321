"""`backproof predict`: a saved model is used, quietly, and one clear line says what goes wrong."""

import csv
import io

import numpy as np
import pytest

import backproof as bp
from backproof.cli import main
from backproof.training import load_model, probabilities

LABELS = np.arange(12) % 3
X = 10.0 * np.eye(3)[LABELS] + np.arange(12)[:, None] / 12


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with a model of three easy classes, and with data."""
    place = tmp_path_factory.mktemp("predict")
    np.savez(place / "labelled.npz", x=X, y=LABELS)
    np.savez(place / "inputs.npz", x=X)
    settings = ["--epochs", "30", "--layers", "8", "--optimizer", "adam", "--learning-rate", "0.05"]
    data, model = str(place / "labelled.npz"), str(place / "model.npz")
    assert main(["train", "--data", data, "--save", model, *settings]) == 0
    return place


def predict(place, *data, model="model.npz", output=None):
    paths = [str(place / name) for name in data]
    extra = [] if output is None else ["--output", str(place / output)]
    return main(["predict", str(place / model), "--data", *paths, *extra])


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def failed(place, capsys, *data, **settings):
    assert predict(place, *data, **settings) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("backproof: error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_every_row_gets_its_class_and_its_probability(place, capsys):
    assert predict(place, "inputs.npz") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    found = rows(captured.out)
    expected = probabilities(load_model(place / "model.npz"), X)
    assert [int(row["class"]) for row in found] == expected.argmax(-1).tolist() == LABELS.tolist()
    assert [row["probability"] for row in found] == [f"{p:.6g}" for p in expected.max(-1)]


def test_the_accuracy_is_told_beside_the_lines_where_there_are_labels(place, capsys):
    assert predict(place, "labelled.npz") == 0
    captured = capsys.readouterr()
    assert captured.err == "accuracy 100.00% of 12\n"
    assert len(rows(captured.out)) == 12


def test_the_accuracy_counts_the_rows_that_are_right(place, capsys):
    np.savez(place / "wrong.npz", x=X, y=np.where(np.arange(12) < 3, (LABELS + 1) % 3, LABELS))
    predict(place, "wrong.npz")
    assert capsys.readouterr().err == "accuracy 75.00% of 12\n"


def test_the_lines_go_to_a_file_instead(place, capsys):
    predict(place, "labelled.npz")
    expected = capsys.readouterr().out
    assert predict(place, "labelled.npz", output="out.csv") == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("accuracy 100.00% of 12\n", "")
    assert (place / "out.csv").read_text() == expected


def test_the_stored_standardisation_is_that_of_the_training_part_alone(place):
    """The model was trained on eight of the twelve rows; what is predicted does not change what it knows."""
    trained_on = bp.training.split(X, LABELS, seed=0).x_train
    assert load_model(place / "model.npz").standardiser.mean.tolist() == trained_on.mean(0).tolist()


def test_a_single_row_is_enough(place, capsys):
    np.savez(place / "one.npz", x=X[2:3], y=LABELS[2:3])  # the label 2 among one sample
    assert predict(place, "one.npz") == 0
    assert [row["class"] for row in rows(capsys.readouterr().out)] == ["2"]


def test_idx_files_are_read_with_labels_or_without(place, capsys):
    images = np.round(X).astype(np.uint8)
    (place / "images").write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 12, 0, 0, 0, 3]) + images.tobytes())
    (place / "labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 12]) + LABELS.astype(np.uint8).tobytes())
    assert predict(place, "images", "labels") == 0
    both = capsys.readouterr()
    assert both.err == "accuracy 100.00% of 12\n"
    assert predict(place, "images") == 0
    assert capsys.readouterr() == (both.out, "")


def test_data_that_do_not_fit_the_model_are_refused(place, capsys):
    np.savez(place / "wide.npz", x=np.ones((2, 5)))
    assert "wide.npz: the model needs rows of 3 numbers, but found rows of 5" in failed(
        place, capsys, "wide.npz"
    )
    np.savez(place / "classes.npz", x=X[:2], y=np.array([0, 3]))
    assert "labels must lie between 0 and 2, the classes of the model, but found y[1]=3" in failed(
        place, capsys, "classes.npz"
    )
    np.savez(place / "short.npz", x=X, y=LABELS[:3])
    assert "found x: 12, y: 3" in failed(place, capsys, "short.npz")
    np.savez(place / "float.npz", x=X, y=LABELS * 1.0)
    assert "y.dtype=float64" in failed(place, capsys, "float.npz")
    np.savez(place / "nan.npz", x=X * np.nan)
    assert "every value must be finite, but found x[0, 0]=nan" in failed(place, capsys, "nan.npz")


def test_files_that_are_not_what_they_should_be_are_refused(place, capsys):
    assert "none.npz: the data file must exist" in failed(place, capsys, "none.npz")
    assert "none.npz: the model must be a whole file" in failed(place, capsys, "inputs.npz", model="none.npz")
    assert "an archive of x" in failed(place, capsys, "inputs.npz", model="inputs.npz")
    np.savez(place / "empty.npz", images=X)
    assert "an array named x, but found ['images']" in failed(place, capsys, "empty.npz")
    assert "one .npz, .csv or IDX file, or two IDX files, but found 3" in failed(
        place, capsys, *["inputs.npz"] * 3
    )


def test_a_place_that_cannot_be_written_is_refused_before_the_training(place, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--save", str(place / "nowhere" / "model.npz")])
    assert "--save: must be a file that can be written, but found no folder" in capsys.readouterr().err
    assert main(["train", "--save", "/dev/null"]) == 2
    captured = capsys.readouterr()
    assert "the model must be written to a file, but found a device" in captured.err
    assert captured.out == ""
