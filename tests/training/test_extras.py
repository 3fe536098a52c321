"""Optional packages: training works without them, and says which one a call needs."""

import subprocess
import sys

import pytest
from samples import MEAN_CROSS_ENTROPY, draw

import backproof as bp
from backproof.errors import CheckpointError, UsageError
from backproof.training import Arrays, Checkpoints, Data, Stream, extras, fit

NETWORK = bp.mlp((3, 4, 2), bp.rules.relu)


@pytest.fixture
def _nothing_installed(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)


@pytest.mark.usefixtures("_nothing_installed")
def test_without_orbax_one_line_says_what_to_install(tmp_path):
    with pytest.raises(CheckpointError, match=r'orbax-checkpoint.* pip install "backproof\[checkpoints\]"'):
        fit(NETWORK, MEAN_CROSS_ENTROPY, Data(*draw()), epochs=1, checkpoints=Checkpoints(tmp_path))


@pytest.mark.usefixtures("_nothing_installed")
def test_without_grain_one_line_says_what_to_install():
    with pytest.raises(UsageError, match=r'needs the package grain.* pip install "backproof\[streaming\]"'):
        fit(NETWORK, MEAN_CROSS_ENTROPY, Stream(Arrays(*draw())), epochs=1)


def test_training_imports_neither_orbax_nor_grain_until_it_saves_or_streams():
    code = "import sys; from backproof import training; print({'orbax', 'grain'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "set()\n"
