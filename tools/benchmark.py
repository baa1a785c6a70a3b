"""Measure what pegboard costs and what it saves: ``python tools/benchmark.py overhead|train|start``.

Every figure is a median over interleaved rounds: the machine's speed drifts, and a ratio or difference taken within a
minute does not.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one measurement and print it."""
    parser = argparse.ArgumentParser(
        prog="tools/benchmark.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_subparsers(dest="what", required=True, metavar="overhead|train|start")
    overhead = what.add_parser("overhead", help="microseconds that the Runner adds to an iteration of a bare loop")
    overhead.add_argument("--iterations", type=int, default=4000, metavar="N", help="iterations a round")
    train = what.add_parser("train", help="images a second of LeNet, against other loops and frameworks")
    train.add_argument("--data", metavar="PATH", help="folder with train/<class>/*; the drawn stand-in unless given")
    train.add_argument("--only", metavar="NAMES", nargs="+", help="some of the contenders; ratios need runner")
    train.add_argument("--batch-size", type=int, default=128, metavar="N")
    train.add_argument("--iterations", type=int, metavar="N", help="iterations a turn; a second or two unless given")
    train.add_argument("--images", type=int, default=10000, metavar="N", help="how many images to train on")
    train.add_argument(
        "--same-settings",
        action="store_true",
        help="give the other loops and frameworks the threads and memory settings of `pegboard train` too",
    )
    start = what.add_parser("start", help="seconds until the first iteration, and memory, with an index of a million")
    start.add_argument("--samples", type=int, default=1_000_000, metavar="N", help="lines of the index")
    start.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4], metavar="N", help="processes of a run")
    start.add_argument("--workers", type=int, default=1, metavar="N", help="worker processes of each rank")
    start.add_argument("--start-method", choices=["fork", "spawn"], default="fork", help="how workers are started")
    start.add_argument("--data", metavar="PATH", help="folder with train/<class>/*; images are drawn unless given")
    for command in (overhead, train, start):
        command.add_argument("--json", metavar="FILE", help="write the figures there too")
    for command, rounds in ((overhead, 5), (train, 20)):
        command.add_argument("--rounds", type=int, default=rounds, metavar="N", help="interleaved rounds")
    arguments = parser.parse_args(argv)
    if arguments.what == "overhead":
        from bench.overhead import overhead as measure_overhead

        result = measure_overhead(arguments.rounds, arguments.iterations)
    elif arguments.what == "start":
        from bench.start import start as measure_start

        result = measure_start(arguments)
    else:
        from bench.training import training

        result = training(arguments)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
