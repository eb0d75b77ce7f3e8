"""``hqtrack doctor``: what it says about machines on which something is wrong."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import av
import pytest
import torch

from hqtrack.cli import main
from hqtrack.commands import doctor
from hqtrack.commands import doctor_checks as checks
from hqtrack.commands import doctor_machine as machine
from hqtrack.commands.doctor_checks import CheckResult, Verdict
from hqtrack.errors import InputError
from tests.helpers.workspaces import small_workspace

OK, WARNING, BROKEN = Verdict.OK, Verdict.WARNING, Verdict.BROKEN


def usage(free):
    return lambda path: SimpleNamespace(free=free)


@pytest.fixture
def versions(monkeypatch):
    """Versions of packages that seem to be installed; None for one that is not."""
    seeming = {"attributee": "0.1.9", "vot-toolkit": "0.9.0"}
    monkeypatch.setattr(checks, "_version", seeming.get)
    return seeming


def answering(monkeypatch, returncode=0, stdout="", stderr=""):
    done = subprocess.CompletedProcess([], returncode, stdout, stderr)
    monkeypatch.setattr(subprocess, "run", lambda *given, **options: done)


def test_this_machine_tracks_over_trax():
    [result] = checks.check_trax()
    assert result == CheckResult("TraX", OK, "a tracker process started and tracked two frames")


def test_a_tracker_process_that_fails(monkeypatch):
    answering(monkeypatch, 1, "", "Traceback\nImportError: no module trax\n")
    [result] = checks.check_trax()
    assert result.verdict is BROKEN
    assert "ImportError: no module trax" in result.found
    assert "vot-trax" in result.remedy


def test_a_tracker_process_that_answers_too_little(monkeypatch):
    answering(monkeypatch, 0, '@@TRAX:state "mask:2,3,6,6,0,36"\n')
    [result] = checks.check_trax()
    assert result.verdict is BROKEN
    assert "1 of 3 replies" in result.found


def test_a_process_that_hangs_is_ended(monkeypatch):
    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    [result] = checks.check_trax()
    assert "no end after 60 s" in result.found


@pytest.mark.parametrize(
    ("version", "verdict"), [((3, 10, 4), BROKEN), ((3, 11, 0), OK), ((3, 14, 0), BROKEN)]
)
def test_python(version, verdict):
    [result] = checks.check_python(version)
    assert result.verdict is verdict
    assert bool(result.remedy) == (verdict is BROKEN)


def test_the_toolkit_with_an_attributee_that_breaks_it(monkeypatch, versions):
    versions["attributee"] = "0.1.10"
    answering(monkeypatch, 1, "", "Traceback\nTypeError: no default\n")
    attributee, toolkit = checks.check_toolkit()
    assert attributee.verdict is BROKEN
    assert attributee.remedy == "pip install attributee==0.1.9"
    assert toolkit.verdict is BROKEN
    assert "TypeError: no default" in toolkit.found


def test_the_toolkit_as_it_should_be(monkeypatch, versions):
    answering(monkeypatch)
    assert [result.verdict for result in checks.check_toolkit()] == [OK, OK]


@pytest.mark.parametrize(
    ("cuda", "driver", "verdict", "found"),
    [
        (False, None, OK, "hqtrack uses the CPU"),
        (False, "550.54", WARNING, "driver 550.54 is installed, but PyTorch"),
    ],
)
def test_the_gpu(monkeypatch, cuda, driver, verdict, found):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(checks, "_driver", lambda: driver)
    pytorch, gpu = checks.check_torch()
    assert (pytorch.verdict, gpu.verdict) == (OK, verdict)
    assert found in gpu.found


def test_the_driver_is_asked(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    answering(monkeypatch, 0, "550.54\n550.54\n")
    assert checks._driver() == "550.54"
    answering(monkeypatch, 9, "no devices were found\n")
    assert checks._driver() is None


def test_a_torch_that_cannot_be_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    [result] = checks.check_torch()
    assert result.verdict is BROKEN
    assert result.remedy == "install it again: pip install torch"


@pytest.fixture
def checkpoints(monkeypatch, tmp_path):
    """No released weights, light ones of three bytes, and ``verify`` that finds them whole."""
    monkeypatch.setenv("HQTRACK_WEIGHTS", str(tmp_path))
    light = tmp_path / "light.safetensors"
    light.write_bytes(b"abc")
    known = checks.weights.KNOWN["light"]
    monkeypatch.setattr(type(known), "path", lambda self, directory=None: tmp_path / self.file)
    monkeypatch.setattr(checks.weights, "verify", lambda name: light)
    return tmp_path


def weights_found():
    return {result.check.split()[1]: result for result in checks.check_weights()}


def test_missing_released_weights_are_a_warning(checkpoints):
    found = weights_found()
    assert {name for name, result in found.items() if result.verdict is WARNING} == {
        "vmos",
        "hqsam_vit_h",
    }
    assert "hqtrack weights download vmos" in found["vmos"].remedy
    assert (found["light"].verdict, found["hqsam_vit_b"].verdict) == (OK, OK)


def test_missing_light_weights_are_broken(checkpoints):
    (checkpoints / "light.safetensors").unlink()
    assert weights_found()["light"].verdict is BROKEN


def test_damaged_weights_are_broken(checkpoints, monkeypatch):
    def verify(name):
        raise InputError("it is truncated")

    monkeypatch.setattr(checks.weights, "verify", verify)
    (checkpoints / "sam_hq_vit_b.pth").write_bytes(b"abc")
    found = weights_found()
    assert found["hqsam_vit_b"].verdict is BROKEN
    assert "it is truncated" in found["hqsam_vit_b"].found
    assert "hqtrack weights download hqsam_vit_b" in found["hqsam_vit_b"].remedy
    assert found["light"].remedy == "install hqtrack again"


def test_large_weights_are_not_read(checkpoints, monkeypatch):
    monkeypatch.setattr(checks, "_READ_THROUGH", 2)
    monkeypatch.delattr(checks.weights, "verify")
    assert "hqtrack weights verify light" in weights_found()["light"].found


@pytest.mark.parametrize(
    ("free", "needed", "verdict"),
    [(6e9, True, OK), (1e9, True, WARNING), (1e6, False, WARNING), (1e6, True, BROKEN)],
)
def test_free_space(tmp_path, monkeypatch, free, needed, verdict):
    monkeypatch.setattr(shutil, "disk_usage", usage(free))
    result = checks.examine_folder("cache", tmp_path / "not" / "yet", "REMEDY", needed)
    assert result.verdict is verdict
    assert ("REMEDY" in result.remedy) == (verdict is not OK)
    assert not (tmp_path / "not").exists()


@pytest.mark.parametrize(("needed", "verdict"), [(False, WARNING), (True, BROKEN)])
def test_a_folder_that_cannot_be_written(tmp_path, needed, verdict):
    (tmp_path / "file").write_text("no folder")
    result = checks.examine_folder("cache", tmp_path / "file", "REMEDY", needed)
    assert (result.verdict, result.remedy) == (verdict, "REMEDY")
    assert "cannot write to" in result.found


def test_all_folders_are_looked_at(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HQTRACK_WEIGHTS", str(tmp_path / "weights"))
    found = {result.check: result.found for result in checks.check_disk()}
    assert list(found) == ["weights folder", "cache", "working folder", "temporary files"]
    assert str(tmp_path / "cache") in found["cache"]
    assert str(tmp_path / "weights") in found["weights folder"]


@pytest.mark.parametrize(("free", "verdict"), [(1e6, WARNING), (1e9, OK)])
def test_shared_memory(tmp_path, monkeypatch, free, verdict):
    monkeypatch.setattr(shutil, "disk_usage", usage(free))
    [result] = checks.check_shared_memory(tmp_path)
    assert result.verdict is verdict
    [result] = checks.check_shared_memory(tmp_path / "nothing")
    assert result.verdict is OK


def test_codecs(monkeypatch):
    monkeypatch.setattr(av.codec, "codecs_available", {"h264", "hevc"})
    [result] = checks.check_video()
    assert result.verdict is WARNING
    assert "without libx264" in result.found


def check_fine():
    yield CheckResult("disk", OK, "roomy")


def check_weak():
    yield CheckResult("shm", WARNING, "small", "make it larger")


def check_shared_things():
    raise OSError("no such device")
    yield


@pytest.mark.parametrize(
    ("checks", "status"), [([check_fine, check_weak], 0), ([check_shared_things, check_fine], 1)]
)
def test_the_exit_code_and_json(monkeypatch, capsys, checks, status):
    monkeypatch.setattr(doctor, "CHECKS", checks)
    assert main(["doctor", "--json"]) == status
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] == (status == 0)
    assert len(report["checks"]) == 2
    assert report["checks"][0].keys() == {"check", "verdict", "found", "remedy"}


def test_each_line_has_a_verdict_and_a_remedy_below(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", [check_fine, check_weak, check_shared_things])
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok       disk: roomy",
        "warning  shm: small",
        "         -> make it larger",
        "broken   shared things: no such device",
        "         -> report this as an issue with all lines",
    ]


def test_every_check_of_the_module_is_made():
    modules = {**vars(checks), **vars(machine)}
    functions = {value for name, value in modules.items() if name.startswith("check_")}
    # this one is given the folder of the command line
    assert set(doctor.CHECKS) == functions - {machine.check_workspace}


def test_opencv_as_it_should_be():
    [result] = machine.check_opencv()
    assert result.verdict is OK


def test_an_opencv_without_its_libraries_leaves_the_other_checks(tmp_path):
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file: No such file')"
    )
    code = (
        "from hqtrack.commands import doctor, doctor_machine, doctor_checks\n"
        "doctor.CHECKS = (doctor_machine.check_opencv, doctor_checks.check_python)\n"
        "import sys; from hqtrack.cli import main; sys.exit(main(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
    )
    assert done.returncode == 1
    assert "broken   OpenCV: it cannot be imported: ImportError: libGL.so.1" in done.stdout
    assert "apt-get install libgl1" in done.stdout
    assert "ok       Python" in done.stdout
    assert done.stderr == ""


def test_a_narrow_encoding_and_a_closed_stream_are_told(monkeypatch):
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(encoding="cp1252"))
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "ascii")
    found = {result.check: result for result in machine.check_encodings()}
    assert {result.verdict for result in found.values()} == {WARNING}
    assert "cp1252" in found["stdout"].found
    assert found["stderr"].found == "closed"
    assert "ascii" in found["file names"].found


def test_a_working_folder_that_trax_cannot_carry(monkeypatch, tmp_path):
    (tmp_path / "größe").mkdir()
    monkeypatch.chdir(tmp_path / "größe")
    told = [result for result in machine.check_encodings() if "TraX" in result.found]
    assert [result.verdict for result in told] == [WARNING]
    assert all(str(result).isascii() for result in told)


@pytest.mark.parametrize(
    ("machine_kib", "limit", "verdict", "what"),
    [
        (8e6, None, OK, "of the machine"),
        (1.5e6, None, WARNING, "of the machine"),
        (1e5, None, BROKEN, "of the machine"),
        (8e6, "max", OK, "of the machine"),
        (8e6, "1500000000", WARNING, "of the container"),
        (8e6, "600000000", BROKEN, "of the container"),
    ],
)
def test_memory(tmp_path, machine_kib, limit, verdict, what):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(f"MemTotal: 9 kB\nMemAvailable: {machine_kib:.0f} kB\n")
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    if limit is not None:
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text("100000000\n")
    [result] = machine.check_memory(tmp_path)
    assert (result.verdict, what in result.found) == (verdict, True)


def test_memory_of_a_limited_process(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.resource, "getrlimit", lambda what: (1_000_000_000, -1))
    [result] = machine.check_memory(tmp_path)
    assert (result.verdict, "ulimit" in result.found) == (WARNING, True)
    monkeypatch.undo()
    monkeypatch.setattr(machine.resource, "getrlimit", lambda what: (-1, -1))
    [result] = machine.check_memory(tmp_path)
    assert result.verdict is OK


def test_gaps_of_a_workspace_are_told(tmp_path, monkeypatch):
    workspace = small_workspace(tmp_path, (4, 3))
    monkeypatch.chdir(tmp_path)
    assert list(machine.check_workspace(None)) == []
    monkeypatch.chdir(workspace)
    [result] = machine.check_workspace(None)
    assert (result.verdict, result.found) == (OK, "2 of 2 sequences are intact")
    (workspace / "sequences/s0/color/00000002.jpg").unlink()
    gap, count = machine.check_workspace(workspace)
    assert gap.verdict is BROKEN
    assert gap.found.startswith("s0: color/00000002.jpg is missing and 2 images follow it")
    assert count.found == "1 of 2 sequences are intact"
    (workspace / "config.yaml").write_text("a: !!python/name:os.system\n")
    [result] = machine.check_workspace(workspace)
    assert result.verdict is BROKEN
    assert "line 1" in result.found
