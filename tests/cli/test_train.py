"""`backproof train`: what it prints, and one clear line for whatever goes wrong."""

import importlib.util
import io
import re
import shutil

import numpy as np
import pytest
from rich.console import Console

from backproof import training
from backproof.cli import main, samples, train
from backproof.rules import ACTIVATIONS
from backproof.training import Epoch

TINY = ["--epochs", "2", "--layers", "5", "--batch-size", "256"]


@pytest.fixture
def data(tmp_path):
    """Return the path of twelve samples that are easily told apart."""
    labels = np.arange(12) % 3
    path = tmp_path / "data.npz"
    np.savez(path, x=10.0 * np.eye(3)[labels] + np.arange(12)[:, None] / 12, y=labels)
    return str(path)


def failed(argv, status, capsys):
    """Return the one line on stderr after `argv` ends with `status`."""
    assert main(["train", *argv]) == status
    said = capsys.readouterr().err
    assert said.startswith("backproof: error: ")
    assert said.count("\n") == 1
    return said


def test_training_prints_every_epoch_and_a_last_line(capsys):
    assert main(["train", *TINY]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        "1437 samples to learn from, 360 held out; layers 64-5-10, relu; sgd, learning rate 0.1" in lines[0]
    )
    for number, line in enumerate(lines[1:3], start=1):
        assert re.fullmatch(rf"epoch {number}/2   loss \d+\.\d{{6}}   test accuracy +\d+\.\d\d%", line)
    assert re.fullmatch(r"test accuracy \d+\.\d\d% in \d+\.\d s of training, compilation included", lines[3])
    assert len(lines) == 4


def test_output_that_is_no_terminal_is_plain(capsys):
    main(["train", *TINY])
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    assert captured.err == ""


def test_a_terminal_shows_a_progress_bar_below_the_lines():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80, highlight=False)
    with train.shown(terminal, epochs=2) as show:
        show(Epoch(1, 0.5, 0.9))
    said = terminal.file.getvalue()
    assert "epoch 1/2   loss 0.500000   test accuracy  90.00%" in said
    assert "━" in said


def test_the_progress_bar_of_a_resumed_run_counts_the_epochs_before():
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80, highlight=False)
    with train.shown(terminal, epochs=9) as show:
        show(Epoch(8, 0.5, 0.9))
    assert "\x1b[32m8/9\x1b" in terminal.file.getvalue()


@pytest.mark.parametrize("optimizer", ["in-sweep-sgd", "momentum", "adam", "adamw"])
def test_every_optimizer_learns_three_easy_classes(optimizer, data, capsys):
    argv = [
        "--data",
        data,
        "--optimizer",
        optimizer,
        "--epochs",
        "30",
        "--layers",
        "8",
        "--learning-rate",
        "0.05",
    ]
    assert main(["train", *argv]) == 0
    assert "test accuracy 100.00%" in capsys.readouterr().out.splitlines()[-1]


def test_the_same_seed_prints_the_same_losses(data, capsys):
    def losses(seed):
        main(["train", "--data", data, "--seed", seed, *TINY])
        return capsys.readouterr().out.splitlines()[1:3]

    assert losses("0") == losses("0") != losses("1")


def test_the_settings_reach_split_and_loop(data, monkeypatch):
    seen = {}

    def split(x, y, seed):
        seen["split"] = seed
        return training.split(x, y, seed)

    def fit(*args, epochs, batch_size, seed, **rest):
        seen["fit"] = (epochs, batch_size, seed)
        return training.fit(*args, epochs=epochs, batch_size=batch_size, seed=seed, **rest)

    monkeypatch.setattr(samples, "split", split)
    monkeypatch.setattr(train, "fit", fit)
    main(["train", "--data", data, "--epochs", "3", "--batch-size", "4", "--seed", "7"])
    assert seen == {"split": 7, "fit": (3, 4, 7)}


def test_every_activation_can_be_named(data, capsys):
    for rule in ACTIVATIONS:
        assert main(["train", "--data", data, "--activation", rule.name, *TINY]) == 0
        assert f"3-5-3, {rule.name};" in capsys.readouterr().out


def test_an_unknown_activation_is_refused_with_the_list(capsys):
    said = failed(["--activation", "rleu"], 2, capsys)
    for rule in ACTIVATIONS:
        assert rule.name in said
    assert "found 'rleu'; did you mean relu?" in said
    assert "choose one of them" in failed(["--activation", "xyzzy"], 2, capsys)


def test_a_rate_that_diverges_ends_with_status_1(data, capsys):
    said = failed(["--data", data, "--learning-rate", "1e30", "--epochs", "9"], 1, capsys)
    assert re.search(r"epoch \d, step \d of \d: .*must stay finite.*lower the learning rate", said)


