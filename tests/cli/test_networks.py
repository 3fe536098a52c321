"""`--network`, labels that are texts, and numbers to be predicted, from training to prediction."""

import csv
import io
import sys

import numpy as np
import pytest

from backproof.cli import main

OWN = """
import backproof as bp

def net(outputs):
    return bp.chain(bp.rules.affine(8), bp.rules.tanh, bp.rules.affine(outputs))

fixed = net(3)
other = bp.chain(bp.rules.affine(9), bp.rules.tanh, bp.rules.affine(3))
nothing = 3

def no_argument():
    return fixed
"""
KINDS = np.array(["ash", "elm", "oak"])
SHORT = ["--epochs", "60", "--optimizer", "adam", "--learning-rate", "0.05"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Enter a folder with a network of one's own, and samples with texts as labels and with numbers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_nets.py").write_text(OWN)
    (tmp_path / "raising_nets.py").write_text("raise RuntimeError('not today')")
    rng = np.random.default_rng(0)
    number = rng.integers(0, 3, 60)
    x = rng.normal(size=(60, 3)) / 3 + 2 * np.eye(3)[number]
    with open("trees.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["a", "b", "c", "tree"], *([*row, KINDS[k]] for row, k in zip(x, number, strict=True))]
        )
    with open("prices.csv", "w", newline="") as file:
        rows = ([1e5 * (2 * a - b) + 3e5, a, b, c] for a, b, c in x)
        csv.writer(file).writerows([["y", "a", "b", "c"], *rows])
    yield tmp_path
    sys.modules.pop("own_nets", None)


def predicted(capsys, *argv):
    assert main(["predict", *argv]) == 0
    captured = capsys.readouterr()
    return list(csv.DictReader(io.StringIO(captured.out))), captured.err


@pytest.mark.parametrize("network", [[], ["--network", "own_nets:net"], ["--network", "own_nets:fixed"]])
def test_labels_that_are_texts_stay_with_the_model(place, capsys, network):
    assert main(["train", "--data", "trees.csv", *network, *SHORT, "--save", "m.npz"]) == 0
    assert ("network chain(" if network else "layers 3-128-128-3") in capsys.readouterr().out
    rows, aside = predicted(capsys, "m.npz", "--data", "trees.csv", *network)
    assert {row["class"] for row in rows} == set(KINDS)
    assert float(aside.split()[1].rstrip("%")) > 90


@pytest.mark.parametrize("network", [[], ["--network", "own_nets:net"]])
def test_numbers_are_predicted_in_their_own_units(place, capsys, network):
    loss = ["--loss", "half_squared_error"]
    assert (
        main(
            ["train", "--data", "prices.csv", *loss, *network, *SHORT, "--save", "m.npz", "--patience", "30"]
        )
        == 0
    )
    assert "test loss" in capsys.readouterr().out
    rows, aside = predicted(capsys, "m.npz", "--data", "prices.csv", *network)
    with open("prices.csv") as file:
        wanted = np.array([float(row["y"]) for row in csv.DictReader(file)])
    found = np.array([float(row["prediction"]) for row in rows])
    assert np.mean((found - wanted) ** 2) < 0.05 * np.var(wanted)
    assert aside.startswith("mean squared error ")


def test_columns_are_taken_by_name_and_large_targets_keep_their_digits(place, capsys):
    rows = [["y", "a", "b"], *([1e9 + 3 * i, i, -i] for i in range(40))]
    with open("times.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    with open("other_order.csv", "w", newline="") as file:
        csv.writer(file).writerows([row[::-1] for row in rows])
    assert (
        main(["train", "--data", "times.csv", "--loss", "half_squared_error", *SHORT, "--save", "m.npz"]) == 0
    )
    capsys.readouterr()
    here, aside = predicted(capsys, "m.npz", "--data", "times.csv")
    there, same = predicted(capsys, "m.npz", "--data", "other_order.csv")
    assert (here, aside) == (there, same)
    assert abs(float(here[0]["prediction"]) - 1e9) < 30


def test_one_class_and_a_network_that_raises_are_refused(place, capsys):
    with open("one.csv", "w") as file:
        file.write("a,y\n1,0\n2,0\n3,0\n")
    assert "two classes to tell apart, but found the label 0" in failed(capsys, "train", "--data", "one.csv")
    raising = ["train", "--data", "trees.csv", "--network"]
    assert "a function of the number of classes, 3, but found TypeError" in failed(
        capsys, *raising, "own_nets:no_argument"
    )
    assert "RuntimeError: not today" in failed(capsys, *raising, "raising_nets:net")


def failed(capsys, *argv):
    assert main([*argv]) == 2
    said = capsys.readouterr().err
    assert said.startswith("backproof: error: ")
    assert said.count("\n") == 1
    return said


def test_a_network_that_does_not_fit_is_refused(place, capsys):
    train = ["train", "--data", "trees.csv", "--epochs", "1", "--network"]
    assert "must name a Rule, or a function that returns one" in failed(capsys, *train, "own_nets:nothing")
    assert "own_nets must define nett" in failed(capsys, *train, "own_nets:nett")
    assert "--layers belongs to fully connected layers" in failed(
        capsys, *train, "own_nets:net", "--layers", "3"
    )
    digits = ["train", "--epochs", "1", "--network", "own_nets:fixed"]
    assert "each row of 64 numbers to 10 numbers, but found" in failed(capsys, *digits)


def test_the_network_of_a_model_must_be_named_and_be_the_one_that_was_trained(place, capsys):
    saved = ["--epochs", "1", "--data", "trees.csv", "--save", "m.npz"]
    assert main(["train", *saved, "--network", "own_nets:net"]) == 0
    capsys.readouterr()
    use = ["predict", "m.npz", "--data", "trees.csv"]
    assert "holds the parameters of chain(affine(8), tanh, affine(3))" in failed(capsys, *use)
    assert "must hold parameters of chain(affine(9)" in failed(capsys, *use, "--network", "own_nets:other")
    assert main(["train", *saved]) == 0
    capsys.readouterr()
    assert "for a model that was trained with it" in failed(capsys, *use, "--network", "own_nets:net")


def test_a_place_that_cannot_be_written_is_said_before_training(place, capsys, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("backproof.training.archive._write_whole", refuse)
    said = failed(capsys, "train", "--data", "trees.csv", "--save", "m.npz")
    assert "m.npz: the model must be written to a file, but found PermissionError" in said


def test_what_is_at_the_place_stays_until_training_is_over(place, capsys):
    (place / "m.npz").write_bytes(b"before")
    assert main(["train", "--data", "nowhere.csv", "--save", "m.npz"]) == 2
    assert (place / "m.npz").read_bytes() == b"before"
    assert sorted(path.name for path in place.glob(".*")) == []
