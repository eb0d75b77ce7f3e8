"""The benchmarks of the checkout; nothing here judges a time."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import calibration, growth, objects, report, roofline, tensors
from benchmarks.growth import Point, Points
from benchmarks.tensors import Phase
from hqtrack.bench.measure import FrameCost, spread, watch_frames
from hqtrack.bench.pipeline import Setup, load_networks
from hqtrack.errors import InputError
from hqtrack.stages import Stage

ROOT = Path(__file__).parents[2]

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells memory")


def benchmark(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_the_unit_is_attention() -> None:
    query, key, value = (tensor[:64] for tensor in calibration.make_workload())
    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(calibration.calibrate(query, key, value), expected)
    assert abs(calibration.OFFICIAL_UNITS - 9.6) < 0.01


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_growth_is_the_power(power: float) -> None:
    x = [1.0, 5.0, 10.0, 50.0]
    assert abs(growth.growth(x, [3 * number**power for number in x]) - power) < 1e-9


def test_points_survive(tmp_path: Path) -> None:
    path = tmp_path / "new" / "points.jsonl"
    setup = {"preset": "light", "variant": None, "device": "cpu", "size": "9x9", "objects": 5}
    for x in (20, 10):
        Points(path).add(Point("objects", x, str(x), 2.0 * x, None, setup))
    points = Points(path)
    assert points.have("objects", 20)
    assert not points.have("frames", 20)
    assert [point.x for point in points.of("objects")] == [10, 20]
    growth.draw(points, tmp_path / "growth.svg")
    assert "objects" in (tmp_path / "growth.svg").read_text()
    path.write_text("[]\n")
    with pytest.raises(InputError, match="other --points"):
        Points(path)


def test_live_tensors_are_counted_once_and_forgotten() -> None:
    with tensors.LiveTensors() as live:
        kept = torch.ones(1000, dtype=torch.float32)
        view = kept.view(10, 100)
        assert live.bytes == 4000
        for _ in range(3):
            view + 1
        assert live.bytes == 4000
        assert live.peak == 8000


@pytest.mark.slow
def test_computed_memory_is_that_of_the_entries() -> None:
    """Keys and values in 16 bits of six long-term and four short-term frames, and little else."""
    setup = Setup("full", "none", size=(480, 480), objects=1, device="cpu")
    phases = tensors.compute(setup)
    coarse, fine = 31**2, 61**2
    entry = 2 * (3 * coarse * (128 + 512 + 512) + fine * (64 + 256 + 256)) / 2**20
    stored = phases["memory"].after - phases["weights in bfloat16"].after
    assert stored == pytest.approx(10 * entry, rel=0.05)
    # the specification counts 2 N^2 T (64 + 512) for the fine and the like for the coarse layers
    attention = 2 * 6 * (fine**2 * (64 + 512) + 3 * coarse**2 * (128 + 1024))
    assert attention < phases["propagate"].flop < 3 * attention
    assert all(phase.after <= phase.most for phase in phases.values())


@pytest.mark.slow
@on_linux
def test_a_frame_never_takes_what_the_scores_of_its_memory_would() -> None:
    """They would be 664 MB for the released VMOS at this size, with six frames in memory."""
    done = benchmark("memory", "--size", "481x481", "--device", "cpu", "--json")
    found = json.loads(done.stdout)
    assert 0 < found["peak MiB"]["median"] - found["held MiB"]["median"] < 250, done


@pytest.mark.slow
@on_linux
def test_memory_does_not_grow_with_the_video() -> None:
    """The light tracker's memory is full from frame 60 on; a frame of it takes 1.6 MiB."""
    setup = Setup("light", size=(48, 64), objects=2, device="cpu")
    moments = dict(watch_frames(setup, load_networks(setup), [60, 90], 1, filled=False))
    early, late = (moments[frame].mib for frame in (60, 90))
    assert early is not None
    assert late is not None
    assert late - early < 12


def test_the_floor_is_work_over_rate() -> None:
    times = spread([200.0])
    stages = dict.fromkeys(Stage, spread([50.0]))
    cost = FrameCost(times, times, stages, times, None, None)
    phases = {name: Phase(0, 0, 10**9) for name in ("encode", "propagate", "memorize")}
    found = roofline.shares(phases, cost, throughput=1e11)
    assert found["propagate"] == (2 * 10**9, 20.0, 50.0)
    assert found["SAM-encode"].flop == 0
    assert found["frame"] == (3 * 10**9, 30.0, 200.0)
    assert roofline.product_throughput(torch.device("cpu"), torch.float32, rounds=2) > 1e6


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("calibration", ("--rounds", "0"), "--rounds 0"),
        ("objects", ("--objects", "0", "--preset", "light"), "at least 1"),
        ("roofline", ("--preset", "light"), "full preset"),
        ("history", ("nowhere",), "no folder nowhere"),
    ],
)
def test_what_cannot_be_measured_is_told(
    name: str, options: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = importlib.import_module(f"benchmarks.{name}").main
    monkeypatch.setattr("sys.argv", [name, *options])
    with pytest.raises(SystemExit, match=message):
        report.run(main)


def test_objects_are_compared_in_one_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--preset", "light", "--size", "64x48", "--rounds", "1", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["objects", *options, "--json"])
    objects.main()
    printed = json.loads(capsys.readouterr().out)
    assert set(printed["seconds"]) == {"objects: 1", "objects: 10"}
    assert printed["10 to 1, cpu time"]["low"] > 0


@on_linux
def test_the_memory_of_a_long_run_is_watched() -> None:
    options = ("--frames", "300", "--step", "100", "--tracker", "first-mask", "--overlay")
    ended = benchmark("long_run", *options)
    assert ended.returncode == 0, ended.stderr
    rows = [line for line in ended.stdout.splitlines() if " 1.0" in line or " 0.9" in line]
    assert len(rows) >= 2
