"""Ctrl-C: what is known is printed, no process is left, and nobody sees a traceback."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from backproof.catalogue import SHIPPED
from backproof.cli.workers import in_background, in_processes

INTERRUPTED = 130
# The command, which says when it asks for the first report.
BEGINNING = """
import sys
from backproof.cli import verify
reports = verify.reports

def telling(*given):
    print("begun", flush=True)
    yield from reports(*given)

verify.reports = telling
from backproof.cli import main
sys.exit(main())
"""


def test_what_is_made_in_the_background_comes_in_order_and_so_does_its_error():
    assert list(in_background(range(5))) == [0, 1, 2, 3, 4]

    def failing():
        yield 1
        raise ValueError("planted")

    found = in_background(failing())
    assert next(found) == 1
    with pytest.raises(ValueError, match="planted"):
        next(found)


def test_the_thread_that_waits_hears_an_interrupt_while_the_other_does_not_return():
    let_go = threading.Event()

    def stuck():
        let_go.wait()
        yield 1

    main = threading.main_thread().ident
    threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        list(in_background(stuck()))
    let_go.set()


def test_processes_give_their_results_in_order_and_are_killed_when_nobody_listens():
    assert list(in_processes(abs, range(-4, 0), jobs=2)) == [4, 3, 2, 1]
    found = in_processes(time.sleep, itertools.chain([0], [10_000] * 3), jobs=2)
    assert next(found) is None
    with pytest.raises(KeyboardInterrupt):
        found.throw(KeyboardInterrupt)  # it would not return before the processes end


@pytest.mark.as_user
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_command_that_is_interrupted_prints_what_it_knows(jobs, tmp_path):
    command = [sys.executable, "-c", BEGINNING, "verify", "--jobs", jobs, "--examples", "20"]
    run = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert run.stdout.readline() == "begun\n"
    os.killpg(run.pid, signal.SIGINT)
    said, errors = run.communicate(timeout=60)
    assert run.returncode == INTERRUPTED
    assert f"of {len(SHIPPED)} verified" in said
    assert errors == "backproof: error: interrupted\n"
