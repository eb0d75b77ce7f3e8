"""Compiles every kernel for an H200 (sm_90) as the released networks use it; needs no GPU.

Prints a JSON line per kernel, all for bfloat16: bytes of shared memory, whether tensor cores work.
To be run as `TRITON_INTERPRET=0 python -m tests.helpers.compiled_kernels`.
"""

import json
from collections.abc import Mapping
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import hqsam.kernels
import vmos.kernels

H200 = GPUTarget("cuda", 90, 32)
OPTIONS = {"num_warps", "num_stages", "enable_fp_fusion"}
NUMBERS = {"pairs", "height", "width", "tokens", "memory"}


def compile_kernel(kernel: Any, constants: Mapping[str, int]) -> None:
    options = {key: value for key, value in constants.items() if key in OPTIONS}
    constants = {key: value for key, value in constants.items() if key not in OPTIONS}
    signature, aligned = {}, {}
    for place, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name in NUMBERS:
            signature[name] = "i32"
        elif name == "scale":
            signature[name] = "fp32"
        else:
            signature[name] = "*bf16"
            aligned[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constexprs=dict(constants), attrs=aligned)
    compiled = triton.compile(source, target=H200, options=options)
    tensor_cores = "wgmma.mma_async" in compiled.asm["ptx"]
    line = {"kernel": kernel.__name__, "shared": compiled.metadata.shared}
    print(json.dumps(line | {"tensor_cores": tensor_cores}), flush=True)


def main() -> None:
    sampling = {"GROUPS": 16, "CHANNELS": 16, "POINTS": 9, "PAIRS": 64, "PADDED": 16}
    compile_kernel(vmos.kernels._sample, sampling | {"enable_fp_fusion": True})
    for depth, width in ((128, 1024), (64, 512)):
        sizes = vmos.kernels._attention_sizes(depth, width)
        compile_kernel(vmos.kernels._attend_globally, {"QUERIES": 128, **sizes})
        compile_kernel(vmos.kernels._attend_locally, {"RADIUS": 7, "TILE": 8, **sizes})
    for side, padded, queries, warps in ((64, 64, 128, 8), (14, 16, 64, 4)):
        sizes = {"HEADS": 16, "DEPTH": 80, "DEPTH_PADDED": 128, "HEIGHT": side, "WIDTH": side}
        sizes |= {"KEYS": 64, "PADDED_WIDTH": padded, "QUERIES": queries}
        sizes |= {"num_warps": warps, "num_stages": 2, "enable_fp_fusion": True}
        compile_kernel(hqsam.kernels._attend, sizes)


if __name__ == "__main__":
    main()
