"""``report.html``: one run, or several side by side, in a file that needs nothing else."""

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import strftime
from typing import Any
from urllib.parse import quote

from pegboard import Shown
from pegboard.registry import HOOKS
from pegboard_visual.report import drawn, words
from pegboard_visual.report.curves import Chart, charts
from pegboard_visual.report.embed import Embedder, Strip
from pegboard_visual.report.run_folder import RunFolder

HERE = Path(__file__).parent
SCRIPTS = ("page.js", "chart.js", "confusion.js", "embedding.js", "histograms.js", "start.js")
LARGEST = 4_800_000  # characters of a page
LEAST_FOR_PICTURES, ROOM_FOR_THE_REST = 500_000, 200_000
MOST_EPOCH_ROWS = 200


@dataclass(frozen=True)
class Kind:
    """A section of pictures: what it is called, a sentence for the reader, and the hook that brings it.

    Args:
        short: what the line of links calls it, where its title is long.
    """

    title: str
    says: str
    hook: str
    short: str = ""


KINDS: Mapping[str, Kind] = {
    "confusion": Kind("Confusion matrix", "Which class is taken for which. Rows are true, columns predicted.",
                      "ConfusionMatrix"),
    "mistakes": Kind("Worst mistakes", "Images on which the network was most certain, and wrong.", "Mistakes"),
    "cam": Kind("Where it looks", "What in an image speaks for a class.", "GradCAM"),
    "samples": Kind("What it sees", "Training images as the network gets them, augmented.", "Samples"),
    "feature_maps": Kind("Feature maps", "What the layers make of an image.", "FeatureMaps"),
    "kernels": Kind("Kernels", "The weights of the convolutions, each scaled by itself.", "Kernels"),
    "embedding": Kind("Embedding", "What the layer before the last makes of the images, in the plane.", "Embedding"),
    "histograms": Kind("Weights and gradients", "How they are distributed, and how that changes.", "Histograms",
                       "Weights"),
}  # fmt: skip
ALSO = {"confused_pairs": "confusion"}  # pictures without numbers of their own go into another one's section
OTHERS = Kind("Other pictures", "", "")


@dataclass
class Gallery:
    """A section of pictures, some drawn anew from their numbers."""

    key: str
    kind: Kind
    matrices: list[drawn.Matrix] = field(default_factory=list)
    embeddings: list[drawn.Embedding] = field(default_factory=list)
    histograms: drawn.Histograms | None = None
    mistakes: list[list[drawn.Mistake]] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of the strips, before any is embedded


def write(run: RunFolder, file: Path, embedder: Embedder | None = None) -> None:
    """Write the report of one run, whole or not at all.

    Args:
        embedder: of the page's last writing, so that pictures are not encoded again.
    """
    embedder = embedder or Embedder()
    galleries, named = _galleries(run.pictures)
    data = {
        "charts": _as_data(charts([run])),
        "runs": [run.name],
        "confusion": [{"key": m.key, "steps": m.steps} for g in galleries for m in g.matrices if m.steps],
        "embedding": [vars(e) for g in galleries for e in g.embeddings],
        "histograms": next((vars(g.histograms) for g in galleries if g.histograms), None),
    }
    script_data = _script_data(data)
    # What the tables take is a guess on the safe side: a row's text, and three times as much around it.
    room = LARGEST - ROOM_FOR_THE_REST - len(script_data) - 4 * sum(len("".join(one)) for one in run.settings)
    strips = {strip.name: strip for strip in embedder.strips(named, max(LEAST_FOR_PICTURES, room))}
    for gallery in galleries:
        gallery.strips = [strips[name] for name in gallery.names if name in strips]
    context = {
        "title": f"{run.name}: {run.exit}",
        "run": run,
        "metrics": _metrics(run),
        "galleries": [g for g in galleries if g.matrices or g.embeddings or g.histograms or g.strips],
        "absent": _absent(galleries),
        "epochs": _epoch_table(run),
        "hooks": sorted(run.summary.get("hook_seconds", {}).items(), key=lambda item: -item[1]),
        "command": words.repeats(run),
        "notes": [*run.notes, *embedder.notes],
        "charts": data["charts"],
        "script_data": script_data,
    }
    _render("run.html", context, file)