def test_a_file_that_is_missing_ends_with_status_2(capsys):
    said = failed(["--data", "nowhere.npz"], 2, capsys)
    assert "nowhere.npz: the data file must exist, but found no such file; check the path" in said


def test_three_data_files_are_refused(capsys):
    assert "one .npz or .csv file, or two IDX files, but found 3 files" in failed(
        ["--data", "a", "b", "c"], 2, capsys
    )


def test_an_interrupted_training_goes_on_from_its_checkpoints(data, tmp_path, capsys):
    argv = ["train", "--data", data, "--layers", "4", "--checkpoints", str(tmp_path / "run")]
    assert main([*argv, "--epochs", "2"]) == 0
    capsys.readouterr()
    assert main([*argv, "--epochs", "3"]) == 0
    assert [line[:9] for line in capsys.readouterr().out.splitlines()[1:-1]] == ["epoch 3/3"]
    assert main([*argv, "--epochs", "3", "--seed", "1"]) == 2
    assert "checkpoints must belong to this very experiment" in capsys.readouterr().err


def test_a_damaged_checkpoint_is_told_in_one_line(data, tmp_path, capsys):
    argv = ["train", "--data", data, "--layers", "4", "--checkpoints", str(tmp_path / "run")]
    assert main([*argv, "--epochs", "1"]) == 0
    assert main([*argv, "--epochs", "2"]) == 0
    newest = max((tmp_path / "run").iterdir(), key=lambda path: int(path.name))
    shutil.rmtree(newest / "carry")
    capsys.readouterr()
    assert main([*argv, "--epochs", "2"]) == 0
    said = capsys.readouterr().err
    assert said.startswith("backproof: warning: ")
    assert said.endswith("the one before is used\n")
    assert said.count("\n") == 1


def test_patience_ends_training_and_names_the_best_epoch(data, capsys):
    assert main(["train", "--data", data, "--layers", "4", "--epochs", "90", "--patience", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 92
    assert re.match(rf"test accuracy \d+\.\d\d% at epoch \d+, the best of {len(lines) - 2},", lines[-1])


def test_several_rates_and_seeds_are_a_sweep_with_a_table(data, capsys):
    argv = ["train", "--data", data, "--layers", "4", "--epochs", "30", "--learning-rate", "1e-9,0.1"]
    assert main([*argv, "--seeds", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "learning rate 1e-09, 0.1, batches of 32, seed 0 and 2 more" in lines[0]
    assert lines[1].split() == ["learning_rate", "median", "metric", "lowest", "highest", "diverged"]
    assert [line.split()[0] for line in lines[2:4]] == ["1e-09", "0.1"]
    assert "best median at learning rate 0.1; 6 experiments in" in lines[4]


@pytest.mark.parametrize("setting", [["--patience", "2"], ["--checkpoints", "run"], ["--save", "model.npz"]])
def test_what_a_sweep_cannot_do_is_refused(setting, data, capsys):
    said = failed(["--data", data, "--seeds", "2", *setting], 2, capsys)
    assert f"{setting[0]} needs one learning rate and one seed, but found 1 rates and 2 seeds" in said


def test_with_patience_the_accuracy_told_is_that_of_the_parameters_kept(data, capsys):
    argv = ["train", "--data", data, "--layers", "4", "--epochs", "4", "--patience", "50"]
    assert main([*argv, "--learning-rate", "9"]) == 0
    lines = capsys.readouterr().out.splitlines()
    best = max(float(line.split()[-1].rstrip("%")) for line in lines[1:-1])
    assert lines[-1].startswith(f"test accuracy {best:.2f}% at epoch")


def test_curves_are_drawn_and_epochs_are_logged(data, tmp_path, capsys):
    figure, folder = tmp_path / "curves.png", tmp_path / "runs"
    argv = ["train", "--data", data, "--epochs", "2", "--layers", "4"]
    assert main([*argv, "--plot", str(figure), "--log", str(folder)]) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert len([*folder.iterdir()]) == 1
    figure.unlink()
    assert main([*argv, "--seeds", "2", "--plot", str(figure)]) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("option", "package", "extra"),
    [("--plot", "matplotlib", "plot"), ("--log", "tensorboardX", "tensorboard")],
)
def test_an_option_whose_package_is_missing_says_what_to_install(
    option, package, extra, data, monkeypatch, capsys
):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    assert main(["train", "--data", data, option, "x.png"]) == 2
    assert f'found no {package}; run: pip install "backproof[{extra}]"' in capsys.readouterr().err
