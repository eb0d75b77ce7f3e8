"""The kernels against the plain functions: on a GPU, or in Triton's interpreter."""

import copy
import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch

from tests.helpers.tiny_vmos import tiny_vmos
from vmos import ops
from vmos.dcnv3 import deformable_sample

pytest.importorskip("triton")
from vmos import kernels

pytestmark = pytest.mark.gpu
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# the interpreter multiplies the bits of bfloat16 matrices as if they were numbers
HALF = torch.bfloat16 if torch.cuda.is_available() else torch.float16
TOLERANCE = {
    torch.float32: {"atol": 2e-5, "rtol": 1e-4},
    torch.float16: {"atol": 4e-3, "rtol": 4e-3},
    torch.bfloat16: {"atol": 2e-2, "rtol": 2e-2},
}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def random(*shape):
    return torch.randn(shape).to(DEVICE)


@pytest.mark.parametrize(("size", "groups", "channels"), [((5, 7), 2, 4), ((9, 8), 1, 3)])
@pytest.mark.parametrize("reach", [0.0, 1.5, 40.0])
def test_sampling(size, groups, channels, reach):
    """Offsets of none, of pixels and far beyond the map."""
    shape = (2, *size, groups, 9)
    value = random(2, *size, groups * channels)
    offset, weight = reach * random(*shape, 2), random(*shape).softmax(dim=-1)
    expected = deformable_sample(value, offset, weight)
    actual = kernels.deformable_sample(value, offset, weight)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_sampling_wherever_offsets_point():
    value, weight = random(1, 4, 4, 2), torch.ones(1, 4, 4, 1, 9, device=DEVICE)
    for far in (-1e30, -1e4, 1e4, 1e30):
        offset = torch.full((1, 4, 4, 1, 9, 2), far, device=DEVICE)
        assert not kernels.deformable_sample(value, offset, weight).any()


def test_sampling_of_16_bits_is_exact_up_to_its_result():
    """To one unit in the last place: Triton's interpreter cuts off where a GPU rounds."""
    shape = (1, 2, 300, 1, 9)
    value = random(1, 2, 300, 8).bfloat16()
    offset, weight = random(*shape, 2).bfloat16(), random(*shape).bfloat16()
    expected = deformable_sample(value, offset, weight).bfloat16()
    actual = kernels.deformable_sample(value, offset, weight)
    torch.testing.assert_close(actual, expected, atol=1e-3, rtol=2**-7)


