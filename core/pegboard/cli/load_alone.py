"""A script, run by ``loading.py``: load one plugin in this new process, and write into a file what that did.

Its arguments are one JSON object: ``plugin`` and ``value``, its entry point's; ``path``, what ``sys.path`` is to be;
``report``, the file; ``seconds``, after which the process gives up, saying on stderr where it was.
"""

import faulthandler
import json
import logging
import os
import random
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


def main() -> None:
    asked = json.loads(sys.argv[1])
    sys.path[:] = asked["path"]
    faulthandler.dump_traceback_later(asked["seconds"], exit=True)
    Path(asked["report"]).write_text(json.dumps(load(asked["plugin"], asked["value"])), encoding="utf-8")


def load(name: str, value: str) -> dict[str, Any]:
    """``error``, ``kind`` and ``missing`` of the exception, ``where`` it was raised; else ``seconds``, ``modules`` and
    what of the process is ``changed``."""
    from importlib.metadata import entry_points

    from pegboard.plugins import register_module
    from pegboard.registry import registering
    from pegboard.testing.importing import place

    point = next(point for point in entry_points(group="pegboard") if (point.name, point.value) == (name, value))
    modules, before, started = {*sys.modules}, _process(), time.process_time()
    try:
        with registering(name):
            module = point.load()
            register_module(module, name)
    except BaseException as error:  # noqa: BLE001  # a stranger's code may raise anything
        return {"error": str(error), "kind": type(error).__name__, "where": place(error),
                "missing": getattr(error, "name", None) or ""}  # fmt: skip
    with suppress(BaseException):  # what it raises is told by whoever asks for the commands
        getattr(module, "pegboard_commands", dict)()
    seconds = time.process_time() - started
    now = _process()
    changed = [what for what, value in before.items() if now[what] != value]
    return {"seconds": seconds, "modules": sorted({*sys.modules} - modules), "changed": changed}


def _process() -> dict[str, Any]:
    """What everything in a process shares."""
    root = logging.getLogger()
    return {
        "the environment variables": dict(os.environ),
        "the working directory": str(Path.cwd()),
        "the random numbers": random.getstate(),
        "the root logger": (root.level, list(root.handlers)),
    }


if __name__ == "__main__":
    main()
