"""The names of whole model families, read from their libraries' source."""

import ast

from pegboard import source

# Arguments of torch's layers that are layers: those of ModuleList, ModuleDict and the transformers.
LAYERS_INSIDE = ("modules", "encoder_layer", "decoder_layer", "custom_encoder", "custom_decoder", "norm")


def torch_layers() -> dict[str, str]:
    """Every public class of ``torch.nn.modules`` but the losses."""
    layers, losses = source.read("torch.nn.modules"), source.read("torch.nn.modules.loss")
    if layers is None or losses is None:
        return {}
    return {name: f"torch.nn:{name}" for name in layers.exported if name not in losses.exported and name != "Module"}


def torchvision_models() -> dict[str, str]:
    """Every function that torchvision registers as a model in its classification modules, by the name it has there."""
    return _registered_in("torchvision.models") | _registered_in("torchvision.models.quantization")


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
            if name := _registered_name(definition):
                names[name] = f"{module.name}:{definition.name}"
        onward = {
            *module.stars,
            *(target.split(":")[0] for target in module.imports.values() if module.name == package),
        }
        for name in sorted(onward - seen):
            if name.startswith(f"{package}."):
                seen.add(name)
                waiting.append(name)
    return dict(sorted(names.items()))


def _registered_name(definition: source.Definition) -> str:
    """``@register_model(name="quantized_resnet18")`` names a function anew; empty for one that is not registered."""
    for decorator in definition.decorator_list:
        if "register_model" in ast.unparse(decorator):
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
            given = [k.value.value for k in keywords if k.arg == "name" and isinstance(k.value, ast.Constant)]
            return str(given[0]) if given else definition.name
    return ""
