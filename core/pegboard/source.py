"""Read names, signatures and docstrings of an installed library from its source, without running it.

Importing torch takes a second, torchvision two; a config is checked and parts are listed in a tenth of that by
parsing only the few files that define what was asked for.
"""

import ast
import importlib.util
import inspect
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

Definition = ast.ClassDef | ast.FunctionDef

# A class that ends its chain of constructors here takes no further arguments, whatever its own **kwargs say.
_TAKES_NOTHING = {"torch.nn.modules.module:Module", "builtins:object"}


@dataclass
class Module:
    """One parsed source file: what it defines, and what it imports from where."""

    name: str
    is_package: bool
    tree: ast.Module
    definitions: dict[str, Definition] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)  # local name -> "module" or "module:name"
    stars: list[str] = field(default_factory=list)
    assigned: set[str] = field(default_factory=set)

    def absolute(self, node: ast.ImportFrom) -> str:
        """The dotted name of the module that ``from X import ...`` names."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        parts = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*parts, node.module] if node.module else parts)

    @property
    def exported(self) -> list[str]:
        """The names in ``__all__``; empty where there is none or it is computed."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets
            ):
                try:
                    return [str(name) for name in ast.literal_eval(node.value)]
                except ValueError:
                    return []
        return []


def module_file(name: str) -> Path | None:
    """Where the module's source lies; found without importing its parent packages."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin)
    if spec.submodule_search_locations:
        place = Path(next(iter(spec.submodule_search_locations)))
    elif rest:
        return None
    for candidate in (place.joinpath(*rest, "__init__.py"), place.joinpath(*rest).with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


@cache
def read(name: str) -> Module | None:
    """The parsed module of that dotted name; None where it has no Python source that can be read."""
    path = module_file(name)
    if path is None:
        return None
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return None
    module = Module(name, path.name == "__init__.py", tree)
    for node in _statements(tree.body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            module.definitions[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            source = module.absolute(node)
            for alias in node.names:
                if alias.name == "*":
                    module.stars.append(source)
                else:
                    module.imports[alias.asname or alias.name] = f"{source}:{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                module.imports[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            module.assigned |= {target.id for target in targets if isinstance(target, ast.Name)}
    return module


def _statements(body: list[ast.stmt]) -> list[ast.stmt]:
    """Module-level statements, those inside ``if`` and ``try`` included."""
    found: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If):
            found += _statements(node.body) + _statements(node.orelse)
        elif isinstance(node, ast.Try):
            found += _statements(node.body) + [s for h in node.handlers for s in _statements(h.body)]
        else:
            found.append(node)
    return found


@cache
def find(target: str) -> tuple[Module, Definition] | None:
    """The class or function that ``"module:name"`` leads to, imports followed to where it is defined."""
    return _follow(target, ())


def _follow(target: str, way: tuple[str, ...]) -> tuple[Module, Definition] | None:
    """``way`` is where we came from: imports may run in a circle."""
    module_name, _, attribute = target.partition(":")
    module = read(module_name) if target not in way else None
    if module is None:
        return None
    if attribute in module.definitions:
        return module, module.definitions[attribute]
    way = (*way, target)
    if attribute in module.imports:
        onward = module.imports[attribute]
        return _follow(onward, way) if ":" in onward else None
    for star in module.stars:
        found = _follow(f"{star}:{attribute}", way)
        if found:
            return found
    return None


def summary(target: str) -> str:
    """First line of the docstring of ``"module:name"``; empty where there is none."""
    return first_line(docstring(target))


def docstring(target: str) -> str:
    """The docstring of ``"module:name"``, its lines set out as far as they go; empty where there is none."""
    found = find(target)
    if found is None:
        return ""
    module, definition = found
    return ast.get_docstring(definition) or inspect.cleandoc(_assigned_docstring(module, definition.name))


def docstring_of(module: Module) -> str:
    """What stands at the head of a source file."""
    return ast.get_docstring(module.tree) or ""


def first_line(docstring: str | None) -> str:
    """The first non-empty line of a docstring, joined with its continuation up to the first full stop."""
    paragraph = (docstring or "").strip().split("\n\n")[0]
    return " ".join(paragraph.split()).split(". ")[0].rstrip(".")


def _assigned_docstring(module: Module, name: str) -> str:
    """torch.optim writes ``SGD.__doc__ = r'''...''' + rf'''... {_params_doc}'''``: that expression's text."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"{name}.__doc__":
            return _text(module, node.value)
    return ""


