"""`backproof train` on several devices and in several processes: what is said, and with which exit status."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from backproof.cli import main, processes

SMALL = ["train", "--layers", "5", "--batch-size", "256"]


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Return what lets a child run a few lines of sh in place of backproof; `$number` is its own."""

    def write(text):
        path = tmp_path / "child"
        path.write_text(f'#!/bin/sh\nfor i in "$@"; do number=$i; done\n{text}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(path))

    return write


def test_a_process_that_is_killed_ends_the_others_and_one_line_says_so(script, capfd):
    script("[ $number = 1 ] && kill -9 $$; exec sleep 100")
    assert main(["train", "--processes", "3"]) == 1
    assert capfd.readouterr().err == (
        "backproof: error: train: all 3 processes must run to the end, but found process 1 ended by SIGKILL; "
        "the others were ended; run the same command again, and it begins anew, as nothing is saved\n"
    )


def test_a_process_of_several_machines_says_why_it_could_not_go_on(script, capfd):
    again = "start every process again as before, and it begins anew, as nothing is saved\n"
    argv = ["train", "--coordinator", "localhost:1", "--processes", "2", "--process", "0"]
    script(f"echo 'lost: Gloo: reset by peer' >&2; exit {processes.LOST}")
    assert main(argv) == 1
    assert capfd.readouterr().err.endswith(
        f"found process 0 ended by JAX, as another was lost (Gloo: reset by peer); {again}"
    )
    script("echo 'warning: mine' >&2; echo 'F1124 coordination_service: stack' >&2; kill -6 $$")
    assert main(argv) == 1
    said = capfd.readouterr().err
    assert said.startswith("warning: mine\nbackproof: error: ")
    assert said.endswith(f"found process 0 ended by JAX, as another was lost; {again}")
    script(f"echo 'lost: RESOURCE_EXHAUSTED: out of memory' >&2; exit {processes.LOST}")
    assert main(argv) == 1
    assert "ended by JAX (RESOURCE_EXHAUSTED: out of memory); start" in capfd.readouterr().err


@pytest.mark.parametrize("who", ["0", "1", "[01]"])
def test_a_mistake_in_the_command_is_said_once(who, script, capfd, monkeypatch):
    monkeypatch.setattr(processes, "WHILE_OTHERS_END", 0.5)
    script(f"case $number in {who}) echo my mistake >&2; exit 2;; esac; exec sleep 100")
    assert main(["train", "--processes", "2"]) == 2
    assert capfd.readouterr().err == "my mistake\n"


def test_what_all_processes_do_well_is_printed_once(script, capfd):
    script("echo from $number; echo warning from $number >&2")
    assert main(["train", "--processes", "2"]) == 0
    assert capfd.readouterr() == ("from 0\n", "warning from 0\n")


@pytest.mark.parametrize(
    "flags",
    [
        ["--process", "0"],
        ["--coordinator", "a:1"],
        ["--coordinator", "a:1", "--processes", "2"],
        ["--coordinator", "a:1", "--processes", "2", "--process", "2"],
    ],
)
def test_flags_that_do_not_fit_together_are_refused(flags, capsys):
    assert main(["train", *flags]) == 2
    assert "need all of --coordinator, --processes N and --process" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["host", "host:", ":1", "host:0", "host:70000", "host:x"])
def test_an_address_is_a_host_and_a_port(text, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--coordinator", text])
    assert "must be host:port, but found" in capsys.readouterr().err


def test_one_device_named_is_the_same_training_as_none_named(capsys):
    lines = []
    for flags in ([], ["--devices", "1"], ["--tensor-parallel", "1"]):
        assert main([*SMALL, "--epochs", "1", *flags]) == 0
        lines.append(capsys.readouterr().out.splitlines())
    plain, data, model = lines
    assert data[1] == "on 1 cpu devices (1 data) in 1 process"
    assert model[1] == "on 1 cpu devices (1 data × 1 model) in 1 process"
    assert plain[1] == data[2] == model[2]


def test_more_devices_than_there_are_is_one_clear_line(capsys):
    """JAX has started in this process, so that it is too late to take the CPU for more."""
    assert main(["train", "--devices", "100000"]) == 2
    assert "there must be 100000 devices in each process, but found" in capsys.readouterr().err


def test_of_two_real_processes_one_is_killed():
    """Both train, on two devices each; the second is killed once the first has shown an epoch."""
    command = [sys.executable, "-m", "backproof", *SMALL, "--epochs", "100000", "--processes", "2"]
    # with programs from a cache at hand, gloo was seen to end a process over messages out of their order
    compiling = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    pipe = subprocess.PIPE
    run = subprocess.Popen([*command, "--devices", "2"], stdout=pipe, stderr=pipe, text=True, env=compiling)
    try:
        seen = [run.stdout.readline() for _ in range(3)]
        assert seen[1] == "on 4 cpu devices (4 data) in 2 processes\n", run.communicate()
        assert seen[2].startswith("epoch      1/100000   loss ")
        table = subprocess.run(
            ["ps", "-wwAo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        )
        ours = [line.split() for line in table.stdout.splitlines() if line.split()[1] == str(run.pid)]
        (second,) = (int(pid) for pid, _, *args in ours if args[-2:] == ["--process", "1"])
        os.kill(second, signal.SIGKILL)
        assert run.communicate()[1] == (
            "backproof: error: train: all 2 processes must run to the end, but found process 1 ended by "
            "SIGKILL; the others were ended; run the same command again, and it begins anew, as nothing "
            "is saved\n"
        )
        assert run.returncode == 1
    finally:
        run.kill()
        run.communicate()
