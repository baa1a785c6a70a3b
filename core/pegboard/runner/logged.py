"""The numbers of a run as records, which hooks write to files, the terminal and TensorBoard."""

from typing import TYPE_CHECKING

from pegboard.runner import non_finite

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner


def write_iteration(run: "Runner") -> None:
    """Put the training loss since the last time, and the learning rates, into a record of their own."""
    run.speed.read(run.iteration, run.figures.total)
    loss = run.figures.recent_loss()
    non_finite.stop(run)
    groups = run.optimizer.param_groups
    run.pending |= {"loss": loss, "lr": groups[0]["lr"]}
    if run.save_failure and run.saving is None:
        run.save()  # the disk may have been freed
    if len(groups) > 1:
        run.pending |= {f"lr/{group.get('name', 'added')}": group["lr"] for group in groups}
    write(run)


def write(run: "Runner") -> None:
    """Hand what was logged since the last record to the hooks, as floats."""
    if not run.pending or run.validation_due:
        return
    values = {name: float(value) for name, value in run.pending.items()}
    run.pending = {}
    epoch = run.epoch_in_progress
    for name, value in values.items():
        if name.startswith(("train/", "val/")):
            run.final[name] = value
            _keep_best(run, name, value, epoch)
    run.call("on_log", values={"epoch": epoch, "iteration": run.iteration, **values})


def _keep_best(run: "Runner", name: str, value: float, epoch: int) -> None:
    metric = run.figures.metrics.get(name.partition("/")[2])
    higher = getattr(metric, "higher_is_better", None) if metric is not None else False
    if higher is None:  # a metric that does not say has no best
        return
    known = run.best.get(name)
    if known is None or (value > known[0] if higher else value < known[0]):
        run.best[name] = (value, epoch)
