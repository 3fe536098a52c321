"""The samples of `train`: read, split and standardised."""

import argparse
from typing import NamedTuple

import numpy as np

from backproof import datasets
from backproof.errors import DataError, message
from backproof.training import Data, Standardiser, load, split, standardise
from backproof.training.files import columns_of, numbered
from backproof.training.model import CROSS_ENTROPY
from backproof.training.tables import Columns


class Prepared(NamedTuple):
    """Holds the standardised samples, and what `predict` needs to know of them.

    Attributes:
        data: the samples.
        outputs: the number of classes, or of the numbers to be predicted.
        standardiser: the standardiser of the inputs.
        labels: the text of each class, where the labels are texts.
        targets: the standardiser of the numbers to be predicted; None for labels.
        columns: the names of the columns of a table.
    """

    data: Data
    outputs: int
    standardiser: Standardiser
    labels: tuple[str, ...] = ()
    targets: Standardiser | None = None
    columns: Columns | None = None


def prepared_samples(arguments: argparse.Namespace) -> Prepared:
    """Return the standardised samples of the files, or of the digits.

    Raises:
        DataError: the data cannot be used.
    """
    paths, predicts_numbers = arguments.data, arguments.loss != CROSS_ENTROPY
    if len(paths) > 2:
        raise DataError(
            message(
                must="data are one .npz or .csv file, or two IDX files",
                found=f"{len(paths)} files",
                where="--data",
                do="pass file.npz, or the images and then the labels",
            )
        )
    columns = None
    if paths:
        source = paths[0] if len(paths) == 1 else (paths[0], paths[1])
        x, y = load(source, target=arguments.target, numbers=predicts_numbers)
        columns = columns_of(source, arguments.target)
    else:
        x, y = datasets.digits()
        y = y[:, None].astype(np.float32) if predicts_numbers else y
    y, labels = numbered(y)
    data = split(x, y, arguments.seed)
    standardiser = Standardiser.fitted(data.x_train)
    data = standardise(data, standardiser)
    if not predicts_numbers:
        _require_classes(y, source=", ".join(map(str, paths)))
        return Prepared(data, int(y.max()) + 1, standardiser, labels, columns=columns)
    targets = Standardiser.fitted(data.y_train)
    data = data._replace(y_train=targets.apply(data.y_train), y_test=targets.apply(data.y_test))
    return Prepared(data, y.shape[1], standardiser, targets=targets, columns=columns)


def _require_classes(y: np.ndarray, source: str) -> None:
    if y.max() == y.min():
        raise DataError(
            message(
                must="there must be at least two classes to tell apart",
                found=f"the label {y[0]} alone",
                where=source,
                do="check which column is the target: --target names another",
            )
        )