def compare(runs: Sequence[RunFolder], file: Path) -> None:
    """Write several runs side by side: curves overlaid, results and what differs in their configs as tables."""
    named_runs = labels(runs)
    named = {(name, number): shown for number, run in enumerate(runs) for name, shown in _newest(run.pictures).items()}
    embedder = Embedder()
    strips = embedder.strips({f"{number}/{name}": [shown] for (name, number), shown in named.items()}, LARGEST * 3 // 4)
    embedded = {strip.name: strip.steps[-1] for strip in strips}
    names = sorted({name for name, _ in named})
    pictures = [(name, [embedded.get(f"{number}/{name}") for number in range(len(runs))]) for name in names]
    drawn_charts = _as_data(charts(runs))
    results = list(dict.fromkeys(name for run in runs for name in run.summary.get("final", {})))
    context = {
        "title": "Comparison: " + ", ".join(named_runs),
        "runs": list(zip(named_runs, runs, [_link(run, file) for run in runs], strict=True)),
        "results": sorted(results, key=_what_matters),
        "differences": _differences(runs),
        "pictures": [(name, row) for name, row in pictures if sum(one is not None for one in row) > 1],
        "notes": [*(note for run in runs for note in run.notes), *embedder.notes],
        "charts": drawn_charts,
        "script_data": _script_data({"charts": drawn_charts, "runs": named_runs}),
    }
    _render("comparison.html", context, file)


def _as_data(found: Sequence[Chart]) -> list[dict[str, Any]]:
    return [{"title": chart.title, "series": [vars(series) for series in chart.series]} for chart in found]


def _script_data(data: Mapping[str, Any]) -> Any:
    """JSON in which no character can end the script element around it."""
    from jinja2.utils import htmlsafe_json_dumps

    return htmlsafe_json_dumps(data, dumps=json.dumps, allow_nan=False, separators=(",", ":"))


def _render(template: str, context: dict[str, Any], file: Path) -> None:
    """Every text is escaped by the template; the page's own script is the only one that its browser will run."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "figure": words.figure, "percent": words.percent, "spoken": words.spoken, "when": words.when,
    }  # fmt: skip
    script = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    # A browser takes line ends as \n whatever the file has, and computes the sum of what stands between the tags.
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    style = (HERE / "style.css").read_text(encoding="utf-8")
    page = environment.get_template(template).render(
        **context, style=style, script=script, digest=digest, now=strftime("%Y-%m-%d %H:%M")
    )
    temporary = file.with_name(f".{file.name}-{os.getpid()}")
    temporary.write_bytes(page.encode("utf-8", "replace"))
    temporary.replace(file)


def _galleries(pictures: Sequence[Shown]) -> tuple[list[Gallery], dict[str, list[Shown]]]:
    """The sections, and the pictures that go into the page as such, by name, those that matter most first."""
    by_name: dict[str, list[Shown]] = {}
    for shown in pictures:
        by_name.setdefault(shown.name, []).append(shown)
    galleries = {key: Gallery(key, kind) for key, kind in [*KINDS.items(), ("others", OTHERS)]}
    named: dict[str, list[Shown]] = {}
    for name, found in by_name.items():
        kind = found[-1].data.get("kind")
        kind = ALSO.get(kind, kind) if isinstance(kind, str) else ""
        gallery = galleries[kind if kind in KINDS else "others"]
        number = f"{gallery.key}-{len(gallery.matrices) + len(gallery.embeddings)}"
        if gallery.key == "confusion" and (matrix := drawn.matrix(number, found)):
            gallery.matrices.append(matrix)
            if matrix.steps:
                continue
        elif gallery.key == "embedding" and (embedding := drawn.embedding(number, found)):
            gallery.embeddings.append(embedding)
            continue
        elif gallery.key == "histograms" and not gallery.histograms and (bars := drawn.histograms(found)):
            gallery.histograms = bars
            continue
        elif gallery.key == "mistakes" and (worst := drawn.mistakes(found)):
            gallery.mistakes.append(worst)
        gallery.names.append(name)
    for gallery in galleries.values():
        rank = {split: place for place, split in enumerate(drawn.SPLITS)}
        gallery.matrices.sort(key=lambda one: rank.get(one.split, len(rank)))
        named |= {name: by_name[name] for name in gallery.names}
    return list(galleries.values()), named


def _absent(galleries: Sequence[Gallery]) -> list[Kind]:
    """Sections that the run brought nothing for, though a hook that is installed would."""
    empty = [g for g in galleries if not (g.matrices or g.embeddings or g.histograms or g.names) and g.kind.hook]
    return [gallery.kind for gallery in empty if HOOKS.list(gallery.kind.hook)]


def _metrics(run: RunFolder) -> list[dict[str, Any]]:
    """The last and best of each figure; what was measured on validation data first, and loss last."""
    final, best = run.summary.get("final", {}), run.summary.get("best", {})
    order = sorted(final, key=_what_matters)
    return [
        {"name": name, "value": final[name], "best": best.get(name, {}).get("value"),
         "epoch": best.get(name, {}).get("epoch")}
        for name in order
    ]  # fmt: skip


def _what_matters(name: str) -> tuple[bool, bool]:
    """Validation before training, metrics before the loss and the parts that it is made of."""
    split, _, figure = name.partition("/")
    return split != "val", figure == "loss" or figure.startswith("loss_")


def _epoch_table(run: RunFolder) -> dict[str, Any]:
    """The figures of each epoch, for those who read numbers rather than curves."""
    rows: dict[float, dict[str, Any]] = {}
    for record in run.records:
        figures = {name: value for name, value in record.items() if name.startswith(("train/", "val/"))}
        if figures:
            iteration = record.get("iteration") or 0
            rows.setdefault(iteration, {"epoch": record.get("epoch"), "iteration": iteration}).update(figures)
    names = list(dict.fromkeys(n for row in rows.values() for n in row if n not in ("epoch", "iteration")))
    every = -(-len(rows) // MOST_EPOCH_ROWS) or 1
    listed = list(rows.values())
    return {"names": names, "rows": listed[::-1][::every][::-1], "every": every}


def labels(runs: Sequence[RunFolder]) -> list[str]:
    """Names of runs that tell them apart."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return names
    names = [f"{run.name} {run.folder.name}" for run in runs]
    if len(set(names)) == len(names):
        return names
    return [f"{number}: {name}" for number, name in enumerate(names, 1)]


def _differences(runs: Sequence[RunFolder]) -> list[tuple[str, list[str | None]]]:
    """Config paths whose values are not the same in all runs; None where a run has none."""
    values = [{setting.path: setting.value for setting in run.settings} for run in runs]
    paths = dict.fromkeys(path for one in values for path in one)
    rows = [(path, [one.get(path) for one in values]) for path in paths]
    return [(path, row) for path, row in rows if len(set(row)) > 1]


def _newest(pictures: Sequence[Shown]) -> dict[str, Shown]:
    return {shown.name: shown for shown in pictures}


def _link(run: RunFolder, file: Path) -> str:
    """The run's own report, as seen from the page; empty if it has none."""
    page = run.folder / "report.html"
    return quote(Path(os.path.relpath(page, file.resolve().parent)).as_posix()) if page.is_file() else ""
