"""backproof: write the gradient by hand; know that it is right.

Names are imported lazily (PEP 562), so that importing the package imports neither jax, optax nor
hypothesis.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOME = {
    "Rule": "rule",
    "Loss": "rule",
    "descend": "rule",
    "array": "arguments",
    "integers": "arguments",
    "partition": "arguments",
    "permutation": "arguments",
    "increasing": "arguments",
    "simplex": "arguments",
    "spd": "arguments",
    "orthogonal": "arguments",
    "one_hot": "arguments",
    "parse": "arguments",
    "chain": "compose",
    "carrying": "compose",
    "values_of": "compose",
    "remat": "compose",
    "residual": "compose",
    "mixed_precision": "precision",
    "remat_repeat": "depth",
    "repeat": "depth",
    "mlp": "network",
    "deltas": "network",
    "layer_step": "network",
    "value_and_grad": "gradient",
    "as_custom_vjp": "gradient",
    "verify": "verification",
    "check": "verification",
    "host": "verification",
    "cached": "verification",
    "tap": "verification",
    "check_intermediates": "verification",
    "verify_intermediates": "verification",
    "accumulating": "verification",
    "forget": "verification",
    "audit": "auditing",
    "write_html": "reporting",
    "fit": "training",
    "batch_descent": "training",
    "in_sweep_sgd": "training",
    "derivation": "derivations",
    "custom_vjp_of": "derivations",
    "Refutes": "derivations",
    "assume": "derivations",
    "at_least": "derivations",
    "at_most": "derivations",
    "differ": "derivations",
    "equal": "derivations",
    "holds": "derivations",
    "less": "derivations",
    "line": "derivations",
    "GradientError": "errors",
    "UsageError": "errors",
    "CheckpointError": "errors",
    "CheckpointWarning": "errors",
    "DataError": "errors",
    "DivergedError": "errors",
}
_PACKAGES = ("rules", "losses", "datasets", "training", "verification", "derivations", "auditing")

__all__ = [
    "CheckpointError",
    "CheckpointWarning",
    "DataError",
    "DivergedError",
    "GradientError",
    "Loss",
    "Refutes",
    "Rule",
    "UsageError",
    "accumulating",
    "array",
    "as_custom_vjp",
    "assume",
    "at_least",
    "at_most",
    "audit",
    "auditing",
    "batch_descent",
    "cached",
    "carrying",
    "chain",
    "check",
    "check_intermediates",
    "custom_vjp_of",
    "datasets",
    "deltas",
    "derivation",
    "derivations",
    "descend",
    "differ",
    "equal",
    "fit",
    "forget",
    "holds",
    "host",
    "in_sweep_sgd",
    "increasing",
    "integers",
    "layer_step",
    "less",
    "line",
    "losses",
    "mixed_precision",
    "mlp",
    "one_hot",
    "orthogonal",
    "parse",
    "partition",
    "permutation",
    "remat",
    "remat_repeat",
    "repeat",
    "residual",
    "rules",
    "simplex",
    "spd",
    "tap",
    "training",
    "value_and_grad",
    "values_of",
    "verification",
    "verify",
    "verify_intermediates",
    "write_html",
]

if TYPE_CHECKING:
    from backproof import auditing as auditing
    from backproof import datasets as datasets
    from backproof import derivations as derivations
    from backproof import losses as losses
    from backproof import rules as rules
    from backproof import training as training
    from backproof import verification as verification
    from backproof.arguments import array as array
    from backproof.arguments import increasing as increasing
    from backproof.arguments import integers as integers
    from backproof.arguments import one_hot as one_hot
    from backproof.arguments import orthogonal as orthogonal
    from backproof.arguments import parse as parse
    from backproof.arguments import partition as partition
    from backproof.arguments import permutation as permutation
    from backproof.arguments import simplex as simplex
    from backproof.arguments import spd as spd
    from backproof.auditing import audit as audit
    from backproof.compose import carrying as carrying
    from backproof.compose import chain as chain
    from backproof.compose import remat as remat
    from backproof.compose import residual as residual
    from backproof.compose import values_of as values_of
    from backproof.depth import remat_repeat as remat_repeat
    from backproof.depth import repeat as repeat
    from backproof.derivations import Refutes as Refutes
    from backproof.derivations import assume as assume
    from backproof.derivations import at_least as at_least
    from backproof.derivations import at_most as at_most
    from backproof.derivations import custom_vjp_of as custom_vjp_of
    from backproof.derivations import derivation as derivation
    from backproof.derivations import differ as differ
    from backproof.derivations import equal as equal
    from backproof.derivations import holds as holds
    from backproof.derivations import less as less
    from backproof.derivations import line as line
    from backproof.errors import CheckpointError as CheckpointError
    from backproof.errors import CheckpointWarning as CheckpointWarning
    from backproof.errors import DataError as DataError
    from backproof.errors import DivergedError as DivergedError
    from backproof.errors import GradientError as GradientError
    from backproof.errors import UsageError as UsageError
    from backproof.gradient import as_custom_vjp as as_custom_vjp
    from backproof.gradient import value_and_grad as value_and_grad
    from backproof.network import deltas as deltas
    from backproof.network import layer_step as layer_step
    from backproof.network import mlp as mlp
    from backproof.precision import mixed_precision as mixed_precision
    from backproof.reporting import write_html as write_html
    from backproof.rule import Loss as Loss
    from backproof.rule import Rule as Rule
    from backproof.rule import descend as descend
    from backproof.training import batch_descent as batch_descent
    from backproof.training import fit as fit
    from backproof.training import in_sweep_sgd as in_sweep_sgd
    from backproof.verification import accumulating as accumulating
    from backproof.verification import cached as cached
    from backproof.verification import check as check
    from backproof.verification import check_intermediates as check_intermediates
    from backproof.verification import forget as forget
    from backproof.verification import host as host
    from backproof.verification import tap as tap
    from backproof.verification import verify as verify
    from backproof.verification import verify_intermediates as verify_intermediates


def __getattr__(name: str) -> object:
    if name in _PACKAGES:
        return import_module(f"backproof.{name}")
    if name in _HOME:
        return getattr(import_module(f"backproof.{_HOME[name]}"), name)
    raise AttributeError(f"module 'backproof' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
