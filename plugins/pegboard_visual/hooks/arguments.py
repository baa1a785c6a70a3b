"""What the hooks of this package take, told in one place: for `pegboard check`, and for whoever builds one by hand."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pegboard import HOOKS, Config, Hook, PegboardError, Problem, address
from pegboard.config.keys import DEFAULT_HOOKS
from pegboard.errors import did_you_mean
from pegboard_visual.cam_methods import TITLES


class Count(NamedTuple):
    """An integer in a range; ``most`` is None where there is no end."""

    least: int = 1
    most: int | None = None

    def misfit(self, value: object) -> str:
        """What is wrong with a value; empty if nothing."""
        if isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= (self.most or value):
            return ""
        wanted = f", at least {self.least}" if self.most is None else f" from {self.least} to {self.most:,}"
        return f"must be an integer{wanted}, got {value!r}"


class Choice(NamedTuple):
    """One of a few names."""

    known: Sequence[str]

    def misfit(self, value: object) -> str:
        """What is wrong with a value; empty if nothing."""
        if value in self.known:
            return ""
        *most, last = map(repr, self.known)
        return f"must be {', '.join(most)} or {last}, got {value!r}{did_you_mean(str(value), self.known)}"


MOST_POINTS = 20_000  # of an embedding: t-SNE takes minutes for more
SPLITS = ("val", "train")  # that pass while a run trains
IMAGES = Count(1, 64)  # that a SampleHook keeps
NO_LAYER = "guided_backprop goes back to the pixels and reads no layer; leave layer out"

ARGUMENTS: Mapping[str, Mapping[str, Count | Choice]] = {
    "ConfusionMatrix": {"pairs": Count(0, 20), "split": Choice(SPLITS)},
    "Embedding": {"samples": Count(4, MOST_POINTS), "method": Choice(("pca", "tsne"))},
    "FeatureMaps": {"images": IMAGES, "maps": Count(), "most_layers": Count()},
    "GradCAM": {"images": IMAGES, "method": Choice(list(TITLES))},
    "Histograms": {"rows": Count()},
    "Kernels": {"maps": Count(), "most_layers": Count()},
    "Mistakes": {"images": Count(1, 60)},
    "Samples": {"images": Count(1, 256)},
}


def check_arguments(hook: Hook, kind: str, **given: object) -> None:
    """They are what a hook of this kind takes.

    Raises:
        PegboardError: one is not; the nearest right value is said.
    """
    for name, value in given.items():
        if wrong := ARGUMENTS[kind][name].misfit(value):
            raise PegboardError(f"{type(hook).__name__}: {name} {wrong}")


def problems(config: Config) -> Iterator[Problem]:
    """The arguments of these hooks, in a config, that their constructors would refuse."""
    hooks = config.values.get("hooks") or {}
    for name, own in hooks.items():
        part = {**(DEFAULT_HOOKS.get(name) or {}), **(own or {})}  # one that every run has goes without its type
        if "type" not in part:
            continue
        entry = HOOKS.find(part["type"])
        if entry.package != "pegboard_visual":
            continue
        kind = entry.address.rpartition(":")[2]
        for argument, rule in ARGUMENTS.get(kind, {}).items():
            if argument in part and (wrong := rule.misfit(part[argument])):
                yield config.problem(f"hooks.{name}.{argument}", wrong)
        yield from _more(config, name, kind, part)


def _more(config: Config, name: str, kind: str, part: Mapping[str, Any]) -> Iterator[Problem]:
    """What one argument says against another, or against the run."""
    if kind == "GradCAM" and part.get("method") == "guided_backprop" and part.get("layer") is not None:
        yield config.problem(f"hooks.{name}.layer", NO_LAYER)
    if kind == "GradCAM" and part.get("reshape") is not None:
        wrong = reshape_misfit(part.get("method", "gradcam"), part.get("layer"), part["reshape"])
        if wrong:
            yield config.problem(f"hooks.{name}.reshape", wrong)
    if kind == "Report" and part.get("share", 0) < 0:
        yield config.problem(f"hooks.{name}.share", f"must be a number from 0, got {part['share']!r}")


def reshape_misfit(method: str, layer: str | None, reshape: str) -> str:
    """Why that ``reshape`` cannot be used so; empty if it can."""
    if method in ("guided_backprop", "cam"):
        return f"is of no use to {method}, which reads no tokens; leave it out"
    if layer is None:
        return "is for what a certain layer gives; name it with layer="
    return address.misfit(reshape)
