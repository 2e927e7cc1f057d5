"""`jointwrist completion`: shell code with which the Tab key completes commands and options."""

from __future__ import annotations

import argparse

SHELLS = ("bash", "zsh", "fish")


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "completion",
        help="print shell code that completes commands and options",
        description="Print shell code with which the Tab key completes commands, options and choices. Load it in the"
        ' file that your shell reads when it starts: eval "$(jointwrist completion bash)", or'
        " jointwrist completion fish | source.",
    )
    parser.add_argument("shell", choices=SHELLS, help="your shell")
    parser.set_defaults(run=completion)


def completion(arguments: argparse.Namespace) -> int:
    """Print the shell code."""
    import argcomplete

    print(argcomplete.shellcode(["jointwrist"], shell=arguments.shell))
    return 0
