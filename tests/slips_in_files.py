"""A rule or a loss with a slip in the text of its file: does the report on it name the line?"""

import importlib.util
import inspect
import itertools
import pathlib

from backproof.verification import Verdict, verify

COUNT = itertools.count()


def assert_named(rule, right, wrong, folder, made=None, **settings):
    """Return the report on a slip; assert that it is WRONG and that its line is named, or among those named.

    Args:
        rule: a rule or a loss that is shipped.
        right: text of one line of its file, which stands there once.
        wrong: the text in its place.
        folder: a path for a copy of the file, e.g. `tmp_path` of pytest.
        made: `module -> rule`, the same rule of the copied module; None takes what has the rule's name there.
        settings: those of `verify`.
    """
    path = pathlib.Path(inspect.getsourcefile(inspect.unwrap(rule.backward)))
    text = path.read_text(encoding="utf-8")
    assert text.count(right) == 1, f"{right!r} stands {text.count(right)} times in {path.name}"
    line = text[: text.index(right)].count("\n") + 1
    module = _loaded(folder / f"slip_{next(COUNT)}{path.stem}.py", text.replace(right, wrong))
    slipped = made(module) if made else getattr(module, rule.name)
    report = verify(slipped, **{"dtypes": (), "second_order": False, **settings})
    assert report.verdict is Verdict.WRONG, str(report)
    assert report.blame is not None, str(report)
    assert report.blame.line in (line, None), str(report)
    assert line in (report.blame.line, *report.blame.lines), str(report)
    return report


def _loaded(path, text):
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
