"""`backproof predict`: the class and its probability, or the predicted numbers, for each row, as CSV."""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
from jaxtyping import Float

from backproof.cli.networks import own_network
from backproof.errors import DataError, UsageError, message
from backproof.training import load_inputs, load_model, load_trained, predict, predictions
from backproof.training.archive import kind_of
from backproof.training.model import CROSS_ENTROPY, softmax
from backproof.training.parameters import KIND
from backproof.training.tables import Columns


class Used(NamedTuple):
    """Holds a trained network as it is used here.

    Attributes:
        width: the numbers in a row of its inputs.
        outputs: the number of classes, or of the predicted numbers.
        labels: the text of each class, where there are such.
        loss: the name of the loss that it was trained with.
        columns: the names of the columns of the table that it was trained on, where it was one.
        values: `x -> prediction`, its inputs not standardised.
    """

    width: int
    outputs: int
    labels: tuple[str, ...]
    loss: str
    columns: Columns | None
    values: Callable[[np.ndarray], np.ndarray]


def run(arguments: argparse.Namespace) -> int:
    """Write one line for each row of the data, and the accuracy if the data have labels; return 0.

    Raises:
        DataError: the model or the data cannot be used, or the output cannot be written.
        UsageError: the network is one of the caller's own and is not named, or is another one.
    """
    used = _used(arguments)
    x, y = load_inputs(_source(arguments.data), target=arguments.target, known=used.columns, width=used.width)
    where = ", ".join(map(str, arguments.data))
    _require_width(x, used, where)
    classifies = used.loss == CROSS_ENTROPY
    if y is not None:
        y = _as_classes(y, used, where) if classifies else _as_numbers(y, used, where)
    values = used.values(x)
    table = _classes(softmax(values), used.labels) if classifies else _numbers(values)
    if arguments.output is None:
        _write(sys.stdout, table)
    else:
        _write_to(arguments.output, table)
    if y is not None:
        # not on standard output if the lines go there, where a pipe may read them
        aside = sys.stderr if arguments.output is None else sys.stdout
        right = f"accuracy {np.mean(values.argmax(-1) == y):.2%}" if classifies else _error(values, y)
        print(f"{right} of {len(y)}", file=aside)
    return 0


def _used(arguments: argparse.Namespace) -> Used:
    kind, about = kind_of(arguments.model)
    if kind != KIND:
        if arguments.network is not None:
            raise UsageError(
                message(
                    must="--network is for a model that was trained with it",
                    found="a model of fully connected layers",
                    where=str(arguments.model),
                    do="drop --network",
                )
            )
        model = load_model(arguments.model)
        about = (model.labels, model.loss, model.columns)
        return Used(model.sizes[0], model.classes, *about, lambda x: predictions(model, x))
    if arguments.network is None:
        raise UsageError(
            message(
                must=f"the network must be named: the file holds the parameters of {about['rule']} alone",
                found="no --network",
                where=str(arguments.model),
                do="add --network module:name, as in training",
            )
        )
    width, outputs = (about[name][0] for name in ("inputs", "outputs"))
    network = own_network(arguments.network, width[0][-1], outputs[-1])
    trained = load_trained(arguments.model, network)

    def values(x: np.ndarray) -> np.ndarray:
        ready = x.astype(np.float32) if trained.standardiser is None else trained.standardiser.apply(x)
        found = predict(network, trained.params, ready)
        return found if trained.targets is None else trained.targets.undo(found)

    return Used(width[0][-1], outputs[-1], trained.labels, trained.loss, trained.columns, values)


def _source(paths: list[Path]) -> Path | tuple[Path, Path]:
    if len(paths) > 2:
        raise DataError(
            message(
                must="data are one .npz, .csv or IDX file, or two IDX files",
                found=f"{len(paths)} files",
                where="--data",
                do="pass file.npz, or the images and then the labels",
            )
        )
    return paths[0] if len(paths) == 1 else (paths[0], paths[1])


def _require_width(x: Float[np.ndarray, "m n"], used: Used, where: str) -> None:
    if x.shape[1] != used.width:
        raise DataError(
            message(
                must=f"the model needs rows of {used.width} numbers",
                found=f"rows of {x.shape[1]}",
                where=where,
                do="pass inputs like those that it was trained on",
            )
        )


def _as_classes(y: np.ndarray, used: Used, where: str) -> np.ndarray:
    """Return the numbers of the classes that labels name, as the model knows them."""
    known: dict[Any, int] = {label: number for number, label in enumerate(used.labels)}
    if used.labels:
        unknown = [(at, label) for at, label in enumerate(map(str, y)) if label not in known]
        must = f"labels must be among {', '.join(used.labels)}, the classes of the model"
    else:
        numbers = y if np.issubdtype(y.dtype, np.integer) else np.full(len(y), -1)
        unknown = [(int(at), y[at]) for at in np.flatnonzero((numbers < 0) | (numbers >= used.outputs))]
        must = f"labels must lie between 0 and {used.outputs - 1}, the classes of the model"
    if unknown:
        at, label = unknown[0]
        raise DataError(
            message(
                must=must,
                found=f"y[{at}]={label}" + ("" if y.dtype.kind in "iuUS" else f", y.dtype={y.dtype}"),
                where=where,
                do="name the classes as in training, or leave y out",
            )
        )
    return np.array([known[label] for label in map(str, y)]) if used.labels else y


def _as_numbers(y: np.ndarray, used: Used, where: str) -> np.ndarray:
    if y.dtype.kind not in "biuf" or y.size != len(y) * used.outputs:
        raise DataError(
            message(
                must=f"the targets must be {used.outputs} numbers for each row, as the model predicts",
                found=f"y of shape {y.shape} and dtype {y.dtype}",
                where=where,
                do="pass targets as in training, or leave y out",
            )
        )
    return y.reshape(len(y), -1)


def _error(values: np.ndarray, y: np.ndarray) -> str:
    return f"mean squared error {np.mean((values - y) ** 2):.6g}"


Rows = Iterator[list[str]]


def _classes(predicted: Float[np.ndarray, "m classes"], labels: tuple[str, ...]) -> Rows:
    yield ["class", "probability"]
    for row, chosen in zip(predicted, predicted.argmax(-1), strict=True):
        yield [labels[chosen] if labels else str(chosen), f"{row[chosen]:.6g}"]


def _numbers(predicted: Float[np.ndarray, "m n"]) -> Rows:
    one = predicted.shape[1] == 1
    yield ["prediction"] if one else [f"prediction_{number}" for number in range(predicted.shape[1])]
    for row in predicted:
        yield [f"{value:.9g}" for value in row]


def _write(file: TextIO, table: Rows) -> None:
    csv.writer(file, lineterminator="\n").writerows(table)


def _write_to(path: Path, table: Rows) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            _write(file, table)
    except OSError as error:
        raise DataError(
            message(
                must="the predictions must be written",
                found=f"{type(error).__name__}: {error.strerror}",
                where=str(path),
                do="name another file",
            )
        ) from error
