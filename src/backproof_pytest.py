"""The pytest plugin of backproof: derivations and rules as test items, reports as failures, and coverage.

It stands beside the package and imports neither it nor jax until a hook needs them, so that a suite without
backproof pays nothing for it. What it shows and counts is made in `backproof.coverage`.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from backproof.coverage.found import Found
    from backproof.coverage.plan import Plan
    from backproof.coverage.project import Project
    from backproof.coverage.tally import Tally

TABLE = b"tool.backproof"
ERROR = ("backproof.errors", "GradientError")
NAME = "backproof-run"
RUNS: "list[Run]" = []  # those under way in this process, the innermost one last
PARTIAL = "only a part of the tests ran, so gradients that were never verified are not listed"
FAILED, GOOD = pytest.ExitCode.TESTS_FAILED, (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("backproof", "backproof: gradients written by hand")
    add = group.addoption
    add("--backproof-examples", metavar="N", type=_reader("whole_number", 1),
        help="points drawn in every verification, whatever the tests say")  # fmt: skip
    add("--backproof-seed", metavar="S", type=_reader("seed"),
        help="seed of every verification, whatever the tests say")  # fmt: skip
    add("--backproof-budget", metavar="S", type=_reader("positive_number"),
        help="seconds after which a verification begins nothing new; for modules: 120")  # fmt: skip
    add("--backproof-coverage", metavar="MODULE", action="append", default=[],
        help="say which gradients written by hand in a module the tests verify, and which never")  # fmt: skip
    add("--backproof-require", action="store_true",
        help="fail if a gradient of the listed modules was never verified")  # fmt: skip
    add("--backproof-whole", action="store_true",
        help="list what was never verified, also if files or single tests are named")  # fmt: skip


def _reader(name: str, *least: int) -> Callable[[str], Any]:
    """Return a function that reads the text of an option as the command line of backproof does."""

    def read(text: str) -> Any:
        from backproof.cli import readers

        reading = getattr(readers, name)
        return (reading(*least) if least else reading)(text)

    return read


def pytest_configure(config: pytest.Config) -> None:
    """Begin: read the project's table, and hand the settings to the verifier."""
    _spare(config)
    config.pluginmanager.register(Run(config), NAME)


