"""Each rank holds a part of the model: torch's fully_shard (FSDP2)."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from pegboard import distributed, shards
from pegboard.checkpoint import Checkpoints
from pegboard.config.keys import optimizer_parts
from pegboard.data.batch import Batch
from pegboard.errors import ConfigError, Problem, did_you_mean
from pegboard.registry import HOOKS
from pegboard.strategies.strategy import Strategy

if TYPE_CHECKING:  # the runner imports this package
    from pegboard.runner.step import Computed, Step

logger = logging.getLogger("pegboard")

T = TypeVar("T")
FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

# Optimizers that look at a parameter as a whole, in a way that torch (2.15) cannot do in parts.
NEED_THE_WHOLE = ("LBFGS", "Muon", "Adafactor")


class FSDP(Strategy):
    """Each rank holds a part of every parameter, its gradient and the optimizer's state; a layer is whole as it runs.

    What is computed is what DDP computes, to rounding. Checkpoints are written by all ranks, each its own part, into a
    folder that all must see; a resume may have another number of ranks, one among them, or another strategy. Buffers
    are whole on each rank. The model is built whole on the first rank, in the memory of the CPU, and parted from there;
    so it is on the others if its layers are lazy, or its constructor reads tensors or keeps some that are no buffers.

    Args:
        wrap: patterns over names of modules that are gathered one at a time, ``*`` within a name's parts alone:
            ``"layer*"`` means layer1 to layer4 of a ResNet, ``"layer*.*"`` each of their blocks. What no pattern
            means is gathered all at once.
        param_dtype: number format in which weights are gathered, e.g. ``"bf16"`` to halve the traffic; that of the run
            key ``precision``, or fp32.
        reduce_dtype: number format in which gradients are joined; fp32 unless given.
        reshard: part a layer again after its forward pass, to gather it a second time for the backward pass; without,
            faster and larger.
        async_save: write checkpoints beside training, from a copy of the rank's own part in the memory of the CPU;
            without, training waits for the disk, and no copy is made.

    Raises:
        ConfigError: a pattern of ``wrap`` means no module.

    Source: torch.distributed.fsdp.fully_shard; Zhao et al. 2023, arXiv:2304.11277.
    """

    sharded = weights_from_first = True
    uses: ClassVar[str] = "FSDP holds a part of each weight on each rank"

    def __init__(
        self,
        wrap: Sequence[str] = (),
        param_dtype: Literal["bf16", "fp16", "fp32"] | None = None,
        reduce_dtype: Literal["bf16", "fp16", "fp32"] | None = None,
        reshard: bool = True,
        async_save: bool = True,
    ) -> None:
        self.patterns = [wrap] if isinstance(wrap, str) else list(wrap)
        self.param_dtype = FORMATS[param_dtype] if param_dtype else None
        self.reduce_dtype = FORMATS[reduce_dtype] if reduce_dtype else torch.float32 if param_dtype else None
        self.reshard = reshard
        self.async_save = async_save
        self.mesh: Any = None
        self._cpus: Any = None  # the same ranks, for copies that wait to be written
        self._group: Any = None  # and once more, for the thread that writes them
        self._writer: ThreadPoolExecutor | None = None
        self._saving: Future[None] | None = None
        self.shapes: dict[str, torch.Size] = {}  # of the parameters, whole

    # -- what cannot be ------------------------------------------------------------------------------------------------

    @classmethod
    def refuses(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        own, precision = values["strategy"], values.get("precision") or "fp32"
        if own.get("param_dtype") not in (None, "fp32", precision):
            message = f"the run computes in {precision}; write precision={own['param_dtype']!r} too, or leave it out"
            yield "strategy.param_dtype", message
        if values.get("compile"):
            yield "compile", "FSDP gathers weights between layers, which is not compiled here; leave compile out"
        for path, part in optimizer_parts(values.get("optimizer")).items():
            name = str(part["type"]).rpartition(":")[2]
            if name in NEED_THE_WHOLE:
                yield f"{path}.type", f"{name} needs each weight whole, and {cls.uses}; take AdamW or SGD, or DDP"
            elif part.get("fused") and name == "SGD":
                yield f"{path}.fused", f"torch has no fused SGD for this, for {cls.uses}; leave fused out"
        for name, part in (values.get("hooks") or {}).items():
            if isinstance(part, Mapping) and "type" in part:
                hook: Any = HOOKS.find(part["type"]).factory
                if getattr(hook, "reads_model", False) and getattr(hook, "ranks", "all") == "first":
                    kind = str(part["type"]).rpartition(":")[2]
                    message = f"{kind} uses the model on the first rank, and {cls.uses}; leave it out, "
                    yield f"hooks.{name}", message + "and draw it afterwards from the run folder, or take DDP"

    # -- wrap ----------------------------------------------------------------------------------------------------------

    def wrap(self, step: "Step", allow_unused: bool) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

        model = step.model
        chosen = self._chosen(model)
        for parameter in model.parameters():
            parameter.data = parameter.data.contiguous()  # channels_last is no order that rows can be cut from
        whole = {name: parameter.detach() for name, parameter in model.named_parameters()}
        self.shapes = {name: parameter.shape for name, parameter in model.named_parameters(remove_duplicate=False)}
        self.mesh = init_device_mesh(step.device.type, (dist.get_world_size(),))
        policy = MixedPrecisionPolicy(self.param_dtype, self.reduce_dtype, cast_forward_inputs=False)
        for module in chosen:
            fully_shard(module, mesh=self.mesh, mp_policy=policy, reshard_after_forward=self.reshard)
            self._fill(model, whole)
        fully_shard(model, mesh=self.mesh, mp_policy=policy)
        self._fill(model, whole)
        for buffer in model.buffers():
            dist.broadcast(buffer, 0)
        if step.training_step is not None:
            register_fsdp_forward_method(model, "training_step")
            step.training_step = cast(Callable[..., Any], model.training_step)
        own = sum(distributed.local(parameter).numel() for parameter in model.parameters())
        total = sum(parameter.numel() for parameter in model.parameters())
        logger.info("FSDP: %d modules gathered one at a time; this rank holds %d of %d values", len(chosen), own, total)

    def _fill(self, model: nn.Module, whole: dict[str, Tensor]) -> None:
        """Give each rank its parts of the first rank's weights, of those that are parted by now, one after the other.

        Args:
            whole: the weights before they were parted, of which those of later ranks may be without values; those that
                are done with are taken out, and their memory is free.
        """
        from torch.distributed.tensor import Shard, distribute_tensor

        for name, parameter in model.named_parameters():
            if name in whole and shards.is_part(parameter):
                part = distribute_tensor(whole.pop(name).to(self.mesh.device_type), self.mesh, [Shard(0)])
                distributed.local(parameter.detach()).copy_(part.to_local())

    def _chosen(self, model: nn.Module) -> list[nn.Module]:
        """The modules that the patterns mean, inner ones first.

        Raises:
            ConfigError: a pattern means none, or one that is never called itself.
        """
        named = {name: module for name, module in model.named_modules() if name}
        found: dict[str, nn.Module] = {}
        for pattern in self.patterns:
            those = {name: module for name, module in named.items() if _means(pattern, name)}
            if not those:
                tops = ", ".join(name for name, _ in model.named_children())
                hint = did_you_mean(pattern, list(named), otherwise=f"; its modules are {tops}")
                raise ConfigError([Problem(f"{pattern!r} means no module of the model{hint}", "strategy.wrap")])
            for name, module in those.items():
                if isinstance(module, nn.ModuleList | nn.ModuleDict):
                    message = f"{pattern!r} means {name!r}, a {type(module).__name__}, which is never called itself; "
                    raise ConfigError([Problem(f"{message}write '{name}.*'", "strategy.wrap")])
            found |= those
        return [found[name] for name in sorted(found, key=lambda name: -name.count("."))]

    # -- a step --------------------------------------------------------------------------------------------------------

    @contextmanager
    def piece(self, step: "Step", last: bool) -> "Iterator[Callable[[Batch], Computed]]":
        model = cast(Any, step.model)
        model.set_requires_gradient_sync(last)
        yield step

    def evaluated(self, step: "Step", batch: Batch) -> "Computed":
        """Under ``no_grad``: weights that are first gathered in inference mode could never be trained on."""
        with torch.inference_mode(False), torch.no_grad():
            computed = step(batch)
            cast(Any, step.model).reshard()  # the outermost stays gathered until a backward pass that does not come
        return computed

    # -- whole and part ------------------------------------------------------------------------------------------------

    def gather(self, state: T) -> T:
        found = {path: value.full_tensor() for path, value in shards.leaves(state) if shards.is_part(value)}
        gathered: T = shards.replaced(state, found) if () not in found else found[()]
        return gathered

    def everywhere(self, flags: Tensor) -> Tensor:
        numbers = flags.to(torch.int32)
        dist.all_reduce(numbers, dist.ReduceOp.MIN)
        return numbers.bool()

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self, checkpoints: Checkpoints, state: dict[str, Any], keep: int) -> Path:
        begun = time.time()
        if self.async_save:
            self._writer = self._writer or self._hired()
            copy = shards.copied(state, self._cpus)
            self._saving = self._writer.submit(self._write, checkpoints, copy, keep, begun)
        else:
            self._write(checkpoints, state, keep, begun)
        return checkpoints.path_of(state["iteration"])

    def _hired(self) -> ThreadPoolExecutor:
        """A thread that writes, and the ranks once more, for it to talk to those of the others."""
        from torch.distributed.device_mesh import init_device_mesh

        self._cpus = init_device_mesh("cpu", (dist.get_world_size(),))
        self._group = dist.new_group(backend="gloo", timeout=distributed.timeout())
        on_gpu = self.mesh.device_type == "cuda"  # each thread begins with the first one
        chosen = (torch.cuda.set_device, (torch.cuda.current_device(),)) if on_gpu else (None, ())
        return ThreadPoolExecutor(1, "checkpoint", *chosen)

    def saved(self, wait: bool) -> bool:
        if self._saving is None:
            return True
        if not wait and not self.everywhere(torch.tensor(self._saving.done())):
            return False
        saving, self._saving = self._saving, None
        saving.result()
        return True

    def _write(self, checkpoints: Checkpoints, state: dict[str, Any], keep: int, begun: float) -> None:
        """The files of all ranks, then the checkpoint that lists them; all ranks talk in a group of their own."""
        parts = {where: value for where, value in shards.leaves(state) if shards.is_part(value)}
        named: dict[str, tuple[Any, ...]] = {}
        for where in parts:
            name = ".".join(map(str, where))
            named[f"{name}'" if name in named else name] = where  # a hook may have a dot in its name
        stem = checkpoints.path_of(state["iteration"]).stem
        folder = distributed.together(lambda: shards.free_name(checkpoints.folder, stem), self._group)[0]
        tensors = {name: parts[where] for name, where in named.items()}
        files = shards.write(checkpoints.folder / folder, tensors, self._group)
        rest = shards.replaced(state, dict.fromkeys(parts))
        rest[shards.KEY] = {"folder": folder, "files": files, "paths": {n: list(p) for n, p in named.items()}}
        first = distributed.is_first()
        distributed.together(lambda: checkpoints.save(rest, keep, begun) if first else None, self._group)

    def load(self, state: Mapping[str, Any]) -> dict[str, Any]:
        from torch.distributed.tensor import Shard, distribute_tensor, empty

        device = self.mesh.device_type
        if shards.KEY in state:
            folder = Path(state[shards.KEY]["at"])
            parts: dict[str, Tensor] = {
                name: empty(kind.size, dtype=kind.dtype, device_mesh=self.mesh, placements=[Shard(0)])
                for name, kind in shards.kinds(folder).items()
            }
            shards.read(folder, parts)
            return shards.put_back(state, state[shards.KEY]["paths"], parts)
        found = {
            where: distribute_tensor(value.to(device), self.mesh, [Shard(0)], src_data_rank=None)
            for where, value in shards.leaves(state)
            if self._is_of_a_parameter(where, value)
        }
        loaded: dict[str, Any] = shards.replaced(dict(state), found)
        return loaded

    def _is_of_a_parameter(self, where: tuple[Any, ...], value: Any) -> bool:
        """A weight, an average of it, or what an optimizer keeps of it, in a checkpoint of whole tensors."""
        if not isinstance(value, Tensor) or not value.dim():
            return False
        if where[0] == "optimizer":
            return value.shape in self.shapes.values()
        return self.shapes.get(where[-1]) == value.shape


def _means(pattern: str, name: str) -> bool:
    """Part by part: ``*`` does not reach past a dot."""
    wanted, parts = pattern.split("."), name.split(".")
    return len(wanted) == len(parts) and all(fnmatchcase(p, w) for p, w in zip(parts, wanted, strict=True))
