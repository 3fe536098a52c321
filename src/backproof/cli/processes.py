"""One experiment in several processes, which this module starts and watches, reporting what happened.

When a process is lost, JAX aborts the processes that are joined to it, in the middle of a computation and
with a C++ stack trace, so that none of them can report what happened. Each is therefore the child of a
process without JAX's runtime, which reports it. With `--coordinator` there is one child here, and the
other processes run elsewhere.
"""

import argparse
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from backproof.errors import ProcessLostError, UsageError, message

# Words in the runtime's messages about lost processes; one line of our own replaces them and the stack.
RUNTIME = ("coordination_service", "coordination service", "JAX distributed service")
# The exit status of a child in which JAX cannot go on, and the start of its last line.
LOST, LOST_BECAUSE = 75, "lost: "
LOST_ANOTHER = (LOST, -signal.SIGABRT)
WHILE_OTHERS_END = 5.0  # seconds; an error in the command ends every process


@dataclass
class Child:
    """Holds one process that was started here.

    Attributes:
        number: its number among all processes, from 0.
        process: the running process.
        shown: whether its standard error is passed on as it comes.
        said: the last lines of its standard error.
        reason: why JAX could not go on; empty unless the child said so.
    """

    number: int
    process: subprocess.Popen[str]
    shown: bool
    said: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    reason: str = ""

    def __post_init__(self) -> None:
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def end(self) -> None:
        """End the process unless it has ended, and finish reading its standard error."""
        self.process.kill()
        self.process.wait()
        self._listener.join()
        for pipe in (self.process.stdin, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        """Read the standard error of the process until it ends."""
        for line in self.process.stderr or ():
            if line.startswith(LOST_BECAUSE):
                self.reason = line.removeprefix(LOST_BECAUSE).strip()
                break
            if any(word in line for word in RUNTIME):
                break
            self.said.append(line)
            if self.shown:
                sys.stderr.write(line)
                sys.stderr.flush()
        for _ in self.process.stderr or ():  # read on, or the process could block
            pass


def has_children(arguments: argparse.Namespace) -> bool:
    """Return whether this process must start others.

    Raises:
        UsageError: the flags do not fit together.
    """
    asked = (arguments.coordinator, arguments.process)
    if asked == (None, None):
        return arguments.processes is not None
    if None in asked or arguments.processes is None or arguments.process >= arguments.processes:
        given = {name: getattr(arguments, name) for name in ("coordinator", "processes", "process")}
        raise UsageError(
            message(
                must="several machines need all of --coordinator, --processes N and --process 0 … N−1",
                found=", ".join(f"--{name} {value}" for name, value in given.items() if value is not None),
                where="train",
                do="give all three; or --processes N alone, for N processes on this machine",
            )
        )
    return not arguments.child


def supervise(arguments: argparse.Namespace) -> int:
    """Start the processes that run on this machine, wait for them, and return their exit status.

    Raises:
        ProcessLostError: one of them was ended from outside; the others are then ended too.
    """
    alone = arguments.process is not None
    numbers = (arguments.process,) if alone else range(arguments.processes)
    children = _started(arguments.argv, numbers, arguments.coordinator or f"127.0.0.1:{_free_port()}")
    try:
        failed = _first_failed(children)
        if failed is None:
            return 0
        if failed.process.returncode > 0 and failed.process.returncode != LOST:
            return _own_mistake(failed, children)
        failed.end()
        raise ProcessLostError(_lost(arguments, failed, alone))
    finally:
        for child in children:
            child.end()


def _started(argv: list[str], numbers: Iterable[int], coordinator: str) -> list[Child]:
    children = []
    for number in numbers:
        command = [sys.executable, "-m", "backproof", *argv, "--child"]
        command += ["--coordinator", coordinator, "--process", str(number)]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # held open: it ends when this process does
            stdout=None if number == 0 else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # so that only the parent is interrupted
        )
        children.append(Child(number, process, shown=not children))
    return children


def _first_failed(children: list[Child]) -> Child | None:
    """Wait until all end well (None) or one fails; of several, return one that did not just lose another."""
    while True:
        statuses = [child.process.poll() for child in children]
        failed = [child for child in children if child.process.returncode]
        if failed:
            return min(failed, key=lambda child: child.process.returncode in LOST_ANOTHER)
        if None not in statuses:
            return None
        time.sleep(0.05)


def _own_mistake(failed: Child, children: list[Child]) -> int:
    """Return the exit status of a process that ended by itself, after showing its error text once."""
    until = time.monotonic() + WHILE_OTHERS_END
    while children[0].process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    told = bool(children[0].process.returncode)
    failed.end()
    if not told:
        sys.stderr.writelines(failed.said)
    return failed.process.returncode


def _lost(arguments: argparse.Namespace, failed: Child, alone: bool) -> str:
    status, reason = failed.process.returncode, failed.reason
    if status in LOST_ANOTHER:
        another = ", as another was lost" if not reason or "gloo" in reason.lower() else ""
        by = f"JAX{another}{f' ({reason})' if reason else ''}"
    else:
        by = signal.Signals(-status).name
    folder = getattr(arguments, "checkpoints", None)
    again = (
        "start every process again as before"
        if alone
        else "the others were ended; run the same command again"
    )
    resumes = (
        f"it resumes from the last checkpoint in {folder}"
        if folder
        else "it begins anew, as nothing is saved"
    )
    return message(
        must=f"all {arguments.processes} processes must run to the end",
        found=f"process {failed.number} ended by {by}",
        where="train",
        do=f"{again}, and {resumes}",
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