def _text(module: Module, node: ast.expr) -> str:
    """The string that an expression of constants, their sums and names of such gives; what is none of it is empty."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.BinOp):
        return _text(module, node.left) + _text(module, node.right)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(module, part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(module, node.value)
    if isinstance(node, ast.Name):
        home, _, attribute = module.imports.get(node.id, f"{module.name}:{node.id}").partition(":")
        owner = module if home == module.name else read(home)
        for statement in owner.tree.body if owner else ():
            if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == attribute:
                return _text(owner, statement.value) if owner else ""
    return ""


@cache
def signature(target: str) -> inspect.Signature | None:
    """The arguments of ``"module:name"`` (of its constructor if it is a class), without ``self``.

    Annotations and defaults are source text. A ``**kwargs`` that the body hands on, or pops names from, is replaced
    by the arguments that it can carry; one that cannot be followed stays.
    """
    found = find(target)
    if found is None:
        return None
    module, definition = found
    if isinstance(definition, ast.FunctionDef):
        return _function_signature(module, definition, None)
    constructor = _constructor(module, definition)
    if constructor is None:
        return None
    owner_module, owner, function = constructor
    if f"{owner_module.name}:{owner.name}" in _TAKES_NOTHING:
        return inspect.Signature()
    return _function_signature(owner_module, function, owner)


def _constructor(module: Module, cls: ast.ClassDef) -> tuple[Module, ast.ClassDef, ast.FunctionDef] | None:
    """The ``__init__`` (or ``__new__``) that building ``cls`` calls, with the class that defines it."""
    methods = {node.name: node for node in cls.body if isinstance(node, ast.FunctionDef)}
    for name in ("__init__", "__new__"):
        if name in methods:
            return module, cls, methods[name]
    if any("dataclass" in ast.unparse(decorator) for decorator in cls.decorator_list):
        return module, cls, _dataclass_init(module, cls)
    for base in cls.bases:
        parent = _resolve(module, base)
        if parent and isinstance(parent[1], ast.ClassDef):
            constructor = _constructor(parent[0], parent[1])
            if constructor:
                return constructor
    known = [ast.unparse(base) for base in cls.bases]
    if not known or known == ["object"] or known == ["ABC"]:
        empty = ast.parse("def __init__(self): ...").body[0]
        return (module, cls, empty) if isinstance(empty, ast.FunctionDef) else None
    return None


def homes(target: str, name: str) -> set[str]:
    """Which of the class ``"module:name"`` and those that it derives from define a method or attribute.

    Each as ``"module:name"``, and ``"?"`` for one whose source cannot be read.
    """
    those: set[str] = set()
    waiting = [find(target)]
    while waiting:
        module, cls = waiting.pop() or (None, None)
        if module is None or not isinstance(cls, ast.ClassDef):
            those.add("?")
            continue
        bound = {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}
        bound |= {ast.unparse(one) for node in cls.body if isinstance(node, ast.Assign) for one in node.targets}
        those |= {f"{module.name}:{cls.name}"} if name in bound else set()
        waiting += [_resolve(module, base) for base in cls.bases]
    return those


def _dataclass_init(module: Module, cls: ast.ClassDef) -> ast.FunctionDef:
    arguments = ", ".join(_dataclass_fields(module, cls).values())
    function = ast.parse(f"def __init__(self, *, {arguments}): ..." if arguments else "def __init__(self): ...").body[0]
    if not isinstance(function, ast.FunctionDef):  # narrowing for the type checker: parsing a def gives a def
        raise TypeError(f"no constructor in {cls.name}")
    return function


def _dataclass_fields(module: Module, cls: ast.ClassDef) -> dict[str, str]:
    """Name -> its line of source, those of the parents first."""
    fields: dict[str, str] = {}
    for base in reversed(cls.bases):
        parent = _resolve(module, base)
        if parent and isinstance(parent[1], ast.ClassDef) and parent[1] is not cls:
            fields |= _dataclass_fields(parent[0], parent[1])
    for node in cls.body:
        if isinstance(node, ast.AnnAssign) and not any(w in ast.unparse(node) for w in ("ClassVar", "init=False")):
            fields[ast.unparse(node.target)] = ast.unparse(node)
    return fields


def _resolve(module: Module, node: ast.expr) -> tuple[Module, Definition] | None:
    """What a name or dotted name in ``module`` refers to."""
    if isinstance(node, ast.Subscript):
        node = node.value
    dotted = ast.unparse(node)
    head, *rest = dotted.split(".")
    if not rest:
        return find(f"{module.name}:{head}")
    onward = module.imports.get(head)
    if onward is None:
        return None
    parts = [*onward.replace(":", ".").split("."), *rest]
    return find(f"{'.'.join(parts[:-1])}:{parts[-1]}")


def _function_signature(module: Module, function: ast.FunctionDef, owner: ast.ClassDef | None) -> inspect.Signature:
    spec = function.args
    positional = [*spec.posonlyargs, *spec.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(spec.defaults)) + list(spec.defaults)
    pairs = list(zip(positional, defaults, strict=True))[1 if owner else 0 :]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [_parameter(argument, default, kind) for argument, default in pairs]
    if spec.vararg:
        parameters.append(inspect.Parameter(spec.vararg.arg, inspect.Parameter.VAR_POSITIONAL))
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    parameters += [_parameter(a, d, keyword_only) for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)]
    if spec.kwarg:
        carried = _carried(module, function, owner, spec.kwarg.arg)
        if carried is None:
            parameters.append(inspect.Parameter(spec.kwarg.arg, inspect.Parameter.VAR_KEYWORD))
        else:
            own = {parameter.name for parameter in parameters}
            parameters += [parameter for name, parameter in carried.items() if name not in own]
    return inspect.Signature(parameters)


def _parameter(argument: ast.arg, default: ast.expr | None, kind: "inspect._ParameterKind") -> inspect.Parameter:
    empty = inspect.Parameter.empty
    return inspect.Parameter(
        argument.arg,
        kind,
        default=empty if default is None else ast.unparse(default),
        annotation=empty if argument.annotation is None else ast.unparse(argument.annotation),
    )


def _carried(
    module: Module, function: ast.FunctionDef, owner: ast.ClassDef | None, kwargs: str
) -> dict[str, inspect.Parameter] | None:
    """The optional arguments that ``**kwargs`` of ``function`` can carry; None if that cannot be told."""
    carried: dict[str, inspect.Parameter] = {}
    names = [node.id for node in ast.walk(function) if isinstance(node, ast.Name)]
    followed = kwargs not in names  # never read: whatever it holds is dropped
    if any(_keeps(node, kwargs) for node in ast.walk(function)):
        return None
    for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
        popped = _popped(call, kwargs)
        if popped:
            carried[popped] = inspect.Parameter(popped, inspect.Parameter.KEYWORD_ONLY, default="...")
            followed = True
        elif any(k.arg is None and isinstance(k.value, ast.Name) and k.value.id == kwargs for k in call.keywords):
            onward = _callee_signature(module, call, owner)
            if onward is None:
                return None
            followed = True
            taken = {keyword.arg for keyword in call.keywords}
            for parameter in _left_open(onward, _positional_count(call)):
                if parameter.kind == inspect.Parameter.VAR_KEYWORD:
                    return None
                if parameter.name not in taken and parameter.kind != inspect.Parameter.VAR_POSITIONAL:
                    carried[parameter.name] = parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
    return carried if followed else None


def _keeps(node: ast.AST, kwargs: str) -> bool:
    """``self.options = kwargs`` or ``options = {**kwargs}``: whatever it holds may be used later."""
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    inside = value.values if isinstance(value, ast.Dict) else [value]
    return any(isinstance(part, ast.Name) and part.id == kwargs for part in inside)


def _popped(call: ast.Call, kwargs: str) -> str:
    """The name that ``kwargs.pop("name", ...)`` or ``kwargs.get("name")`` takes; empty for any other call."""
    function = call.func
    is_pop = isinstance(function, ast.Attribute) and function.attr in ("pop", "get") and call.args
    if is_pop and isinstance(function, ast.Attribute) and ast.unparse(function.value) == kwargs:
        name = call.args[0]
        return name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else ""
    return ""


def _left_open(onward: inspect.Signature, count: int) -> list[inspect.Parameter]:
    """The parameters that ``count`` positional arguments leave open.

    Those that go into ``*args``, which is handed on, fill the first of what the callee needs: torchvision's
    ``_shufflenetv2(weights, progress, *args, **kwargs)``.
    """
    parameters = list(onward.parameters.values())
    variadic = next((i for i, p in enumerate(parameters) if p.kind == inspect.Parameter.VAR_POSITIONAL), count)
    surplus = max(0, count - variadic)
    needed = [p for p in parameters[variadic:] if p.default is p.empty and p.kind == inspect.Parameter.KEYWORD_ONLY]
    return [p for p in parameters[min(count, variadic) :] if p not in needed[:surplus]]


def _positional_count(call: ast.Call) -> int:
    return sum(not isinstance(argument, ast.Starred) for argument in call.args)


def _callee_signature(module: Module, call: ast.Call, owner: ast.ClassDef | None) -> inspect.Signature | None:
    if owner and ast.unparse(call.func).startswith("super(") and ast.unparse(call.func).endswith(".__init__"):
        for base in owner.bases:
            parent = _resolve(module, base)
            if parent:
                return signature(f"{parent[0].name}:{parent[1].name}")
        return inspect.Signature() if not owner.bases else None
    callee = _resolve(module, call.func)
    return signature(f"{callee[0].name}:{callee[1].name}") if callee else _method_signature(module, call.func)


def _method_signature(module: Module, function: ast.expr) -> inspect.Signature | None:
    """The arguments of ``SomeClass.from_parts(...)``."""
    holder = _resolve(module, function.value) if isinstance(function, ast.Attribute) else None
    if holder is None or not isinstance(holder[1], ast.ClassDef) or not isinstance(function, ast.Attribute):
        return None
    for node in holder[1].body:
        if isinstance(node, ast.FunctionDef) and node.name == function.attr:
            is_static = any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)
            return _function_signature(holder[0], node, None if is_static else holder[1])
    return None


def choices(target: str) -> str:
    """What the name of a type stands for, where that is ``Literal[...]``, imports followed; else empty."""
    module_name, _, name = target.partition(":")
    for _ in range(5):  # imports may run in a circle
        module = read(module_name)
        if module is None:
            return ""
        if name in module.imports and ":" in module.imports[name]:
            module_name, _, name = module.imports[name].partition(":")
            continue
        values = [n.value for n in module.tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == name]
        text = ast.unparse(values[0]) if values else ""
        return text if text.startswith("Literal[") else ""
    return ""
