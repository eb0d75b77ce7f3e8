"""Step 6: the share of the roofline, and a trace of a frame."""

import torch

from benchmarks.gpu_check.found import Found, Options
from benchmarks.gpu_check.pipeline import FULL, TOY, accelerated, measure
from benchmarks.gpu_check.work import FULL_HD, share
from hqtrack.bench.measure import product_throughput, synchronizer
from hqtrack.bench.pipeline import load_networks, rehearse
from hqtrack.compute.acceleration import choose_acceleration
from hqtrack.compute.threads import limit_threads

MOST = 16 * 2**20
"""Bytes of a trace."""


def check(options: Options, found: Found) -> None:
    """Write what it finds; the share of a dry run means nothing."""
    limit_threads()
    scale = TOY if options.dry else FULL
    exact = load_networks(scale.setup)
    networks = accelerated(exact, choose_acceleration(exact.device))
    rate = product_throughput(networks.device, networks.acceleration.dtype)
    frame = measure(scale.setup, networks, scale.warmup, scale.fewer)
    found.put("products, TFLOP/s", rate / 1e12)
    found.put("frame", frame)
    found.put("work, TFLOP", sum(part.all for part in FULL_HD.values()))
    found.put("share", None if options.dry else share(FULL_HD, frame["ms"], rate))
    activities = [torch.profiler.ProfilerActivity.CPU]
    if networks.device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with rehearse(scale.setup, networks) as rehearsal:
        for _ in range(scale.warmup):
            rehearsal.frame()
        with torch.profiler.profile(activities=activities) as profiler:
            rehearsal.frame()
            synchronizer(networks.device)()
    order = f"self_{networks.device.type}_time_total"
    table = profiler.key_averages().table(sort_by=order, row_limit=40, max_name_column_width=60)
    (options.out / "operators.txt").write_text(table)
    trace = options.out / "trace.json.gz"
    profiler.export_chrome_trace(str(trace))
    size = trace.stat().st_size
    found.put("trace, MiB", size / 2**20)
    if size > MOST:
        trace.unlink()
        found.put("trace", "deleted, because it was too large")
