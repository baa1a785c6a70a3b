"""``pegboard split SOURCE --scheme SCHEME --out DIR``."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pegboard.console import say, table
from pegboard.errors import DataError, PegboardError

if TYPE_CHECKING:
    from pegboard_data.sources import Part
    from pegboard_data.splits import Indices, Parts, Samples

HELP = "cut a data set into parts to train, validate and test on"
SCHEMES = ("holdout", "kfold", "loo", "bootstrap")
RATIO = (0.7, 0.15, 0.15)
FOLDS = 5
MANY_FOLDS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a folder of class folders, or an index file")
    parser.add_argument(
        "--scheme",
        required=True,
        choices=SCHEMES,
        help="holdout: parts of given shares; kfold: each image validates once in K folds; loo: leave one image (or "
        "group) out in turn; bootstrap: as many draws with replacement as images, the never drawn are the test part",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder that gets the index files and classes.txt")
    parser.add_argument(
        "--ratio",
        nargs="+",
        type=float,
        metavar="SHARE",
        help="holdout: shares of train and valid, or of train, valid and test; 0.7 0.15 0.15 unless given",
    )
    parser.add_argument("--folds", type=int, metavar="K", help="kfold: how many folds; 5 unless given")
    parser.add_argument(
        "--stratify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep the share of every class in every part",
    )
    parser.add_argument(
        "--group-by",
        metavar="REGEX",
        help="keep images together whose path (below SOURCE) has the same first group, or match, of this",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="what is drawn depends on it; 0 unless given")
    parser.add_argument("--root", metavar="DIR", help="where an index file's relative paths are looked up first")
    parser.add_argument("--yes", action="store_true", help=f"loo: write more than {MANY_FOLDS} folds")


def run(arguments: argparse.Namespace) -> int:
    """Write the index files; nothing is written before all of them are known to be sound."""
    for option, scheme in (("ratio", "holdout"), ("folds", "kfold")):
        if getattr(arguments, option) is not None and arguments.scheme != scheme:
            raise PegboardError(f"--{option} belongs to --scheme {scheme}, not to {arguments.scheme}; leave it out")
    from pegboard_data.commands.writing import check_can_write
    from pegboard_data.groups import groups_by
    from pegboard_data.sources import read_source
    from pegboard_data.splits import Samples, check_seed

    check_seed(arguments.seed)
    found = read_source(arguments.source, arguments.root)
    if len(found) > 1:
        parts = ", ".join(part.name for part in found)
        raise DataError(
            f"{arguments.source} is split already, into {parts}; did you mean {str(found[0].place)!r}, "
            "or `pegboard index` to list the parts as they are?"
        )
    [part] = found
    paths = [part.path(index) for index in range(len(part.listed))]
    _check_distinct(part, paths)
    groups = groups_by(arguments.group_by, part.listed) if arguments.group_by is not None else None
    samples = Samples(part.targets, part.classes, groups, arguments.stratify)
    out = Path(arguments.out).expanduser()
    check_can_write(out, _names_taken(out), part.classes, paths)
    count, cuts = _cuts(samples, arguments)
    rows = _write(out, paths, part, count, cuts)
    for name in part.missing_classes():
        say(f"note: there is no image of class {name!r}", file=sys.stderr)
    _print(out, len(paths), count, rows)
    return 0


def _cuts(samples: "Samples", arguments: argparse.Namespace) -> "tuple[int, Iterable[Parts]]":
    """How many folds (0: the parts lie in the folder itself), and each."""
    from pegboard_data import splits

    if arguments.scheme == "holdout":
        return 0, [splits.holdout(samples, arguments.ratio or RATIO, arguments.seed)]
    if arguments.scheme == "bootstrap":
        return 0, [splits.bootstrap(samples, arguments.seed)]
    if arguments.scheme == "kfold":
        folds = FOLDS if arguments.folds is None else arguments.folds
        return folds, splits.kfold(samples, folds, arguments.seed)
    count, cuts = splits.leave_one_out(samples)
    if count > MANY_FOLDS and not arguments.yes:
        raise PegboardError(
            f"leaving one out makes {count:,} folds, as many trainings and {count * len(samples):,} lines; say --yes "
            "to write them, or take --scheme kfold"
        )
    return count, cuts


def _write(
    out: Path, paths: list[Path], part: "Part", count: int, cuts: "Iterable[Parts]"
) -> list[tuple[str, str, int]]:
    """Write each fold; gives (fold, part, number of images) for the table."""
    from pegboard_data.commands.writing import write_parts

    targets = part.targets.tolist()

    def listed(indices: "Indices") -> Iterator[tuple[Path, int]]:
        return ((paths[index], targets[index]) for index in indices.tolist())

    rows = []
    for number, parts in enumerate(cuts, 1):
        name = f"fold_{number}" if count else ""
        write_parts(out / name, {key: listed(indices) for key, indices in parts.items()}, part.classes)
        rows += [(name, key, len(indices)) for key, indices in parts.items()]
    return rows


def _print(out: Path, total: int, count: int, rows: list[tuple[str, str, int]]) -> None:
    shown = rows[:20]
    cells = [(f"{fold}/{name}.txt".lstrip("/"), f"{size:,}", f"{size / total:.1%}") for fold, name, size in shown]
    table(("", "images", "share"), cells, file=sys.stdout)
    if len(rows) > len(shown):
        say(f"and {len(rows) - len(shown)} more")
    what = f"{count:,} folds" if count else "all"
    say(f"{what} of {total:,} images in {out}")


def _names_taken(out: Path) -> list[str]:
    """What this or an earlier split writes; a stale test.txt beside a new train.txt would leak."""
    folds = sorted(path.name for path in out.glob("fold_*")) if out.is_dir() else []
    return ["train.txt", "valid.txt", "test.txt", *folds]


def _check_distinct(part: "Part", paths: list[Path]) -> None:
    """An image that is listed twice would come to lie in two parts."""
    seen: dict[Path, int] = {}
    for index, path in enumerate(paths):
        if path in seen:
            raise DataError(
                f"{part.place}: {part.listed[index]!r} is image {seen[path]} and image {index}; expected each once, "
                "or it may come to lie in two parts"
            )
        seen[path] = index
