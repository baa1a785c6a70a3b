"""What a plugin package may define. Each docstring is the whole contract; no other file needs to be read.

A plugin is a module or package that an entry point in the group ``pegboard`` names, e.g. in pyproject.toml
``[project.entry-points.pegboard]`` ``acme = "acme_pegs"``. It marks its functions with ``pegboard.hookimpl``, and says
beside them ``pegboard_interface = 1``: the version of this file that it is written for. One of another version is not
loaded, and `pegboard plugins` says which of the two to update.
"""

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from pegboard.config import Config
    from pegboard.errors import Problem
    from pegboard.registry import Boards

# Version of the hooks below and of what they are given; one more where a plugin would have to change.
INTERFACE = 1

hookspec = pluggy.HookspecMarker("pegboard")
hookimpl = pluggy.HookimplMarker("pegboard")


@hookspec
def pegboard_register(boards: "Boards") -> None:
    """Add parts to the registries.

    Args:
        boards: every registry, by attribute: ``boards.models``, ``boards.hooks``, ...

    When: once per process, before the first look at a board. Order between plugins is undefined; two claims to one
    name are no override, but an error where a config uses the name bare.
    May not: open files, download, import torch, or touch a GPU; ``pegboard plugins`` calls this too. Use
    ``boards.models.add_lazy("Net", "acme_pegs.net:Net")`` for what needs torch.
    """


@hookspec
def pegboard_check(config: "Config") -> "list[Problem]":  # type: ignore[empty-body]
    """Find what is wrong with a config beyond unknown names and arguments, e.g. two parts that cannot work together.

    Args:
        config: the merged config; ``config.values`` is the data, ``config.problem(path, message)`` makes a problem
            with the file and line of that value.

    When: at ``pegboard check`` and before every run, after pegboard's own checks. All plugins are asked.
    May not: change the config, import torch where it can be avoided, or read data.
    Returns: the problems found; an empty list if there are none.
    """


@hookspec
def pegboard_commands() -> "dict[str, tuple[str, Callable[[ArgumentParser], None], Callable[..., int]]]":  # type: ignore[empty-body]
    """Add commands to ``pegboard CMD``.

    When: at each start of the ``pegboard`` command.
    May not: import torch.
    Returns: command name -> (one line of help, function that adds arguments to a parser, function that takes the
    parsed ``Namespace`` and returns the exit status). A name that another plugin has too is reached as
    ``pegboard acme:greet``, and bare it is an error; one of pegboard's own commands keeps the bare name.
    """


@hookspec
def pegboard_examples(folder: "Path") -> "Mapping[str, Mapping[str, Mapping[str, Any]]]":  # type: ignore[empty-body]
    """Say from which arguments each part can be tried, where it needs any beside those that the run supplies.

    Args:
        folder: an empty folder, for small files that an example needs, such as the images of a dataset.

    When: by ``pegboard.testing`` and ``pegboard plugins --doctor``, never in a run.
    May not: download.
    Returns: board -> part -> arguments, e.g. ``{"transforms": {"Darken": {"most": 0.3}}}``.
    """
