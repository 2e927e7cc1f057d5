"""What mkdocs does beyond its configuration: pages generated from the code, and a navigation of the pages there are."""

from __future__ import annotations

import argparse
import dataclasses
import html
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jointwrist.cli import build_parser
from jointwrist.config import to_dict
from jointwrist.config.explain import attribute_texts

#: Text above the table of renamed keys.
RENAMED = (
    "The old names still work: silently in stored runs and weight files, with a warning in your own files and on the"
    " command line."
)
#: A console block as pymdownx writes it: the opening tag, and its highlighted text.
_CONSOLE = re.compile(r'<div class="language-console highlight"(?P<rest>>.*?<code>(?P<text>.*?)</code>)', re.DOTALL)
_MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Leave pages out of the navigation that are not written yet."""
    config["nav"] = existing(config["nav"], Path(config["docs_dir"]))
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put generated text in the place of its markers."""
    return _MARKER.sub(lambda marker: GENERATORS[marker[1]](), markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Have the copy button of a console block copy the commands alone, without prompt and output."""
    return _CONSOLE.sub(_with_commands, content)


def _with_commands(block: re.Match) -> str:
    lines = html.unescape(re.sub(r"<[^>]+>", "", block["text"])).splitlines()
    commands = "\n".join(line.removeprefix("$ ") for line in lines if line.startswith("$ "))
    # the theme copies `data-copy` where a block has it
    return f'<div class="language-console highlight" data-copy="{html.escape(commands)}"{block["rest"]}'


def existing(nav: list, docs: Path) -> list:
    """Return a navigation without the pages that do not exist."""
    kept = []
    for entry in nav:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            kept.append({title: existing(target, docs)})
        elif (docs / target).is_file():
            kept.append(entry)
    return kept


def commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = (), summary: str = ""
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser, str]]:
    """Yield every command as its words, its parser and its one-line help."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words, parser, summary
    for group in groups:
        helps = {choice.dest: choice.help for choice in group._choices_actions}
        for name, child in group.choices.items():
            yield from commands(child, (*words, name), helps.get(name) or "")


def command_line() -> str:
    """Describe every command and its arguments."""
    parts = []
    for words, parser, summary in commands(build_parser()):
        text = parser.description or f"{summary[:1].upper()}{summary[1:]}."
        usage = parser.format_usage().removeprefix("usage: ").replace("\n" + " " * len("usage: "), "\n").rstrip()
        rows = "\n".join(
            _argument_row(action, parser)
            for action in parser._actions
            if action.help != argparse.SUPPRESS and action.dest != "help"
        )
        table = f"\n\n| argument | |\n| --- | --- |\n{rows}" if rows else ""
        parts.append(f"## {' '.join(words)}\n\n{text}\n\n```text\n{usage}\n```{table}")
    return "\n\n".join(parts)


def _argument_row(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    formatter = parser._get_formatter()
    names = (
        ", ".join(f"`{name}`" for name in action.option_strings) or f"`{formatter._format_args(action, action.dest)}`"
    )
    if action.option_strings and action.nargs != 0:
        names += f" `{formatter._format_args(action, action.dest.upper())}`"
    return f"| {names} | {_cell(formatter._expand_help(action))} |"


def configuration() -> str:
    """Describe the keys of a run and of the phantom."""
    from jointwrist.engine.config.renamed_keys import RENAMED_KEYS
    from jointwrist.engine.config.run_config import RunConfig
    from jointwrist.phantom import PhantomConfig

    run = "\n\n".join(_sections(RunConfig, ""))
    phantom = f"## The phantom: `data phantom --set`, `stream.options`\n\n{key_table(PhantomConfig, '')}"
    renamed = "\n".join(f"| `{old}` | `{new}` |" for old, new in RENAMED_KEYS.items())
    return f"{run}\n\n{phantom}\n\n## Renamed keys\n\n{RENAMED}\n\n| old | now |\n| --- | --- |\n{renamed}"


def _sections(cls: type, prefix: str) -> Iterator[str]:
    hints = typing.get_type_hints(cls)
    title = f"## `{prefix[:-1]}`" if prefix else "## A run"
    yield f"{title}\n\n{inspect.getdoc(cls).splitlines()[0]}\n\n{key_table(cls, prefix)}"
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _sections(hints[field.name], f"{prefix}{field.name}.")


def key_table(cls: type, prefix: str) -> str:
    """Return a table of a dataclass's fields: key, type, default and the text of its docstring."""
    hints, texts = typing.get_type_hints(cls, include_extras=True), attribute_texts(cls)
    rows = ["| key | type | default | |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            continue
        rows.append(
            f"| `{prefix}{field.name}` | {_cell(_type_name(hints[field.name]))} | {_default(field)} |"
            f" {_cell(texts[field.name])} |"
        )
    return "\n".join(rows)


def _type_name(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Annotated:
        number, limits = typing.get_args(hint)
        return f"`{number.__name__}`, {limits}"
    if typing.get_origin(hint) is tuple:
        return ", ".join(_type_name(part) for part in typing.get_args(hint) if part is not Ellipsis)
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f"`{value}`" for value in typing.get_args(hint))
    return f"`{hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)}`".replace(
        "typing.", ""
    )


def _default(field: dataclasses.Field) -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{to_dict(field.default) if dataclasses.is_dataclass(field.default) else field.default}`"
    return "needed" if field.default_factory is dataclasses.MISSING else f"`{field.default_factory()}`"


def models() -> str:
    """Return the table of the models."""
    from jointwrist.commands.models import HEADER, NUMBERS, table_rows
    from jointwrist.registry import list_models, model_spec

    rows = table_rows([model_spec(name) for name in list_models()])
    lines = [HEADER, ["---:" if i in NUMBERS else "---" for i in range(len(HEADER))], *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


#: Generators by the name in a marker.
GENERATORS: dict[str, Callable[[], str]] = {
    "command_line": command_line,
    "configuration": configuration,
    "models": models,
}
