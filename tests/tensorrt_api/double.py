"""A TensorRT that records: the real bindings' enums, base classes and signatures, and a make-believe behind them.

The real objects cannot be made without the library. A double has what the real class has and nothing else, takes calls
as the real signature says, and notes every name that was touched. Runs on Python 3.8 too.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

from tests.tensorrt_api import signatures

BASES = ("ILogger", "IProfiler", "IProgressMonitor")
"""Classes that the runner derives from; they work without the library."""


class Double:
    """Stands for an object of a real class. Its methods are those named do_NAME, its attributes those of `values`."""

    def __init__(self, module: Module, name: str, /, **values: Any) -> None:
        object.__setattr__(self, "_module", module)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "values", values)

    def __getattr__(self, name: str) -> Any:
        real = self._real(name)
        if isinstance(real, property):
            return self.values[name]
        behaviour = getattr(type(self), "do_" + name)
        return lambda *arguments: self._called(real, behaviour, arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__ or name.startswith("_"):
            object.__setattr__(self, name, value)
            return
        real = self._real(name)
        kind = real.fget.__doc__.partition(" -> ")[2].strip()
        if real.fset is None or not self._module.fits(kind, value):
            raise TypeError(f"{self._name}.{name} of type {kind} cannot be {value!r}")
        self.values[name] = value

    def _real(self, name: str) -> Any:
        """What the real class has under this name. Raises AttributeError as it does."""
        real = getattr(getattr(self._module.real, self._name), name)
        self._module.used.add(f"{self._name}.{name}")
        return real

    def _called(self, real: Any, behaviour: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        signatures.bind(real, arguments, self._module.fits)
        self._module.calls.append((self._name, real.__name__, arguments))
        return behaviour(self, *arguments)


class Members:
    """An enum whose members are noted when they are asked for."""

    def __init__(self, module: Module, name: str) -> None:
        self._module = module
        self._name = name

    def __getattr__(self, member: str) -> Any:
        real = getattr(getattr(self._module.real, self._name), member)
        self._module.used.add(f"{self._name}.{member}")
        return real


class Module(types.ModuleType):
    """The module `tensorrt`. makers: for the classes that the runner itself makes objects of.

    used: every name that was touched.   calls: class, method and arguments of every call.
    """

    def __init__(self, real: Any, declared: list[str]) -> None:
        super().__init__("tensorrt")
        self.real = real
        self.used: set[str] = set()
        self.calls: list[tuple[str, str, tuple[Any, ...]]] = []
        self._declared = declared
        self.makers: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, name: str) -> Any:
        if name == "__path__" or name == "__spec__":
            raise AttributeError(name)
        real = getattr(self.real, name)
        self.used.add(name)
        if name in self.makers:
            return lambda *arguments: self._made(name, real, arguments)
        if name in BASES:
            self.used.update(each for each in self._declared if each.startswith(name + "."))
        return Members(self, name) if hasattr(real, "__members__") else real

    def _made(self, name: str, real: Any, arguments: tuple[Any, ...]) -> Any:
        signatures.bind(real.__init__, arguments, self.fits)
        return self.makers[name](*arguments)

    def fits(self, kind: str, value: Any) -> bool:
        """Whether a value is what a docstring calls `kind`."""
        name = kind.split(".")[-1].split("::")[-1]
        plain = {"int": int, "SupportsInt": int, "str": str, "bool": bool, "float": float}
        if name in plain:
            return isinstance(value, plain[name]) and isinstance(value, bool) == (name == "bool")
        if name in ("buffer", "Buffer"):
            return isinstance(value, (bytes, bytearray, memoryview))
        if isinstance(value, Double):
            return bool(value._name == name)
        real = getattr(self.real, name, None)
        return real is not None and isinstance(value, real)
