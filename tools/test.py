"""`python tools/test.py` is `pegboard test`."""

from pegboard.cli import run

if __name__ == "__main__":
    raise SystemExit(run("test", prog="tools/test.py"))
