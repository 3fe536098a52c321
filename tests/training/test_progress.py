"""A bar is shown in a terminal, and nowhere else unless it is asked for."""

import io

from rich.console import Console

from backproof.training import Epoch
from backproof.training.progress import bar

EPOCHS = [Epoch(1, 0.5, 0.75), Epoch(2, 0.25, None)]


def test_without_a_terminal_there_is_no_bar():
    with bar(2, None, None) as told:
        assert told is None
    with bar(2, False, print) as told:
        assert told is print


def test_the_bar_shows_loss_and_metric_and_passes_epochs_on():
    terminal, seen = Console(file=io.StringIO(), force_terminal=True, width=100), []
    with bar(2, True, seen.append, terminal) as told:
        for epoch in EPOCHS:
            told(epoch)
    said = terminal.file.getvalue()
    assert seen == EPOCHS
    assert "loss 0.25" in said
    assert "2/2" in said


def test_a_caller_who_prints_gets_no_bar_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with bar(2, None, print) as told:
        assert told is print
