"""`jointwrist config`: write the JSON Schema of configuration files, or a commented file to start from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from jointwrist.commands.messages import UsageError
from jointwrist.commands.options import known_model

#: Name of the schema's file in the first line of a written configuration, where an editor looks for it.
SCHEMA = "run.schema.json"
#: What `--init` takes beside the name of a model.
PHANTOM = "phantom"


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "config",
        help="write the schema of configuration files, or a configuration with every key",
        description="Write the JSON Schema of configuration files, with which editors complete, explain and check them,"
        " or a configuration of a model with every key, its default and a comment.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--schema",
        nargs="?",
        const="run",
        choices=("run", "node"),
        help="schema of the files of `train --config` (run) or of `jointwrist node` (node; default: run)",
    )
    what.add_argument(
        "--init",
        metavar="MODEL",
        help="configuration of this model for `train --config`; `phantom`: the settings of `data phantom --set`",
    )
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="new file (default: standard output)")
    parser.set_defaults(run=config)


def config(arguments: argparse.Namespace) -> int:
    """Write a schema or a configuration."""
    text = initial(arguments.init) if arguments.init else json.dumps(schema(arguments.schema), indent=1) + "\n"
    if arguments.out is None:
        print(text, end="")
        return 0
    if arguments.out.exists():
        raise UsageError(f"{arguments.out}: exists; choose another --out, or remove it")
    from jointwrist.files import write_text

    write_text(arguments.out, text)
    print(f"written: {arguments.out}")
    return 0


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of configuration file."""
    from jointwrist.config.schema import json_schema

    if kind == "node":
        from jointwrist.node.config import NodeConfig

        return json_schema(NodeConfig)
    from jointwrist.engine.config.renamed_keys import RENAMED_KEYS
    from jointwrist.engine.config.run_config import RunConfig
    from jointwrist.phantom import PhantomConfig

    return json_schema(RunConfig, partial=True, renamed=RENAMED_KEYS, contents={"stream.options": PhantomConfig})


def initial(model: str) -> str:
    """Return a commented configuration of a model, or of the phantom, with all defaults."""
    from jointwrist.config.explain import commented_yaml

    if model == PHANTOM:
        from jointwrist.phantom import PhantomConfig

        return f"# Every setting of a phantom, at its default: `--set KEY=VALUE`.\n\n{commented_yaml(PhantomConfig())}"
    from jointwrist.engine.config.run_config import RunConfig

    spec = known_model(model)
    head = f"# yaml-language-server: $schema={SCHEMA}\n# Every key of a training of {spec.name}, at its default."
    return f"{head} Keys that are left out keep it.\n\n{commented_yaml(RunConfig(spec.name, spec.task))}"
