"""The words of the command line and the YAML files, checked and put in order before anything is built."""

import argparse
import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import yaml
from typing_extensions import override

from rlbot.__main__ import ROOT
from rlbot.errors import InputError

SECTIONS = {  # and what is not given in them
    "model": {"observation_size", "step_seconds"},
    "data": {"total_timesteps", "exact_resume"},
    "curriculum": set(),
    "evaluation": set(),
    "reward_ledger": set(),
    "checkpoint": {"folder", "username", "save_interval"},
    "throughput": set(),
    "trainer": set(),
}


PART = "a part is written {class_path: NAME, init_args: {SETTING: VALUE}}"


class Parser(argparse.ArgumentParser):
    """Of a command that is not LightningCLI's: wrong words end with one line, and none may be shortened."""

    def __init__(self, **given: Any) -> None:
        super().__init__(allow_abbrev=False, **given)

    @override
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key may stand only once."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is no text", key_node.start_mark)
        if key in keys:
            raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
        keys.add(key)
    loader.flatten_mapping(node)
    return dict(loader.construct_mapping(node, deep=True))


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(file: str) -> dict[str, Any]:
    """The file's settings; one that is not here but ships with this project is found from any folder.

    Raises:
        InputError: the file is missing or malformed, or holds a key twice or where it is not used.
    """
    try:
        shipped = Path(file).parts[:1] == ("configs",) and not os.path.lexists(file) and (ROOT / file).is_file()
        with Path(ROOT if shipped else "", file).open(encoding="utf-8") as stream:
            settings = yaml.load(stream, Loader=_UniqueKeys)
    except OSError as error:
        raise InputError(f"config={file}: cannot be read ({error.strerror})") from error
    except yaml.MarkedYAMLError as error:
        where = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"config={file}{where}: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or no such date
        raise InputError(f"config={file}: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"config={file}: holds no settings")
    for section, elsewhere in SECTIONS.items():
        part = settings.get(section, {})
        if not isinstance(part, dict):
            raise InputError(f"config={file}: {section} must hold settings, not {part!r}")
        for key in elsewhere & part.keys():
            raise InputError(f"config={file}: {section}.{key} is not a setting; {elsewhere_hint(key)}")
    if "config" in settings:
        raise InputError(f"config={file}: config is not a setting; give every file its own --config")
    return settings


def stacked(below: Any, above: Any) -> Any:
    """Settings with others on top: key by key, but a list, or an object of another class, replaces what was there.

    Jsonargparse would merge two lists of one length entry by entry.
    """
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    if above.get("class_path", below.get("class_path")) != below.get("class_path"):
        return above
    return below | {key: stacked(below.get(key), value) for key, value in above.items()}


def check_writable(option: str, file: Path) -> None:
    """Before minutes are spent on what will be written there.

    Raises:
        InputError: the file cannot be written.
    """
    if not os.path.isdir(file.parent):
        raise InputError(f"--{option} {file}: the folder {file.parent} does not exist")
    if os.path.isdir(file):
        raise InputError(f"--{option} {file}: is a folder")
    place, access = (file, os.R_OK | os.W_OK) if os.path.exists(file) else (file.parent, os.W_OK | os.X_OK)
    if not os.access(place, access):
        raise InputError(f"--{option} {file}: cannot be written")


def elsewhere_hint(key: str) -> str:
    """Where a setting that several parts share is given."""
    derived = key in ("folder", "observation_size", "step_seconds")
    return "it follows from others" if derived else f"{key} stands at the top level"


def explain(message: str) -> str:
    """Jsonargparse's message in the words of a YAML: the key, and what is wrong with it."""
    text = " ".join(message.split())
    if denied := re.search(r"Importing '([\w.]+)' is not allowed", text):
        module = denied[1].split(".")[0]
        return f"class_path {denied[1]}: not imported, because it is no part of this project; add --allow {module}"
    if unknown := re.search(r"does not accept option '([\w.]+)'", text):
        near = get_close_matches(unknown[1], flat(read_yaml(str(ROOT / "configs" / "base.yaml"))), 1)
        return f"{unknown[1]} is not a setting" + "".join(f"; did you mean {name}?" for name in near)
    *outer, inner = re.split(r"Problem with given class_path '[\w.]+': |Errors: - ", text)
    if outer:  # what stands around the innermost says only that it is no null either
        keys = "".join(re.findall(r'Parser key "[\w.]+": ', text.removesuffix(inner)))
        text = keys + re.split(r" - Expected a <class 'NoneType'>| Given value type: ", inner)[0]
    text = re.sub(r'(Parser key "[\w.]+": )+', lambda found: ".".join(re.findall(r'"(.+?)"', found[0])) + ": ", text)
    text = re.sub(r"a <class '([\w.]+)'>", r"\1", text)
    text = re.sub(r"(Expected NoneType - )?Invalid subclass spec given as value for type Any: ", "", text)
    text = re.sub(r" Subclass types expect one of: .*", f": {PART}", text)
    text = re.sub(
        r"'\w+' object has no attribute 'keys'|unhashable type: '\w+'|argument of type '\w+' is not iterable",
        PART,
        text,
    )
    if number := re.search(r"Expected int\. Got value: (\d+)\.0\b", text):
        text += f" (write {number[1]})"
    return text


def arrange(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments as LightningCLI takes them (``fit``, base settings, debug settings), and the allowed modules."""
    given = list(arguments[1:] if arguments[:1] == ["fit"] else arguments)
    allowed, rest, debug = [], [], False
    while given:
        word = given.pop(0)
        if word == "--debug":
            debug = True
        elif word == "--allow" or word.startswith("--allow="):
            name = word.partition("=")[2] or (given.pop(0) if given else "")
            if not name or not all(part.isidentifier() for part in name.split(".")):
                raise InputError(f"--allow {name}: must be followed by the name of a module")
            allowed.append(name)
        elif word.startswith("--data.env."):  # it may be anything, so jsonargparse knows no settings of it
            raise InputError(f"{word.partition('=')[0]}: data.env is given as a whole, best in a YAML")
        elif word in ("--config", "-c"):
            rest.append(f"--config={given.pop(0) if given else ''}")
        else:
            rest.append(word)
    files = [word.removeprefix("--config=") for word in rest if word.startswith("--config=")]
    files = files or [str(ROOT / "configs" / "base.yaml")]
    if debug:
        files.append(str(ROOT / "configs" / "debug.yaml"))
    settings: dict[str, Any] = {}
    for file in files:
        settings = stacked(settings, read_yaml(file))
    # In ASCII, so that no system reads it in an encoding of its own.
    text = yaml.safe_dump(settings, default_flow_style=True, width=float("inf"), sort_keys=False)
    # The command line wins over every file, wherever it stands.
    words = [word for word in rest if not word.startswith("--config=")]
    given_lists = (re.match(r"(--[\w.]+)(=| )\[", f"{word} {value}") for word, value in pairwise([*words, ""]))
    lists = [given[1] for given in given_lists if given]
    return ["fit", f"--config={text}", *(f"{name}=[]" for name in lists), *words], allowed


def flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted key."""
    if not isinstance(settings, dict):
        return {prefix: settings}
    return {k: v for name, part in settings.items() for k, v in flat(part, f"{prefix}.{name}".strip(".")).items()}
