"""The parser of the command line. It imports no heavy module, so that `--help` answers at once."""

import argparse
from pathlib import Path

from backproof import __version__
from backproof.cli.readers import (
    address,
    names,
    new_file,
    positive_number,
    positive_numbers,
    seed,
    whole_number,
    widths,
)
from backproof.cli.spelling import Parser

OPTIMIZER_NAMES = ("sgd", "in-sweep-sgd", "momentum", "adam", "adamw")


def build_parser() -> Parser:
    """Return the parser of all commands; `arguments.command` is the name of the chosen one, or None."""
    parser = Parser(
        prog="backproof",
        usage="%(prog)s [--version] [--help] COMMAND …",
        description="Write the gradient by hand; know that it is right.",
        epilog="Exit status: 0 all good, 1 something is wrong or inconclusive, 2 usage.",
    )
    parser.add_argument("--version", action="version", version=f"backproof {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", prog="backproof")
    parser.commands = commands.choices
    _add_verify(commands.add_parser("verify", help="check gradients and derivations written by hand"))
    _add_show(commands.add_parser("show", help="read derivations with the verdict on each line"))
    _add_audit(
        commands.add_parser("audit", help="plant slips in a gradient, to see whether its test sees them")
    )
    _add_coverage(
        commands.add_parser("coverage", help="list a project's gradients and what its tests verify")
    )
    _add_train(commands.add_parser("train", help="train a network with hand-written gradients"))
    _add_predict(commands.add_parser("predict", help="use a network that was trained and saved"))
    _add_bench(commands.add_parser("bench", help="measure hand sweep and autodiff on this device"))
    return parser


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] [module:function | PATH …]"
    parser.description = (
        "Check hand-written gradients against autodiff: all the shipped ones, or your own. "
        "For derivations in files, line by line: backproof verify my_derivation.py. For a function that "
        "carries its own rule: backproof verify my_kernels:layernorm --args 'f32[b,n] f32[n]'. "
        "For a derivative that is a separate function: --of my_kernels:f --vjp my_kernels:f_vjp --args …"
    )
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="module:function|PATH",
        help="a Rule, a Loss, a jax.custom_vjp or custom_jvp; or files and folders with derivations",
    )
    parser.add_argument("--of", metavar="module:function", help="the plain function")
    for way, form in (("vjp", "(args, cotangent)"), ("grad", "(*args)"), ("jvp", "(args, tangents)")):
        parser.add_argument(f"--{way}", metavar="module:function", help=f"its {way} by hand: {way}{form}")
    parser.add_argument(
        "--args", metavar="SPECS", help="the arguments, e.g. 'f32[b,n] i32[b]>=0<n 1e-6 axis=-1'"
    )
    parser.add_argument(
        "--slips",
        action="store_true",
        help="plant slips in every line of the derivations, and count those that are named",
    )
    parser.add_argument("--self-test", action="store_true", help="run the verifier on its own cases")
    parser.add_argument(
        "--full",
        action="store_true",
        help="with --self-test: every mutant, and 313 seeds for each shipped rule (hours)",
    )
    parser.add_argument(
        "--seeds", metavar="N", type=whole_number(0), help="with --self-test: seeds for each shipped rule"
    )
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=whole_number(1),
        help="processes that share the shipped catalogue; default: one per CPU core, or 1 on a GPU or TPU",
    )
    parser.add_argument(
        "--formal",
        action="store_const",
        dest="command",  # another module runs, which does not import jax
        const="formal",
        default=argparse.SUPPRESS,
        help="check the machine-checked proofs, in a clone and with Coq installed",
    )
    parser.add_argument(
        "--json", metavar="FILE", type=new_file, help="also write the reports to FILE as JSON"
    )
    parser.add_argument(
        "--jsonl", action="store_true", help="print each report as one line of JSON, and nothing else"
    )
    parser.add_argument(
        "--html", metavar="FILE", type=new_file, help="also write a page to FILE; needs backproof[html]"
    )
    parser.add_argument(
        "--compilation-cache",
        metavar="DIR",
        type=Path,
        help="where compiled programs are kept for the next run; default: a folder in your cache",
    )
    parser.add_argument(
        "--no-compilation-cache", action="store_true", help="keep no compiled programs on disk"
    )
    parser.add_argument(
        "--budget",
        metavar="S",
        type=positive_number,
        default=120.0,
        help="seconds after which nothing new is begun for a rule; default: %(default)g",
    )
    parser.add_argument("--examples", metavar="N", type=whole_number(1), help="examples tried for each rule")
    parser.add_argument("--seed", metavar="S", type=seed, default=0, help="default: %(default)s")


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] PATH …"
    parser.description = (
        "Show derivations for reading: the prose, then each line's formula, its reason and its verdict."
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="a Python file or a folder")
    parser.add_argument("--markdown", action="store_true", help="print Markdown with LaTeX formulas")
    parser.add_argument(
        "--watch", action="store_true", help="show what has changed each time that a file is saved"
    )
    parser.add_argument("--seed", metavar="S", type=seed, default=0, help="default: %(default)s")


