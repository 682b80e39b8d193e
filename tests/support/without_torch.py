"""Run command lines in a process in which torch is not imported, or cannot be.

`python without_torch.py MODE`, with command lines as JSON on stdin; prints status, streams and whether torch
was imported, a JSON line each. With the mode "hidden" torch is not to be found, as where it is not installed.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO


class _Hiding:
    """An entry of `sys.meta_path` in which torch is missing."""

    def __init__(self, genuine):
        self.genuine = genuine

    def __getattr__(self, name):
        return getattr(self.genuine, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] == "torch" else self.genuine.find_spec(name, path, target)


def _hide_torch():
    sys.meta_path[:] = [_Hiding(finder) for finder in sys.meta_path]
    genuine = importlib.metadata.version

    def version(name):
        if name == "torch":
            raise importlib.metadata.PackageNotFoundError(name)
        return genuine(name)

    importlib.metadata.version = version


def _run(arguments):
    import rsdetect.cli

    sys.argv = ["rsdetect", *arguments]
    out, err, status = StringIO(), StringIO(), None
    with redirect_stdout(out), redirect_stderr(err):
        try:
            rsdetect.cli.main()
        except SystemExit as ended:
            status = ended.code
    return {"status": status, "out": out.getvalue(), "err": err.getvalue(), "torch": "torch" in sys.modules}


if __name__ == "__main__":
    if sys.argv[1] == "hidden":
        _hide_torch()
    for command in json.load(sys.stdin):
        print(json.dumps(_run(command)), flush=True)
