"""Compiles every kernel for an H200 (sm_90) as the trackers launch it; needs no GPU.

Launches are recorded with tensors that have a shape but no content, so what is compiled is what
would run. Prints a JSON line per compilation, in bfloat16: bytes of shared memory, and whether
tensor cores work.
To be run as `TRITON_INTERPRET=0 python -m tests.helpers.compiled_kernels`.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from benchmarks.gpu_check.cases import FUSED, Case, refiner_cases, tracker_cases

H200 = GPUTarget("cuda", 90, 32)
OPTIONS = ("num_warps", "num_stages", "enable_fp_fusion")
TYPES = {torch.bfloat16: "*bf16", torch.float32: "*fp32", int: "i32", float: "fp32"}


class Launched(NamedTuple):
    kernel: Any
    arguments: dict[str, Any]

    @property
    def signature(self) -> dict[str, str]:
        """The type of each argument, as Triton writes it."""
        kinds = {}
        for parameter in self.kernel.params:
            value = self.arguments[parameter.name]
            kind = value.dtype if isinstance(value, Tensor) else type(value)
            kinds[parameter.name] = "constexpr" if parameter.is_constexpr else TYPES[kind]
        return kinds


@contextmanager
def launches() -> Iterator[list[Launched]]:
    """Records launches instead of carrying them out."""
    found = []

    def run(self: Any, *arguments: Any, grid: Any, warmup: bool, **named: Any) -> None:
        found.append(Launched(self, dict(zip(self.arg_names, arguments, strict=False)) | named))

    with patch.object(JITFunction, "run", run):
        yield found


def compile_launch(launched: Launched) -> dict[str, Any]:
    kernel, arguments = launched
    signature = launched.signature
    places = [place for place, kind in enumerate(signature.values()) if kind.startswith("*")]
    constant = [name for name, kind in signature.items() if kind == "constexpr"]
    source = ASTSource(
        kernel,
        signature,
        constexprs={name: arguments[name] for name in constant},
        attrs={(place,): [["tt.divisibility", 16]] for place in places},
    )
    options = {name: arguments[name] for name in OPTIONS if name in arguments}
    compiled = triton.compile(source, target=H200, options=options)
    ptx = compiled.asm["ptx"]
    return {
        "kernel": kernel.__name__,
        "shared": compiled.metadata.shared,
        "tensor_cores": bool(re.search(r"wgmma\.mma_async|mma\.sync", ptx)),
    }


def launched_by(case: Case) -> list[Launched]:
    """The launches of a case; with keys in one part and in several, where they can be split."""
    inputs = [torch.empty(shape, dtype=torch.bfloat16, device="meta") for shape in case.shapes]
    fused = FUSED[case.kernel]
    ways = [fused]
    if case.kernel == "global_attention":
        ways = [partial(fused, splits=splits) for splits in (1, 3)]
    with launches() as found:
        for way in ways:
            way(*inputs, *case.further)
    return found


def main() -> None:
    groups = [tracker_cases(preset, (1080, 1920)) for preset in ("full", "light")]
    groups += [refiner_cases(variant) for variant in ("vit_b", "vit_h")]
    done = set()
    for case in (case for group in groups for cases in group.values() for case in cases):
        for launched in launched_by(case):
            constants = {
                name: value
                for name, value in launched.arguments.items()
                if name in OPTIONS or launched.signature.get(name) == "constexpr"
            }
            key = (launched.kernel.__name__, *sorted(constants.items()))
            if key not in done:
                done.add(key)
                print(json.dumps({"case": case.name, **compile_launch(launched)}), flush=True)


if __name__ == "__main__":
    main()
