"""A project on disk, whose package is forgotten after each test; and the folder of these tests."""

import pathlib
import sys

import jax
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def compiler():
    """Load what compiles: pytester forgets what its run imports, and this part of jax loads only once."""
    jax.jit(lambda x: x + 1)(1)


@pytest.fixture
def project(tmp_path, monkeypatch):
    from projects import written

    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("my_package")}
    yield lambda **files: written(tmp_path, **files)
    for name in [name for name in sys.modules if name.startswith("my_package")]:
        del sys.modules[name]
    sys.modules.update(before)
