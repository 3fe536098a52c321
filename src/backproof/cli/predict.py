"""`backproof predict`: the class and its probability for each row of a file, as CSV."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import numpy as np
from jaxtyping import Float, Integer

from backproof.errors import DataError, message
from backproof.training import Model, load_inputs, load_model, probabilities


def run(arguments: argparse.Namespace) -> int:
    """Write one line for each row of the data, and the accuracy if the data have labels; return 0.

    Raises:
        DataError: the model or the data cannot be used, or the output cannot be written.
    """
    model, (x, y) = load_model(arguments.model), load_inputs(_source(arguments.data))
    where = ", ".join(map(str, arguments.data))
    _require_width(x, model, where)
    if y is not None:
        _require_classes(y, model, where)
    predicted = probabilities(model, x)
    if arguments.output is None:
        _write(sys.stdout, predicted)
    else:
        _write_to(arguments.output, predicted)
    if y is not None:
        # not on standard output if the lines go there, where a pipe may read them
        aside = sys.stderr if arguments.output is None else sys.stdout
        print(f"accuracy {np.mean(predicted.argmax(-1) == y):.2%} of {len(y)}", file=aside)
    return 0


def _source(paths: list[Path]) -> Path | tuple[Path, Path]:
    if len(paths) > 2:
        raise DataError(
            message(
                must="data are one .npz or IDX file, or two IDX files",
                found=f"{len(paths)} files",
                where="--data",
                do="pass file.npz, or the images and then the labels",
            )
        )
    return paths[0] if len(paths) == 1 else (paths[0], paths[1])


def _require_width(x: Float[np.ndarray, "m n"], model: Model, where: str) -> None:
    if x.shape[1] != model.sizes[0]:
        raise DataError(
            message(
                must=f"the model needs rows of {model.sizes[0]} numbers",
                found=f"rows of {x.shape[1]}",
                where=where,
                do="pass inputs like those that it was trained on",
            )
        )


def _require_classes(y: Integer[np.ndarray, " m"], model: Model, where: str) -> None:
    outside = (y < 0) | (y >= model.classes)
    if outside.any():
        at = int(np.argmax(outside))
        raise DataError(
            message(
                must=f"labels must lie between 0 and {model.classes - 1}, the classes of the model",
                found=f"y[{at}]={y[at]}",
                where=where,
                do="number the classes as in training, or leave y out",
            )
        )


def _lines(predicted: Float[np.ndarray, "m classes"]) -> Iterable[str]:
    yield "class,probability\n"
    for row, chosen in zip(predicted, predicted.argmax(-1), strict=True):
        yield f"{chosen},{row[chosen]:.6g}\n"


def _write(file: TextIO, predicted: Float[np.ndarray, "m classes"]) -> None:
    file.writelines(_lines(predicted))


def _write_to(path: Path, predicted: Float[np.ndarray, "m classes"]) -> None:
    try:
        with path.open("w", encoding="utf-8") as file:
            _write(file, predicted)
    except OSError as error:
        raise DataError(
            message(
                must="the predictions must be written",
                found=f"{type(error).__name__}: {error.strerror}",
                where=str(path),
                do="name another file",
            )
        ) from error
