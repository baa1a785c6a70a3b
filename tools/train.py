"""`python tools/train.py` is `pegboard train`."""

from pegboard.cli import run

if __name__ == "__main__":
    raise SystemExit(run("train", prog="tools/train.py"))
