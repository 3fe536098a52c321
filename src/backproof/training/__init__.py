"""Training with hand-written gradients: data, one step, the loop over epochs, and the batch algorithm."""

from backproof.training.checkpoints import Checkpoints
from backproof.training.data import Data, split, standardise
from backproof.training.descent import Descent, batch_descent
from backproof.training.devices import Layout, data_parallel, gathered, tensor_parallel
from backproof.training.files import load, load_inputs
from backproof.training.grid import Curves, Sweep, sweep
from backproof.training.history import Epoch
from backproof.training.kept import forget
from backproof.training.loop import Fit, accuracy, fit
from backproof.training.model import Model, load_model, predictions, probabilities, save_model
from backproof.training.optimizers import OPTIMIZERS
from backproof.training.parameters import (
    Trained,
    load_parameters,
    load_trained,
    predict,
    save_parameters,
    save_trained,
)
from backproof.training.sources import Arrays, Shards, shards_in
from backproof.training.standardiser import Standardiser
from backproof.training.step import InSweepSGD, State, Step, in_sweep_sgd, training_step
from backproof.training.stopping import Stop, never, patience, settled
from backproof.training.stream import Stream

__all__ = [
    "OPTIMIZERS",
    "Arrays",
    "Checkpoints",
    "Curves",
    "Data",
    "Descent",
    "Epoch",
    "Fit",
    "InSweepSGD",
    "Layout",
    "Model",
    "Shards",
    "Standardiser",
    "State",
    "Step",
    "Stop",
    "Stream",
    "Sweep",
    "Trained",
    "accuracy",
    "batch_descent",
    "data_parallel",
    "fit",
    "forget",
    "gathered",
    "in_sweep_sgd",
    "load",
    "load_inputs",
    "load_model",
    "load_parameters",
    "load_trained",
    "never",
    "patience",
    "predict",
    "predictions",
    "probabilities",
    "save_model",
    "save_parameters",
    "save_trained",
    "settled",
    "shards_in",
    "split",
    "standardise",
    "sweep",
    "tensor_parallel",
    "training_step",
]
