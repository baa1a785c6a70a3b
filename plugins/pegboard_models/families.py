"""The names of whole model families, read from their libraries' source."""

import ast

from pegboard import source


def torch_layers() -> dict[str, str]:
    """Every public class of ``torch.nn.modules`` but the losses."""
    layers, losses = source.read("torch.nn.modules"), source.read("torch.nn.modules.loss")
    if layers is None or losses is None:
        return {}
    return {name: f"torch.nn:{name}" for name in layers.exported if name not in losses.exported and name != "Module"}


def torchvision_models() -> dict[str, str]:
    """Every function that torchvision registers as a model in its classification modules."""
    return _registered_in("torchvision.models")


def timm_models() -> dict[str, str]:
    """Every function that timm registers as a model."""
    return _registered_in("timm.models")


def _registered_in(package: str) -> dict[str, str]:
    """Functions decorated with ``register_model`` in the modules that the package star-imports or imports from."""
    names: dict[str, str] = {}
    seen, waiting = {package}, [package]
    while waiting:
        module = source.read(waiting.pop())
        if module is None:
            continue
        for definition in module.definitions.values():
            if any("register_model" in ast.unparse(decorator) for decorator in definition.decorator_list):
                names[definition.name] = f"{module.name}:{definition.name}"
        onward = {
            *module.stars,
            *(target.split(":")[0] for target in module.imports.values() if module.name == package),
        }
        for name in sorted(onward - seen):
            if name.startswith(f"{package}."):
                seen.add(name)
                waiting.append(name)
    return dict(sorted(names.items()))
