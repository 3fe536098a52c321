"""The devices on which `backproof train` runs, for `--devices`, `--tensor-parallel` and `--processes`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import jax

from backproof.cli.processes import LOST, LOST_BECAUSE
from backproof.training import Layout, data_parallel, tensor_parallel

# Seconds without a sign of life from a process, after which JAX ends the others.
HEARTBEAT = 10


def prepare(arguments: argparse.Namespace) -> None:
    """Set how many devices the CPU counts as, and join the other processes; call this before JAX starts."""
    settled = jax.config.jax_num_cpu_devices  # pyright: ignore[reportAttributeAccessIssue]  jax adds it at run time
    if arguments.devices is not None and settled < 0:
        with suppress(RuntimeError):  # JAX has started already, e.g. in a test; the number stays
            jax.config.update("jax_num_cpu_devices", arguments.devices)
    if arguments.child:
        _live_as_long_as_the_parent()
        _keep_standard_output_for_ourselves()
        with together(arguments):
            jax.distributed.initialize(
                arguments.coordinator,
                arguments.processes,
                arguments.process,
                heartbeat_timeout_seconds=HEARTBEAT,
                shutdown_timeout_seconds=HEARTBEAT,
            )


@contextmanager
def together(arguments: argparse.Namespace) -> Iterator[None]:
    """End this process at once if JAX cannot go on with several processes; its parent reports the reason.

    Otherwise JAX would wait for the lost processes when Python exits.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not arguments.child:
            raise
        first = str(error).partition("\n")[0]
        print(f"{LOST_BECAUSE}{first}", file=sys.stderr, flush=True)
        os._exit(LOST)


def layout(arguments: argparse.Namespace) -> Layout | None:
    """Return how `arguments` divide the work among devices; None if they do not ask for it.

    Raises:
        UsageError: there are fewer devices than `arguments` ask for.
    """
    if arguments.tensor_parallel is not None:
        return tensor_parallel(arguments.tensor_parallel, arguments.devices)
    if arguments.devices is not None or arguments.processes is not None:
        return data_parallel(arguments.devices)
    return None


def described(layout: Layout) -> str:
    """Return a description of the devices in `layout`."""
    axes = " × ".join(f"{n} {name}" for name, n in layout.mesh.shape.items())
    platform = jax.devices()[0].platform
    return f"{layout.mesh.size} {platform} devices ({axes}) in {_count(jax.process_count(), 'process')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 'es'}"


def _live_as_long_as_the_parent() -> None:
    """Kill this process as soon as its standard input ends; its parent holds that input open."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _keep_standard_output_for_ourselves() -> None:
    """Discard what libraries below JAX print to standard output, such as gloo's connection messages."""
    sys.stdout.flush()
    sys.stdout = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
