"""One optimizer step by several processes, with the result of one; their strategy says how they hold the model.

Each rank runs its part of every batch. What the loop, the metrics and the hooks see after a step is the whole batch:
its loss, outputs and targets, on every rank, so that all that follows is computed from the same numbers everywhere.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from pegboard.data.batch import Batch
from pegboard.data.loader import Loader
from pegboard.data.one_copy import beside
from pegboard.data.share import Share
from pegboard.distributed import Place
from pegboard.errors import PegboardError
from pegboard.hooks.hook import Hook
from pegboard.runner.step import NO_LOSS, Computed, Step, backward, masses, share_of
from pegboard.strategies.strategy import Strategy

if TYPE_CHECKING:
    from pegboard.runner.loop import Runner

logger = logging.getLogger("pegboard")


class Ranks:
    """What a run asks of the processes that it is made of.

    Attributes:
        rank, world: which of how many. first: this is rank 0, which writes.
        strategy: how they hold the model, and join their gradients.
        batch: the whole batch that was last run; its ``inputs`` are of this rank alone unless a hook ``needs_inputs``.
        stop_reason, interrupted: what this rank wants; the run stops once ``agree`` has told the others.
    """

    several = True
    batch: Batch

    def __init__(self, here: Place, device: torch.device, strategy: Strategy) -> None:
        self.rank, self.world, self.first = here.rank, here.world, here.rank == 0
        self.device, self.strategy = device, strategy
        self.share = Share(here.rank, here.world)
        self.stop_reason, self.interrupted = "", False
        self.needs_inputs = False
        self._counts: list[int] = []  # samples of the batch at hand that each rank has
        self._index = torch.zeros(0, dtype=torch.int64)  # and which they are
        self._looked: list[bool] = []  # which parameters learned when those without a gradient were looked for
        self._seconds = 0.0  # spent on communication, beside that of the strategy
        self._pieces_a_step = 1

    # -- batches -------------------------------------------------------------------------------------------------

    def share_memory(self, loader: Loader) -> None:
        """Let the ranks of a machine keep one copy of its decoded images; all are about to ask it for batches."""
        loader.beside = beside()

    def batches(self, loader: Loader, epoch: int, start: int = 0) -> Iterator[Batch]:
        """This rank's part of each batch of an epoch."""
        drawn, size = loader.order(epoch), loader.batch_size
        order = torch.from_numpy(drawn)
        for number, batch in enumerate(loader.batches(epoch, start, self.share, drawn), start):
            self._index = order[number * size : (number + 1) * size]
            self._counts = self.share.counts(len(self._index))
            yield batch

    # -- a step --------------------------------------------------------------------------------------------------

    def gradients(self, run: "Runner", batch: Batch) -> Computed:
        """Those of the whole batch, on every rank; and what the whole batch gives, detached."""
        mine, whole = self._masses(run.step, batch)
        pieces = [piece for piece in self._pieces(batch, run.accumulate) if len(piece.index)]
        surplus = min(max(self._counts), run.accumulate) - len(pieces)  # every rank runs as many as the fullest one
        pieces = pieces[:1] * surplus + pieces
        values: dict[str, Tensor] = {}
        kept = []
        for number, piece in enumerate(pieces, 1):
            with self.strategy.piece(run.step, last=number == len(pieces)) as forward:
                computed = forward(piece)
                if computed.loss is None:
                    raise PegboardError(NO_LOSS)
                own = masses(run.step, piece) if len(pieces) > 1 else mine
                counts = self._counts[self.rank] and number > surplus
                counted = own if counts else dict.fromkeys(own, 0.0)
                shares = _shares(computed, counted, whole)
                backward(shares["loss"] * self.world, run.scaler)  # gradients are averaged; the shares sum up
            for name, value in shares.items():
                values[name] = values[name] + value.detach() if name in values else value.detach()
            if number > surplus:
                kept.append(computed)
        self._pieces_a_step = len(pieces)
        self._name_unused(run)
        outputs = kept[0].outputs if len(kept) == 1 else _joined([one.outputs for one in kept])
        return self._whole(batch, values, outputs, kept[0])

    def evaluated(self, step: Step, batch: Batch) -> Computed:
        """What the model gives for the whole batch, without gradients."""
        mine, whole = self._masses(step, batch)
        computed = self.strategy.evaluated(step, batch)
        counted = mine if self._counts[self.rank] else dict.fromkeys(mine, 0.0)
        return self._whole(batch, _shares(computed, counted, whole), computed.outputs, computed)

    def whole(self, batch: Batch) -> Batch:
        """The batch of which this rank has just run its part."""
        return self.batch

    def same_buffers(self, step: Step) -> None:
        """Give every rank those of the first, which checkpoints hold: batch norm's means differ between ranks."""
        for buffer in step.buffers():
            dist.broadcast(buffer, 0)

    def _pieces(self, batch: Batch, pieces: int) -> Iterator[Batch]:
        size = len(batch.index)
        if pieces == 1:
            yield batch
            return
        for number in range(pieces):
            chosen = slice(number * size // pieces, (number + 1) * size // pieces)
            yield Batch(batch.inputs[chosen], batch.targets[chosen], batch.index[chosen])

    def _masses(self, step: Step, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        """Of this rank's part, and of the whole batch."""
        mine = masses(step, batch)
        counts = 1.0 if self._counts[self.rank] else 0.0
        sums = torch.stack([torch.as_tensor(mass, device=self.device).double() * counts for mass in mine.values()])
        with self._clock():
            dist.all_reduce(sums)
        tensors = {name for name, mass in mine.items() if isinstance(mass, Tensor)}
        whole = {
            name: total if name in tensors else float(len(self._index)) for name, total in zip(mine, sums, strict=True)
        }
        return mine, whole

    def _whole(self, batch: Batch, values: Mapping[str, Tensor], outputs: Any, like: Computed) -> Computed:
        """The sums over the ranks of their shares, and the outputs one after the other; ``self.batch`` goes with it."""
        rows = {"targets": batch.targets, "outputs": outputs} | ({"inputs": batch.inputs} if self.needs_inputs else {})
        lists = {name: self._listed(value) for name, value in rows.items() if isinstance(value, list)}
        leaves, structure = tree_flatten({name: value for name, value in rows.items() if name not in lists})
        sums, leaves = self._exchanged([value.detach() for value in values.values()], leaves)
        total = {name: part.to(value.dtype) for (name, value), part in zip(values.items(), sums, strict=True)}
        whole = {"inputs": batch.inputs, **tree_unflatten(leaves, structure), **lists}
        self.batch = Batch(whole["inputs"], whole["targets"], self._index)
        parts = {name: total[f"part {name}"] for name in like.parts}
        logged = {name: total[f"logged {name}"] for name in like.logged}
        return Computed(total.get("loss"), whole["outputs"], parts, logged)

    def _listed(self, value: list[Any]) -> list[Any]:
        """The lists of the ranks, which hold anything, one after the other."""
        everyone: list[Any] = [None] * self.world
        with self._clock():
            dist.all_gather_object(everyone, value[: self._counts[self.rank]])
        return [one for those in everyone for one in those]

    def _exchanged(self, numbers: list[Tensor], leaves: list[Any]) -> tuple[list[Tensor], list[Any]]:
        """Scalars summed over the ranks, and of each tensor with a row a sample the rows of all ranks, in one call.

        All goes as bytes, since not every backend moves every number format; each kind begins at a multiple of 16,
        so that the bytes can be read as numbers where they lie.
        """
        own, most = self._counts[self.rank], max(self._counts)
        detached = [leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        moved = [number for number, leaf in enumerate(detached) if self._has_rows(leaf)]
        head = torch.stack([n.to(self.device).double() for n in numbers]) if numbers else torch.zeros(0).double()
        widths = [detached[number][:1].numel() * detached[number].element_size() for number in moved]
        lengths = [_aligned(8 * len(numbers)), *(_aligned(most * width) for width in widths)]
        sent = torch.zeros(sum(lengths), dtype=torch.uint8, device=self.device)
        pieces = torch.split(sent, lengths)
        pieces[0][: 8 * len(numbers)] = head.view(torch.uint8)
        for piece, number, width in zip(pieces[1:], moved, widths, strict=True):
            piece[: own * width] = detached[number][:own].contiguous().flatten().view(torch.uint8)
        received = list(torch.empty(self.world, len(sent), dtype=torch.uint8, device=self.device))
        with self._clock():
            dist.all_gather(received, sent)
        everyone = [torch.split(one, lengths) for one in received]
        sums = torch.stack([those[0][: 8 * len(numbers)].view(torch.float64) for those in everyone]).sum(0)
        for place, (number, width) in enumerate(zip(moved, widths, strict=True), 1):
            like = detached[number]
            rows = [
                those[place][: count * width].view(like.dtype).view(count, *like.shape[1:])
                for those, count in zip(everyone, self._counts, strict=True)
                if count
            ]
            detached[number] = torch.cat(rows).to(like.device)
        return list(sums), detached

    def _has_rows(self, value: Any) -> bool:
        """Is it a tensor with a row a sample of this rank?"""
        rows = self._counts[self.rank] or len(self._index)
        return isinstance(value, Tensor) and value.dim() > 0 and len(value) == rows

    # -- the model -----------------------------------------------------------------------------------------------

    def _name_unused(self, run: "Runner") -> None:
        """End here where a parameter that learns took no part; looked at anew when others learn.

        DDP would wait for its gradient, and average none of the others.

        Raises:
            PegboardError: some did not.
        """
        learning = [parameter.requires_grad for parameter in run.step.parameters()]
        if learning == self._looked or run.builder.values["unused_parameters"]:
            return
        self._looked = learning
        unused = [n for n, p in run.model.named_parameters() if p.requires_grad and p.grad is None]
        if unused:
            more = f" and {len(unused) - 5} more" if len(unused) > 5 else ""
            raise PegboardError(
                f"{', '.join(unused[:5])}{more} got no gradient in the first step: on several ranks each parameter "
                "must take part in every step; freeze it (freeze=[...]), or set unused_parameters=True (slower)"
            )

    def note_batch_norm(self, model: nn.Module) -> None:
        """Say that batch norm sees each rank's part alone."""
        alone = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        if any(not isinstance(module, nn.SyncBatchNorm) for module in alone):
            logger.info(
                "batch norm takes its means over each rank's 1/%d of a batch, and checkpoints hold the first rank's: "
                "figures are those of smaller batches; sync_batchnorm=True takes them over all",
                self.world,
            )

    # -- agreement -----------------------------------------------------------------------------------------------

    def agree(self, run: "Runner") -> None:
        """Stop every rank after the same iteration if one wants to; called by all at the same places of the loop."""
        wants = torch.tensor([bool(self.stop_reason), self.interrupted], dtype=torch.int32)
        with self._clock():
            dist.all_reduce(wants, dist.ReduceOp.MAX)
        stop, interrupted = wants.tolist()
        if stop and not run.stop_reason:
            reasons: list[Any] = [None] * self.world
            dist.all_gather_object(reasons, self.stop_reason)
            run.stop_reason = next(filter(None, reasons))
            logger.info("%s: every rank stops after this iteration, and the state is saved", run.stop_reason)
        run.interrupted = run.interrupted or bool(interrupted)

    def seconds(self) -> float:
        """That this rank has spent so far on sending, receiving and waiting, what the strategy does left out."""
        return self._seconds

    def waited_share(self) -> float:
        """Of the time of a step beside that: what it waits for gradients to be joined, by the strategy's sample."""
        waited, computed = self.strategy.waited_and_computed()
        return waited / (waited + self._pieces_a_step * computed) if waited else 0.0

    @contextmanager
    def _clock(self) -> Iterator[None]:
        began = perf_counter()
        yield
        self._seconds += perf_counter() - began

    def want_stop(self, run: "Runner", reason: str, interrupted: bool) -> None:
        """Of several ranks all stop at once, when they agree on it."""
        self.stop_reason = self.stop_reason or reason
        self.interrupted = self.interrupted or interrupted

    def use(self, hooks: Mapping[str, Hook]) -> None:
        """Do they need the inputs of the other ranks too?"""
        self.needs_inputs = any(hook.needs_inputs for hook in hooks.values())

    def runs(self, hook: Hook) -> bool:
        """Is a hook called on this rank?"""
        return self.first or hook.ranks == "all"


def _shares(computed: Computed, mine: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Tensor]:
    """What a part of a batch adds to the figures of the whole: ``"loss"``, ``"part NAME"`` and ``"logged NAME"``."""
    parts = {f"part {name}": share_of(name, part, mine, whole) for name, part in computed.parts.items()}
    shares = dict(parts)
    if parts:
        shares["loss"] = torch.stack(list(parts.values())).sum()
    elif computed.loss is not None:
        shares["loss"] = share_of("", computed.loss, mine, whole)
    for name, value in computed.logged.items():
        shares[f"logged {name}"] = share_of("logged", torch.as_tensor(value, dtype=torch.float64).detach(), mine, whole)
    return shares


def _aligned(size: int) -> int:
    return -(-size // 16) * 16


def _joined(outputs: list[Any]) -> Any:
    """The outputs of pieces as those of one batch."""
    flat = [tree_flatten(one) for one in outputs]
    leaves = [
        torch.cat([one.detach() for one in same]) if isinstance(same[0], Tensor) and same[0].dim() else same[0]
        for same in zip(*(leaves for leaves, _ in flat), strict=True)
    ]
    return tree_unflatten(leaves, flat[0][1])
