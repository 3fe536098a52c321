"""Training by hand-written gradients: data, one step, the loop over epochs, and the batch algorithm."""

from backproof.training.data import Data, split, standardise
from backproof.training.descent import Descent, batch_descent
from backproof.training.files import load
from backproof.training.loop import Epoch, Fit, accuracy, fit
from backproof.training.optimizers import OPTIMIZERS
from backproof.training.step import InSweepSGD, State, Step, in_sweep_sgd, training_step

__all__ = [
    "OPTIMIZERS",
    "Data",
    "Descent",
    "Epoch",
    "Fit",
    "InSweepSGD",
    "State",
    "Step",
    "accuracy",
    "batch_descent",
    "fit",
    "in_sweep_sgd",
    "load",
    "split",
    "standardise",
    "training_step",
]