def _spare(config: pytest.Config) -> None:
    """Keep pytest from rewriting the assertions of backproof, as it does with every package of a plugin.

    Where no byte code is written, that costs two seconds in each process that imports the verifier.
    """
    hook = getattr(config.pluginmanager, "rewrite_hook", None)
    getattr(hook, "_must_rewrite", set()).discard("backproof")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the process as it was."""
    run = config.pluginmanager.unregister(name=NAME)
    if isinstance(run, Run):
        run.end()


class Run:
    """Holds one run of pytest in one process; its methods are the hooks."""

    def __init__(self, config: pytest.Config) -> None:
        """Read what the project and the options say; nothing is imported where they say nothing."""
        self.config = config
        self.found: list[Found] = []
        self._tally: Tally | None = None
        self._watch: Any = None
        self._ends: list[Callable[[], object]] = []
        self._told: set[str] = set()
        self._is_partial = False
        self._runs_tests = False
        self._is_planned = False
        self.project: Project | None = None
        self.derivations: set[Path] = set()
        try:
            self._read_project()
            self._begin()
        except BaseException:
            self.end()
            raise

    def _begin(self) -> None:
        """Change in the process what `end` undoes."""
        self._hear_apart()
        self._ask()
        self._keep_compiled()
        self._add_places()

    def _hear_apart(self) -> None:
        """Leave what an outer run, one of whose tests runs pytest, has heard so far to it."""
        session = sys.modules.get("backproof.session")
        if RUNS and session is not None:
            self._ends.append(session.hear_apart())
        RUNS.append(self)
        self._ends.append(lambda: RUNS.remove(self))

    def _read_project(self) -> None:
        given = self.config.inipath
        self.pyproject = self.config.rootpath / "pyproject.toml"
        if given is not None and given.name == "pyproject.toml":
            self.pyproject = given
        if self.pyproject.is_file() and TABLE in self.pyproject.read_bytes():
            from backproof.coverage.project import files_of_derivations, read

            self.project = _usage(read, self.pyproject)
            if self.project is not None:
                self.derivations = _usage(files_of_derivations, self.project)

    def _ask(self) -> None:
        names = ("examples", "seed", "budget")
        settings = {name: self.config.getoption(f"--backproof-{name}") for name in names}
        if any(value is not None for value in settings.values()):
            from backproof import session

            before = session.ask(session.Asked(**settings))
            self._ends.append(lambda: session.ask(before))

    @property
    def modules(self) -> list[str]:
        """The modules whose gradients are listed."""
        own = () if self.project is None else self.project.modules
        return [*own, *(self.config.getoption("--backproof-coverage") or ())]

    def _add_places(self) -> None:
        """Have a run of the whole suite collect what stands outside of the folders with tests."""
        if self.project is None and not self.modules:
            return
        from backproof.coverage.project import is_whole

        config = self.config
        folder, testpaths = config.invocation_params.dir, config.getini("testpaths")
        is_bare = config.args_source is pytest.Config.ArgsSource.TESTPATHS
        whole = is_bare or is_whole(config.args, folder, testpaths, config.rootpath)
        counts_as_whole = config.getoption("--backproof-whole")
        self._is_partial = not whole and not counts_as_whole
        if self.project is not None and (is_bare or (whole and not counts_as_whole)):
            places = [self.pyproject] if self.project.modules else []
            self.config.args += [str(file) for file in [*places, *sorted(self.derivations)]]

    def _keep_compiled(self) -> None:
        """Have every verification keep its compiled programs in pytest's own cache, if there is one."""
        cache = getattr(self.config, "cache", None)
        if self.project is None or not self.project.cache or cache is None:
            return
        from backproof import session

        try:
            folder = Path(cache.mkdir("backproof"))
        except OSError:  # nothing can be written there, as pytest warns by itself: nothing is kept
            return
        self._ends.append(session.stand_around(lambda: _kept_in(folder)))

    def end(self) -> None:
        """Undo what this run changed in the process."""
        if self._watch is not None:
            self._watch.end()
        while self._ends:
            self._ends.pop()()

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect the rules of the project's modules, and files with derivations."""
        if file_path == self.pyproject and self.project is not None and self.project.modules:
            from backproof.coverage.items import RulesFile

            return RulesFile.from_parent(parent, path=file_path, plans=self.plans)
        if self._is_named(file_path, parent) or file_path in self.derivations:
            from backproof.coverage.items import DerivationsFile

            return DerivationsFile.from_parent(parent, path=file_path)
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> Any:
        """Keep pytest from importing a file with derivations as a file of tests as well."""
        own = self._is_named(module_path, parent) or module_path in self.derivations
        if not own or self._is_test(module_path):
            return None
        from backproof.coverage.items import Nothing

        return Nothing.from_parent(parent, path=module_path)

    def _is_test(self, file: Path) -> bool:
        return any(fnmatch(file.name, pattern) for pattern in self.config.getini("python_files"))

    def _is_named(self, file: Path, parent: pytest.Collector) -> bool:
        """Return whether the command line names a file that has derivations and is no file of tests."""
        if file.suffix != ".py" or not parent.session.isinitpath(file) or self._is_test(file):
            return False
        text = file.read_bytes()
        return b"backproof" in text and b"derivation" in text

    def plans(self) -> "list[Plan]":
        """Return how the gradients of the listed modules are verified, and begin to watch them."""
        from backproof import session
        from backproof.cli.table import entries
        from backproof.coverage.found import find
        from backproof.coverage.plan import plans
        from backproof.coverage.watch import Watch

        self._is_planned = True
        folder = self.pyproject.parent
        for path in {str(folder), str(Path.cwd())} - {*sys.path}:  # what follows imports from there
            self._ends.append(lambda path=path: _without(path))
        table = {} if self.project is None else entries(self.project.rules)
        self.found = find(self.modules, folder)
        made = plans(self.found, table)
        self._watch = Watch(self.found)
        self._ends.append(session.stand_around(self._watch.aside))
        self.tally.expect(plan.listed(folder) for plan in made)
        return made

    def pytest_collection_modifyitems(self) -> None:
        """Find the gradients of the modules, where no item needed them."""
        is_listed = self.modules and not self._is_partial and self._would_run
        if (is_listed or self.config.getoption("--backproof-coverage")) and not self._is_planned:
            _usage(self.plans)

    @property
    def _would_run(self) -> bool:
        """Whether the options have pytest run tests, and not only collect them or set them up."""
        return not (self.config.option.collectonly or getattr(self.config.option, "setuponly", False))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Iterator[None]:
        """Note that the tests run; `--fixtures`, for example, ends before."""
        goes_on = not session.testsfailed or self.config.option.continue_on_collection_errors
        self._runs_tests = self._would_run and goes_on
        return (yield)

    def pytest_deselected(self) -> None:
        """Note that only a part of the tests runs."""
        self._is_partial = True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        """Watch which backward passes run in a test."""
        if self._watch is None:
            return (yield)
        self._watch.begin()
        try:
            return (yield)
        finally:
            self._watch.end()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        """Attach what was verified, and show a wrong gradient as its report, verdict first."""
        told = self._new()
        if told:
            from backproof.coverage.items import properties

            item.user_properties += properties(told)
        report = yield
        ran = set() if self._watch is None else self._watch.ran - self._told
        if told or ran:
            report.backproof = {"heard": told, "ran": sorted(ran)}
            self._told |= ran
        error: Any = None if call.excinfo is None else call.excinfo.value
        if report.failed and (type(error).__module__, type(error).__name__) == ERROR:
            from backproof.coverage.items import show_verdict

            show_verdict(report.longrepr, error)
        return report

    def _new(self) -> list[dict[str, Any]]:
        """Return what was verified since the last call; nothing where the verifier was never imported."""
        session = sys.modules.get("backproof.session")
        heard = [] if session is None else session.take()
        if not heard:
            return []
        from backproof.coverage.tally import plain

        if not self.found:
            return [plain(one, [], []) for one in heard]
        from backproof.coverage.found import judged_by

        return [plain(one, *judged_by(one, self.found)) for one in heard]

    @property
    def tally(self) -> "Tally":
        """What was heard so far, in all processes."""
        if self._tally is None:
            from backproof.coverage.tally import Tally

            self._tally = Tally()
        return self._tally

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather what a test gave, in whichever process it ran."""
        given: Mapping[str, Any] | None = getattr(report, "backproof", None)
        if given is not None:
            self.tally.add(given["heard"], given["ran"])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Gather what a process of pytest-xdist found."""
        given = getattr(node, "workeroutput", {}).get("backproof")
        if given is not None:
            self.tally.expect(given["listed"])
            self._is_partial |= given["partial"]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Send what was found, or fail if a gradient must be verified and was not."""
        self._is_partial |= bool(session.shouldstop or session.shouldfail)
        output = getattr(self.config, "workeroutput", None)
        if output is not None:
            listed = [] if self._tally is None else [dict(one) for one in self._tally.listed.values()]
            output["backproof"] = {"listed": listed, "partial": self._is_partial}
            return
        if not self._runs_tests:
            return
        required = self.config.getoption("--backproof-require") or (self.project and self.project.require)
        missing = required and self._tally is not None and not self._is_partial and self._tally.required
        if missing and session.exitstatus in GOOD:
            session.exitstatus = FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the closing lines."""
        if self.modules and self._runs_tests:
            listed = self._tally is not None and self._tally.listed
            for line in [PARTIAL] if self._is_partial else self.tally.coverage() if listed else []:
                terminalreporter.write_line(f"backproof: {line}" if not line.startswith(" ") else line)
        if self._tally is not None and self._tally.heard:
            terminalreporter.write_line(f"backproof: {self._tally.closing()}")


def _usage(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function returns; misuse of backproof is misuse of pytest."""
    from backproof.errors import UsageError

    try:
        return function(*args)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def _without(path: str) -> None:
    """Take a folder out of the path of modules, where it still is in it."""
    with contextlib.suppress(ValueError):
        sys.path.remove(path)


def _kept_in(folder: Path) -> Any:
    """Return the context in which compiled programs are kept; a verification imports jax anyway."""
    from backproof.coverage.compiled import kept_in

    return kept_in(folder)
