"""The words of the command line: a short usage, advice on what is misspelt, options as they are typed."""

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from backproof.errors import did_you_mean

CHOICE = re.compile(r"invalid choice: '?(?P<found>.*?)'? \(choose from (?P<known>.*)\)")
# What a call in Python names `of=…` is the option --of here.
OPTIONS = ("of", "vjp", "grad", "jvp", "args", "examples", "seed", "budget")
ARRAY = re.compile(r"backproof\.array\('([^']*)'\)")
LIST = re.compile(r"args=\[([^\[\]]*)\]")


class Parser(argparse.ArgumentParser):
    """Parses a command; what is misspelt is answered with the nearest that there is.

    This is a class because argparse is adapted by deriving from its parser.
    """

    commands: dict[str, "Parser"] | None = None

    def read(self, args: Sequence[str] | None) -> argparse.Namespace:
        """Return the arguments; an unknown option is an error of the command that it was given to."""
        found, unknown = self.parse_known_args(args)
        if unknown:
            command = (self.commands or {}).get(getattr(found, "command", None) or "", self)
            command.refuse(unknown)
        return found

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End with the first word that is not understood, and the option that is nearest to it."""
        name = unknown[0].partition("=")[0]
        known = [text for text in self._option_string_actions if text.startswith("--")]
        advice = f"; {did_you_mean(name, known)}" if name.startswith("-") else ""
        self.error(f"not understood: {' '.join(unknown)}{advice.replace('; choose one of them', '')}")

    def error(self, message: str) -> NoReturn:
        """End with the usage in one line, and an error in another."""
        found = CHOICE.search(message)
        if found:
            known = [one.strip(" '") for one in found["known"].split(",")]
            advice = did_you_mean(found["found"], known)
            message = f"{message}; {advice}" if "mean" in advice else message
        super().error(message)


def as_typed(text: str) -> str:
    """Return an error of the library in the words of the command line: `--of f` for `of=f`."""
    text = LIST.sub(lambda found: f"--args '{found[1].replace(', ', ' ')}'", text)
    text = ARRAY.sub(lambda found: f"f32[{','.join(found[1].split())}]", text)
    for name in OPTIONS:
        text = re.sub(rf"(?<![\w.-]){name}=(?=\w)", f"--{name} ", text)
        text = re.sub(rf"(?<![\w.-]){name}=", f"--{name}", text)
    return text