@pytest.mark.parametrize(("queries", "keys", "depth", "width"), [(130, 70, 4, 24), (5, 1, 16, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_global_attention(queries, keys, depth, width, dtype):
    query, key = random(2, queries, depth), 3 * random(2, keys, depth)
    inputs = [part.to(dtype) for part in (query, key, random(2, keys, width))]
    expected = ops.global_attention(*(part.float() for part in inputs))
    actual = kernels.global_attention(*inputs)
    assert actual.dtype == dtype
    torch.testing.assert_close(actual.float(), expected, **TOLERANCE[dtype])


@pytest.mark.parametrize(("size", "radius"), [((1, 1), 1), ((5, 20), 3), ((17, 9), 7)])
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_local_attention(size, radius, dtype):
    """Also with tiles and windows that leave the frame on every side."""
    tokens = size[0] * size[1]
    shapes = [(tokens, 8), (tokens, 8), (tokens, 20), (tokens, (2 * radius + 1) ** 2)]
    inputs = [random(2, *shape).to(dtype) for shape in shapes]
    expected = ops.local_attention(*(part.float() for part in inputs), size, radius)
    actual = kernels.local_attention(*inputs, size, radius)
    torch.testing.assert_close(actual.float(), expected, **TOLERANCE[dtype])


@pytest.mark.parametrize("splits", [2, 3, 8])
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_keys_are_split_and_merged(splits, dtype):
    """Also into parts of which the last is shorter, and where one has far larger scores."""
    key = random(2, 200, 8)
    key[:, :64] *= 30
    inputs = [part.to(dtype) for part in (random(2, 35, 8), key, random(2, 200, 20))]
    expected = ops.global_attention(*(part.float() for part in inputs))
    launch = kernels.Launch(16, keys=16, channels=16)
    actual = kernels.global_attention(*inputs, launch=launch, splits=splits)
    assert actual.dtype == dtype
    torch.testing.assert_close(actual.float(), expected, **TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("programs", "blocks", "processors", "splits"),
    [(80, 229, 132, 3), (132, 229, 132, 1), (4, 2, 132, 2), (1000, 900, 132, 1), (1, 1, 132, 1)],
)
def test_keys_are_split_where_processors_are_idle(programs, blocks, processors, splits):
    assert kernels.best_splits(programs, blocks, processors) == splits


def test_channels_are_carried_in_parts(monkeypatch):
    monkeypatch.setattr(kernels, "GLOBAL", {4: kernels.Launch(32, channels=16)})
    monkeypatch.setattr(kernels, "LOCAL", kernels.Launch(8, channels=16))
    query, key, value = random(1, 30, 4), random(1, 30, 4), random(1, 30, 40)
    bias = random(1, 30, 9)
    torch.testing.assert_close(
        kernels.global_attention(query, key, value), ops.global_attention(query, key, value)
    )
    inputs = (query, key, value, bias, (5, 6), 1)
    torch.testing.assert_close(kernels.local_attention(*inputs), ops.local_attention(*inputs))


@torch.inference_mode()
def test_a_whole_fused_model_gives_the_same_logits():
    plain = tiny_vmos().to(DEVICE)
    fused = copy.deepcopy(plain)
    kernels.fuse(fused)
    image, labels = random(1, 3, 33, 41), torch.randint(0, 4, (1, 33, 41)).to(DEVICE)
    logits = []
    for model in (plain, fused):
        features = model.encode(image)
        memory = model.reference(features, labels)
        logits.append(model.propagate(model.encode(image.flip(3)), memory, memory).logits)
    torch.testing.assert_close(logits[1], logits[0], atol=1e-3, rtol=1e-3)
    assert not torch.equal(logits[1], logits[0])


def test_a_kernel_is_launched_on_the_device_of_its_tensors(monkeypatch):
    """Which need not be the current one."""
    entered = []

    @contextmanager
    def enter(tensor):
        entered.append(tensor)
        yield
        entered.append("left")

    monkeypatch.setattr(torch.cuda, "device_of", enter)
    for name in ("_sample", "_attend_globally", "_attend_locally"):
        kernel = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, Watched(kernel, entered))
    value, token = random(1, 4, 4, 2), random(1, 16, 4)
    kernels.deformable_sample(value, random(1, 4, 4, 1, 9, 2), random(1, 4, 4, 1, 9))
    kernels.global_attention(token, token, token)
    kernels.local_attention(token, token, token, random(1, 16, 9), (4, 4), 1)
    assert entered[1::3] == ["_sample", "_attend_globally", "_attend_locally"]
    assert entered[2::3] == ["left"] * 3
    assert entered[0] is value
    assert entered[3] is entered[6] is token


class Watched:
    """A kernel that notes when it is launched."""

    def __init__(self, kernel, log):
        self.kernel, self.log = kernel, log

    def __getitem__(self, grid):
        self.log.append(self.kernel.fn.__name__)
        return self.kernel[grid]


def test_what_is_trained_cannot_be_fused():
    model = tiny_vmos().to(DEVICE)
    kernels.fuse(model)
    with pytest.raises(RuntimeError, match="no gradients"):
        model.encode(random(1, 3, 33, 41))


@pytest.mark.slow
def test_all_kernels_compile_for_an_h200(tmp_path):
    """At the sizes of the trackers, within its shared memory, 16 bits on its tensor cores."""
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "tests.helpers.compiled_kernels"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    compiled = [json.loads(line) for line in done.stdout.splitlines()]
    assert {kernel["kernel"] for kernel in compiled} == {
        *("_sample", "_attend_locally", "_attend_globally", "_merge", "_lean", "_attend")
    }
    trackers = {kernel["case"].split(":")[0] for kernel in compiled}
    assert trackers == {"full", "light", "vit_b", "vit_h"}
    for kernel in compiled:
        assert kernel["shared"] <= 227 * 1024
        assert kernel["tensor_cores"] == (kernel["kernel"] not in ("_sample", "_merge")), kernel
