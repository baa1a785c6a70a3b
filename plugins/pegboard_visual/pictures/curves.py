"""Learning curves as a picture: what the report draws, for paper."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pegboard_visual.report.curves import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#2364aa", "#d9652b", "#2a8c6a", "#8457b8", "#c0417a", "#857414", "#1a93ab", "#6b7280")
OF_ROLE = {"train": COLOURS[0], "val": COLOURS[1], "step": COLOURS[0]}
INK, GREY, GRID = "#222222", "#666666", "#e6e6e2"
COLUMNS = 2


def draw(charts: Sequence[Chart], runs: Sequence[str]) -> "Figure":
    """Each chart against the epoch.

    Args:
        charts: as ``pegboard_visual.report.curves.charts`` gives them.
        runs: a name for each run; of several, each has a colour, and training is dashed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(charts) // COLUMNS) or 1
    columns = min(COLUMNS, max(1, len(charts)))
    figure = Figure(figsize=(5.6 * columns, 3.5 * rows), dpi=110, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for place, chart in zip(axes, charts, strict=False):
        _chart(place, chart, runs)
    for place in axes[len(charts) :]:
        place.set_visible(False)
    return figure


def _chart(axes: "Axes", chart: Chart, runs: Sequence[str]) -> None:
    several, all_steps = len(runs) > 1, all(series.role == "step" for series in chart.series)
    for number, series in enumerate(chart.series):
        alone = sum(other.run == series.run for other in chart.series) == 1
        label = series.label if not several else runs[series.run] if alone else f"{runs[series.run]}, {series.label}"
        place = series.run if several else number
        colour = COLOURS[place % len(COLOURS)] if several or all_steps else OF_ROLE[series.role]
        is_faint = series.role == "step" and not all_steps
        axes.plot(
            series.epochs,
            series.values,
            color=colour,
            linewidth=1.0 if is_faint else 1.8,
            alpha=0.45 if is_faint else 1.0,
            linestyle="--" if several and series.role == "train" else "-",
            marker="o" if len(series.values) == 1 else "",
            label=label.lstrip("_"),  # matplotlib hides a label with an underscore in front
            zorder=1 if is_faint else 2,
        )
    axes.set_title(chart.title, fontsize=11, color=INK, loc="left", parse_math=False)
    axes.set_xlabel("epoch", fontsize=9, color=GREY)
    axes.tick_params(labelsize=9, colors=GREY, length=0)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    if len(chart.series) > 1:
        for text in axes.legend(fontsize=8.5, frameon=False).get_texts():
            text.set_parse_math(False)
            text.set_color(INK)