def _add_audit(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] PATH::TEST"
    parser.description = (
        "Run your own gradient test against slips planted in the rule under test, and list those that it "
        "lets pass. Exit status: 0 only if it sees every slip, 1 if not, 2 if it does not pass as it is."
    )
    add = parser.add_argument
    add("test", metavar="PATH::TEST", help="a test of pytest, e.g. tests/test_kernels.py::test_layernorm")
    add("--rule", metavar="module:name", action="append",
        help="where slips are planted; default: each custom_vjp, custom_jvp, Rule and Loss that the test "
        "differentiates; needed for a plain function; may be repeated")  # fmt: skip
    add("--cotangent", metavar="NAME", help="the parameter of a plain function that takes the cotangent")
    add("--slips", metavar="NAME,…", type=names, help="the kinds of slips to plant; default: all")
    add("--no-tolerances", action="store_true", help="do not search how loose the tolerance is")
    add("--timeout", metavar="S", type=positive_number,
        help="seconds after which a run of the test is ended; default: 30, or 20 times its own")  # fmt: skip
    add("--budget", metavar="S", type=positive_number, default=600.0,
        help="seconds after which no further slip is planted; default: %(default)g")  # fmt: skip
    add("--json", metavar="FILE", type=new_file, help="also write the report to FILE as JSON")


def _add_coverage(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options] [MODULE …]"
    parser.description = (
        "List the gradients written by hand in modules (jax.custom_vjp, jax.custom_jvp, Rule, Loss), and how "
        "each can be verified. With --tests: run the tests, and say which of them were verified."
    )
    add = parser.add_argument
    add("modules", nargs="*", metavar="MODULE", help="default: those of [tool.backproof] in pyproject.toml")
    add(
        "--tests",
        nargs="*",
        metavar="PATH",
        help="run these tests by pytest, or all, and count what they verify",
    )


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options]"
    parser.description = (
        "Train a fully connected network on labelled samples, one in five of them held out. "
        "Without --data: 1,797 handwritten digits that come with backproof."
    )
    add = parser.add_argument
    add("--data", metavar="FILE", nargs="+", type=Path, default=[],
        help="an .npz with arrays x and y, a .csv with a header, or two IDX files: images, "
        "labels")  # fmt: skip
    add("--target", metavar="COLUMN",
        help="the column of a .csv that is predicted; default: y, else the last")  # fmt: skip
    add("--loss", choices=("softmax_cross_entropy", "half_squared_error"), default="softmax_cross_entropy",
        help="the first for labels, the second for numbers; default: %(default)s")  # fmt: skip
    add("--network", metavar="MODULE:NAME",
        help="a network of your own: a Rule on rows of numbers, or a function that returns it for the number "
        "of classes; default: fully connected layers")  # fmt: skip
    add("--layers", metavar="N,N,…", type=widths,
        help="widths of the hidden layers; default: 128,128")  # fmt: skip
    add("--activation", metavar="NAME",
        help="activation of the hidden layers; default: relu")  # fmt: skip
    add("--optimizer", choices=OPTIMIZER_NAMES, help="default: sgd for labels, adam for numbers")
    add("--learning-rate", metavar="RATE[,RATE…]", type=positive_numbers,
        help="default: 0.1 for sgd, and a suitable rate for the others; several make a sweep")  # fmt: skip
    add("--epochs", metavar="N", type=whole_number(1), default=40,
        help="passes over the data; default: %(default)s")  # fmt: skip
    add("--batch-size", metavar="N", type=whole_number(1), default=32,
        help="samples per step; default: %(default)s")  # fmt: skip
    add("--seed", metavar="S", type=seed, default=0,
        help="seed of the split, the initial parameters and the order; default: %(default)s")  # fmt: skip
    add("--seeds", metavar="N", type=whole_number(1), default=1,
        help="train at N seeds, from --seed on, in one program; default: %(default)s")  # fmt: skip
    add("--patience", metavar="N", type=whole_number(1),
        help="stop when test accuracy or loss has not improved for N epochs, and keep the best")  # fmt: skip
    add("--checkpoints", metavar="DIR", type=Path,
        help="save checkpoints to DIR while training, and resume from the last one there")  # fmt: skip
    add("--save", metavar="MODEL.npz", type=new_file,
        help="write the trained network to a file, for backproof predict")  # fmt: skip
    add("--plot", metavar="FILE.png", type=new_file,
        help="draw loss and metric over the epochs; needs backproof[plot]")  # fmt: skip
    add("--log", metavar="DIR", type=Path,
        help="write the epochs to DIR for TensorBoard; needs backproof[tensorboard]")  # fmt: skip
    _add_devices(parser)


