"""The `jointwrist` command."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from jointwrist import __version__
from jointwrist.commands import (
    adapt,
    compare,
    completion,
    config,
    data,
    detectability,
    evaluate,
    export,
    finetune,
    info,
    models,
    node,
    predict,
    pretrain,
    report,
    table,
    train,
    view,
)
from jointwrist.commands.messages import BROKEN_PIPE, INTERRUPTED, UsageError, complain
from jointwrist.errors import DataError, MissingExtraError, TrainingError
from jointwrist.openmp import share_cores

#: In the order in which `jointwrist --help` names them.
COMMANDS = (
    predict,
    table,
    train,
    pretrain,
    finetune,
    adapt,
    evaluate,
    detectability,
    compare,
    report,
    view,
    node,
    export,
    data,
    models,
    config,
    info,
    completion,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 if a check found errors, or 2 for errors that the user can fix."""
    open_closed_streams()
    share_cores()
    if isinstance(
        sys.stdout, io.TextIOWrapper
    ):  # characters that the terminal's encoding lacks must not stop a command
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell requests completions
        import argcomplete

        argcomplete.autocomplete(parser)
    if "" in (sys.argv[1:] if argv is None else argv):  # as a path, it would be the current folder
        parser.error("an argument is empty; a variable of the shell may not be set")
    refuse_hyphens(parser, sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_args(argv)
    from jointwrist.config import ConfigError

    try:
        if arguments.plugin:
            from jointwrist.registry import load_plugin

            for source in arguments.plugin:
                load_plugin(source)
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except (DataError, ConfigError, MissingExtraError, TrainingError, UsageError, OSError) as error:
        if arguments.debug:
            raise
        complain(error)
        return 2


def open_closed_streams() -> None:
    """Replace standard streams that are closed: a file of the results would get their number, and their messages."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # as their numbers ascend
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))


def refuse_hyphens(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """End with an error if a word is a file whose name begins with a hyphen, which is read as an option."""
    options = words[: words.index("--")] if "--" in words else words
    for word in options:
        if word.startswith("-") and os.path.splitext(word)[1] and os.path.isfile(word):
            parser.error(f"{word}: the name begins with a hyphen, as an option does; write {os.path.join('.', word)}")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands; each command sets `run` to its function."""
    parser = argparse.ArgumentParser(
        prog="jointwrist",
        description="Bones and erosion in wrist radiographs. Research software, not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"jointwrist {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="MODULE",
        help="module, such as my_package.models, or Python file that registers models of your own",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser
