"""Tries kernels against the plain functions that they replace, once per machine."""

import hashlib
import json
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from hqtrack.errors import one_line
from hqtrack.files import cache_folder, replacing

Function = Callable[..., Tensor]

TOLERANCE = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 3e-2}
"""How far a kernel may be from float32, relative to the norm of the result, by its type."""


class KernelError(RuntimeError):
    """A kernel computes something else than the function that it replaces."""


class Family(NamedTuple):
    """The kernels of a network.

    Attributes:
        install: makes the network use functions of these names.
        fused, plain: kernels and the functions that they replace, by name.
        rehearse: runs the network on a small input.
    """

    install: Callable[[Mapping[str, Function]], None]
    fused: Mapping[str, Function]
    plain: Mapping[str, Function]
    rehearse: Callable[[], None]


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """The norm of the difference, relative to that of what is expected."""
    difference = (actual.float() - expected.float()).norm()
    return float(difference / expected.float().norm().clamp_min(1e-12))


def compared(fused: Function, plain: Function) -> Function:
    """The kernel, which raises KernelError where the plain function in float32 differs."""

    def both(*inputs: object) -> Tensor:
        actual = fused(*inputs)
        with torch.autocast(actual.device.type, enabled=False):
            expected = plain(*map(_in_float32, inputs))
        error = relative_error(actual, expected)
        if not error <= TOLERANCE[actual.dtype]:
            raise KernelError(f"its result differs by {error:.1%} from that of the plain function")
        return actual

    return both


def _in_float32(given: object) -> object:
    return given.float() if isinstance(given, Tensor) and given.is_floating_point() else given


def install_what_works(family: Family, known: bool = False) -> dict[str, Exception]:
    """Install the kernels that compile and agree; returns the errors of the others by name.

    A kernel that does not work does not affect the others. `known` says that all of them agreed
    before on this machine: then they are only compiled.
    """
    if known and _fault(family, family.fused) is None:
        return {}
    faults = {}
    for name, fused in family.fused.items():
        fault = _fault(family, {**family.plain, name: compared(fused, family.plain[name])})
        if fault is not None:
            faults[name] = fault
    working = {name: fused for name, fused in family.fused.items() if name not in faults}
    family.install({**family.plain, **working})
    return faults


def _fault(family: Family, functions: Mapping[str, Function]) -> Exception | None:
    family.install(functions)
    try:
        family.rehearse()
    except Exception as error:  # compilers raise errors of any type
        return error
    return None


class Agreement:
    """That all kernels agreed on this machine, with these versions and networks.

    Only for a GPU: elsewhere it is never known.
    """

    def __init__(
        self, device: torch.device, networks: Sequence[str], sources: Iterable[Path]
    ) -> None:
        """``networks`` describe what the kernels are for; ``sources`` are the kernels' modules."""
        self._path: Path | None = None
        if device.type != "cuda":
            return
        facts = [
            torch.cuda.get_device_name(device),
            torch.__version__,
            str(torch.version.cuda),
            *networks,
            *(hashlib.sha256(path.read_bytes()).hexdigest() for path in sources),
        ]
        name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
        self._path = cache_folder() / "kernels" / f"{name}.agreed"

    def known(self) -> bool:
        """Whether this was noted before."""
        return self._path is not None and self._path.is_file()

    def note(self) -> None:
        """Note it for the next process; where that is impossible, the next one compares again."""
        if self._path is None:
            return
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as part:
                part.write_text("the kernels agreed with the plain functions\n")


def describe_faults(faults: Mapping[str, Exception]) -> str:
    """One line about kernels that do not work, and where their errors are in full."""
    names = ", ".join(faults)
    reason = one_line(next(iter(faults.values())))[:200]
    line = f"hqtrack: no Triton kernel for {names}, slower: {reason}"
    path = cache_folder() / "kernels" / "errors.txt"
    texts: list[str] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            for name, fault in faults.items():
                texts.append(f"{name}:\n{''.join(traceback.format_exception(fault))}")
            part.write_text("\n".join(texts))
    except OSError:
        return line
    return f"{line} (in full: {path})"
