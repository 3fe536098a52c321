"""`backproof verify --formal`, with stand-ins for Coq: nobody needs Coq to run these tests."""

import subprocess
import sys

import pytest

from backproof.cli import formal, main

PROJECT = "proofs/formal/_CoqProject"


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder that looks like a clone, in which every tool seems to be installed."""
    (tmp_path / "proofs" / "formal").mkdir(parents=True)
    (tmp_path / PROJECT).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(formal.shutil, "which", lambda tool: f"/bin/{tool}")
    return tmp_path


@pytest.mark.parametrize(("made", "status"), [(0, 0), (2, 1)])
def test_the_status_is_that_of_the_check(clone, monkeypatch, made, status):
    asked = []

    def make(command, cwd, check):
        asked.append((command, cwd))
        return subprocess.CompletedProcess(command, made)

    monkeypatch.setattr(formal.subprocess, "run", make)
    assert main(["verify", "--formal"]) == status
    assert asked == [(["make", "check"], clone / "proofs" / "formal")]


def test_without_coq_it_says_what_to_install(clone, monkeypatch, capsys):
    monkeypatch.setattr(formal.shutil, "which", lambda tool: None if tool == "coqc" else "/bin/tool")
    assert main(["verify", "--formal"]) == 2
    said = capsys.readouterr().err
    assert "found no coqc;" in said
    assert "apt-get install --no-install-recommends coq libcoq-mathcomp-analysis make" in said


@pytest.mark.parametrize("beside", [["m:f"], ["--self-test"], ["--examples", "3"]])
def test_it_stands_alone(clone, capsys, beside):
    assert main(["verify", "--formal", *beside]) == 2
    assert "--formal must stand alone" in capsys.readouterr().err


def test_the_development_is_found_from_a_folder_below(clone):
    (below := clone / "a" / "b").mkdir(parents=True)
    assert formal.development(below) == clone / "proofs" / "formal"


def test_outside_a_clone_it_says_where_the_proofs_are(tmp_path, monkeypatch):
    monkeypatch.setattr(formal, "__file__", str(tmp_path / "site-packages" / "formal.py"))
    with pytest.raises(formal.UsageError, match="run this in a clone"):
        formal.development(tmp_path)


def test_it_runs_without_jax(clone):
    code = (
        "import sys, backproof.cli.formal as formal\n"
        "formal.shutil.which = lambda tool: None\n"
        "from backproof.cli import main\n"
        "assert main(['verify', '--formal']) == 2\n"
        "assert not {'jax', 'rich', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
