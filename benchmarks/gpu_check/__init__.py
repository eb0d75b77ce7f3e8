"""Measures the GPU path in one go: `make gpu-check`, or `python -m benchmarks.gpu_check`.

Each step runs in a process of its own under a time limit, so one that fails or hangs does not stop
the others. All steps together take less than twelve minutes. Those before the last need torch,
torchvision, timm, numpy, OpenCV, Pillow and segment-anything, and no weights.
"""
