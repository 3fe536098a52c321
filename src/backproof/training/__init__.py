"""Training by hand-written gradients: data, one step, the loop over epochs, and the batch algorithm."""

from backproof.training.checkpoints import Checkpoints
from backproof.training.data import Data, split, standardise
from backproof.training.descent import Descent, batch_descent
from backproof.training.files import load
from backproof.training.grid import Curves, Sweep, sweep
from backproof.training.history import Epoch
from backproof.training.loop import Fit, accuracy, fit
from backproof.training.optimizers import OPTIMIZERS
from backproof.training.step import InSweepSGD, State, Step, in_sweep_sgd, training_step
from backproof.training.stopping import Stop, never, patience, settled

__all__ = [
    "OPTIMIZERS",
    "Checkpoints",
    "Curves",
    "Data",
    "Descent",
    "Epoch",
    "Fit",
    "InSweepSGD",
    "State",
    "Step",
    "Stop",
    "Sweep",
    "accuracy",
    "batch_descent",
    "fit",
    "in_sweep_sgd",
    "load",
    "never",
    "patience",
    "settled",
    "split",
    "standardise",
    "sweep",
    "training_step",
]
