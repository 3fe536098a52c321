"""The network that `train` and `predict` use: fully connected layers, or a rule of the caller's own."""

import argparse
from typing import Any

import jax
import jax.numpy as jnp

from backproof.cli.samples import Prepared
from backproof.cli.target import load_target
from backproof.errors import UsageError, message
from backproof.network import mlp
from backproof.rule import PyTree, Rule
from backproof.training import Model, Trained, save_model, save_trained
from backproof.training.model import activation_named

LAYERS, ACTIVATION = (128, 128), "relu"


def network_of(arguments: argparse.Namespace, prepared: Prepared) -> tuple[Rule, str]:
    """Return the network that the command line names, and what is said of it.

    Raises:
        UsageError: a name is unknown, or the network does not fit the samples.
    """
    if arguments.network is None:
        sizes, activation = _sizes(arguments, prepared), arguments.activation or ACTIVATION
        network = mlp(sizes, activation_named(activation, "--activation"))
        return network, f"layers {'-'.join(map(str, sizes))}, {activation}"
    for flag in ("layers", "activation"):
        if getattr(arguments, flag) is not None:
            raise UsageError(
                message(
                    must=f"--{flag} belongs to fully connected layers",
                    found=f"--network {arguments.network}",
                    where="train",
                    do=f"drop --{flag}, or --network",
                )
            )
    network = own_network(arguments.network, prepared.data.x_train.shape[1], prepared.outputs)
    return network, f"network {network.name}"


def save(arguments: argparse.Namespace, network: Rule, params: PyTree, prepared: Prepared) -> None:
    """Write the trained network, with all that `predict` needs.

    Raises:
        DataError: the file cannot be written.
    """
    about = {
        "standardiser": prepared.standardiser,
        "labels": prepared.labels,
        "loss": arguments.loss,
        "targets": prepared.targets,
        "columns": prepared.columns,
    }
    if arguments.network is not None:
        save_trained(arguments.save, network, Trained(params, **about), prepared.data.x_train[:1])
    else:
        activation = arguments.activation or ACTIVATION
        save_model(arguments.save, Model(_sizes(arguments, prepared), activation, params, **about))


def _sizes(arguments: argparse.Namespace, prepared: Prepared) -> tuple[int, ...]:
    hidden = LAYERS if arguments.layers is None else arguments.layers
    return (prepared.data.x_train.shape[1], *hidden, prepared.outputs)


def own_network(target: str, features: int, outputs: int | None) -> Rule:
    """Return the network that `module:name` names, which must map rows of numbers to rows of outputs.

    Args:
        target: names a `Rule`, or a function that returns one for the number of outputs.
        features: the numbers in a row.
        outputs: the numbers to be predicted, or the classes; None if the network itself says how many.

    Raises:
        UsageError: there is no such rule, or it maps rows of that length to something else.
    """
    found: Any = load_target(target)
    if not isinstance(found, Rule) and callable(found) and outputs is not None:
        try:
            found = found(outputs)
        except Exception as error:
            # The network is the caller's code, so it may raise anything.
            raise UsageError(
                message(
                    must=f"--network must name a Rule, or a function of the number of classes, {outputs}",
                    found=f"{type(error).__name__}: {error}".splitlines()[0],
                    where=target,
                    do="let it take one number, e.g. def net(outputs)",
                )
            ) from error
    if not isinstance(found, Rule):
        raise UsageError(
            message(
                must="--network must name a Rule, or a function that returns one for the number of classes",
                found=repr(found),
                where=target,
                do="see the README on rules of your own",
            )
        )
    x = jax.ShapeDtypeStruct((1, features), jnp.float32)
    try:
        y = found.init(jax.random.key(0), x)[1]
    except Exception as error:
        # The network is the caller's code, so it may raise anything.
        raise _misfit(
            target, features, outputs, f"{type(error).__name__}: {error}".splitlines()[0]
        ) from error
    shape = getattr(y, "shape", None)
    if shape is None or len(shape) != 2 or (outputs is not None and shape != (1, outputs)):
        raise _misfit(target, features, outputs, f"{y}")
    return found


def _misfit(target: str, features: int, outputs: int | None, found: str) -> UsageError:
    to = "a row of numbers" if outputs is None else f"{outputs} numbers"
    return UsageError(
        message(
            must=f"the network must map each row of {features} numbers to {to}",
            found=found,
            where=target,
            do="begin with a rule that reshapes the row, if it works on images",
        )
    )