def _add_devices(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "devices",
        "Each batch is divided among the devices of all processes. On several machines the same command "
        "runs on each, with the address of process 0 and a --process of its own.",
    )
    add = group.add_argument
    add("--devices", metavar="N", type=whole_number(1),
        help="devices of each process; a CPU counts as N devices")  # fmt: skip
    add("--tensor-parallel", metavar="M", type=whole_number(1),
        help="devices that share the weights of every layer; default: each holds all weights")  # fmt: skip
    add("--processes", metavar="N", type=whole_number(1),
        help="number of processes; all run on this machine unless --coordinator is given")  # fmt: skip
    add(
        "--coordinator", metavar="HOST:PORT", type=address, help="where process 0 runs, and a free port there"
    )
    add("--process", metavar="I", type=whole_number(0), help="which process this is, from 0")
    add("--child", action="store_true", help=argparse.SUPPRESS)  # --processes adds it


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s MODEL.npz --data FILE … [options]"
    parser.description = (
        "Print, as CSV, the predicted class and its probability for each row of the data, or the predicted "
        "numbers, using a network that backproof train --save wrote. Inputs are standardised as they were in "
        "training."
    )
    add = parser.add_argument
    add("model", metavar="MODEL.npz", type=Path, help="a file that backproof train --save wrote")
    add("--data", metavar="FILE", nargs="+", type=Path, required=True,
        help="an .npz with an array x, a .csv with a header, or an IDX file of images; with labels (y in the "
        ".npz, a column in the .csv, a second IDX file) the accuracy is printed as well")  # fmt: skip
    add("--target", metavar="COLUMN", help="the column of a .csv that has the labels")
    add("--network", metavar="MODULE:NAME", help="the network, if it is one of your own, as in training")
    add("--output", metavar="FILE.csv", type=new_file, help="write the lines to a file instead")


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.usage = "%(prog)s [options]"
    parser.description = (
        "Measure, interleaved on this device, the hand-written sweep against jax.grad of the same network, "
        "and both against the matrix-multiplication limit: time, compile time, temporary memory, operations. "
        "The default sizes take about five minutes on two CPU cores, those of --full an hour or more."
    )
    add = parser.add_argument
    for axis, of in (
        ("widths", "width of every layer"),
        ("depths", "number of weight layers"),
        ("batches", "samples per step"),
    ):
        add(f"--{axis}", metavar="N,N,…", type=widths, help=of)
    add("--dtypes", metavar="NAME,…", type=names, help="dtypes out of float32, bfloat16 and float16")
    add("--full", action="store_true", help="widths 64 to 4096, depths 2 to 1000, batches 1 to 4096")
    add("--seconds", metavar="S", type=positive_number, default=0.4,
        help="how long each size is timed; default: %(default)s")  # fmt: skip
    add("--longest-step", metavar="S", type=positive_number,
        help="leave out sizes whose step would take longer; default: 0.2, or 10 with --full")  # fmt: skip
    add("--peers", action="store_true",
        help="also train on the digits with PyTorch, flax and equinox, where they are installed")  # fmt: skip
    add("--verify", action="store_true",
        help="measure instead what a verdict costs, beside jax.test_util.check_grads")  # fmt: skip
    add("--json", metavar="FILE", type=new_file, help="also write all results to FILE as JSON")
    add("--plot", metavar="FILE.png", type=new_file, help="draw the results; needs backproof[plot]")
