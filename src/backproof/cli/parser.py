"""The parser of the command line. It imports no heavy module, so that `--help` answers at once."""

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path

from backproof import __version__

OPTIMIZER_NAMES = ("sgd", "in-sweep-sgd", "momentum", "adam", "adamw")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; `arguments.command` is the name of the chosen one, or None."""
    parser = argparse.ArgumentParser(
        prog="backproof",
        description="Write the gradient by hand; know that it is right.",
        epilog="Exit status: 0 all good, 1 something is wrong or inconclusive, 2 usage.",
    )
    parser.add_argument("--version", action="version", version=f"backproof {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_verify(commands.add_parser("verify", help="check gradients and derivations written by hand"))
    _add_show(commands.add_parser("show", help="read derivations with the verdict on each line"))
    _add_train(commands.add_parser("train", help="train a network with hand-written gradients"))
    _add_predict(commands.add_parser("predict", help="use a network that was trained and saved"))
    _add_bench(commands.add_parser("bench", help="measure hand sweep and autodiff on this device"))
    return parser


def _add_verify(parser: argparse.ArgumentParser) -> None:
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
    parser.description = (
        "Show derivations for reading: the prose, then each line's formula, its reason and its verdict."
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", type=Path, help="a Python file or a folder")
    parser.add_argument("--markdown", action="store_true", help="print Markdown with LaTeX formulas")
    parser.add_argument(
        "--watch", action="store_true", help="show what has changed each time that a file is saved"
    )
    parser.add_argument("--seed", metavar="S", type=seed, default=0, help="default: %(default)s")


def _add_train(parser: argparse.ArgumentParser) -> None:
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


def whole_number(least: int) -> Callable[[str], int]:
    """Return a function that reads a whole number of at least `least`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number of at least {least}, but found {text!r}"
            )
        return int(text)

    return read


def seed(text: str) -> int:
    """Read a whole number that a key of jax.random can hold: 32 bits."""
    number = whole_number(0)(text)
    if number >= 2**32:
        raise argparse.ArgumentTypeError(f"must be below 2**32, but found {text!r}")
    return number


def new_file(text: str) -> Path:
    """Read the path of a file that can be written, so that a bad path is found before any work is done."""
    path = Path(text)
    if path.is_dir():
        found = "a folder"
    elif not path.parent.is_dir():
        found = f"no folder {str(path.parent)!r}"
    elif not os.access(path.parent, os.W_OK):
        found = f"no permission to write in {str(path.parent)!r}"
    else:
        return path
    raise argparse.ArgumentTypeError(f"must be a file that can be written, but found {found}")


def address(text: str) -> str:
    """Read a host and a port, as in `node0:1234`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise argparse.ArgumentTypeError(f"must be host:port, but found {text!r}")
    return text


def positive_number(text: str) -> float:
    """Read a finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number above 0, but found {text!r}")
    return number


def positive_numbers(text: str) -> tuple[float, ...]:
    """Read finite numbers above 0, separated by commas."""
    return tuple(positive_number(part.strip()) for part in text.split(","))


def widths(text: str) -> tuple[int, ...]:
    """Read whole numbers separated by commas; an empty text means that there are none."""
    return tuple(whole_number(1)(part.strip()) for part in text.split(",")) if text.strip() else ()


def names(text: str) -> tuple[str, ...]:
    """Read names separated by commas."""
    return tuple(part.strip() for part in text.split(","))
