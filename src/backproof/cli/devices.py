"""On which devices `backproof train` runs: `--devices`, `--tensor-parallel`, and the part of one process."""

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
    """Settle how many devices the CPU is taken for, and meet the other processes; before JAX starts."""
    settled = jax.config.jax_num_cpu_devices  # pyright: ignore[reportAttributeAccessIssue]  jax adds it late
    if arguments.devices is not None and settled < 0:
        with suppress(RuntimeError):  # it has started, in a test say; then there are as many as there are
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
    """End this process, hard, where JAX cannot go on among several; its parent says what it was.

    Else JAX would wait, as Python ends, for processes that are lost.
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
    """Return what `arguments` say is divided among which devices; None where they say nothing of it.

    Raises:
        UsageError: there are fewer devices than asked for.
    """
    if arguments.tensor_parallel is not None:
        return tensor_parallel(arguments.tensor_parallel, arguments.devices)
    if arguments.devices is not None or arguments.processes is not None:
        return data_parallel(arguments.devices)
    return None


def described(layout: Layout) -> str:
    """Return in words which devices train."""
    axes = " × ".join(f"{n} {name}" for name, n in layout.mesh.shape.items())
    platform = jax.devices()[0].platform
    return f"{layout.mesh.size} {platform} devices ({axes}) in {_count(jax.process_count(), 'process')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 'es'}"


def _live_as_long_as_the_parent() -> None:
    """End this process, hard, as soon as its standard input ends, which its parent holds open."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _keep_standard_output_for_ourselves() -> None:
    """Let what the libraries below JAX print go nowhere, gloo's connections for one."""
    sys.stdout.flush()
    sys.stdout = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
