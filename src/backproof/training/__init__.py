"""Training by hand-written gradients: data, one step, the loop over epochs, and the batch algorithm."""

from backproof.training.checkpoints import Checkpoints
from backproof.training.data import Data, split, standardise
from backproof.training.descent import Descent, batch_descent
from backproof.training.devices import Layout, data_parallel, gathered, tensor_parallel
from backproof.training.files import load
from backproof.training.history import Epoch
from backproof.training.loop import Fit, accuracy, fit
from backproof.training.optimizers import OPTIMIZERS
from backproof.training.step import InSweepSGD, State, Step, in_sweep_sgd, training_step
from backproof.training.stopping import Stop, never, patience, settled

__all__ = [
    "OPTIMIZERS",
    "Checkpoints",
    "Data",
    "Descent",
    "Epoch",
    "Fit",
    "InSweepSGD",
    "Layout",
    "State",
    "Step",
    "Stop",
    "accuracy",
    "batch_descent",
    "data_parallel",
    "fit",
    "gathered",
    "in_sweep_sgd",
    "load",
    "never",
    "patience",
    "settled",
    "split",
    "standardise",
    "tensor_parallel",
    "training_step",
]
