"""Commands whose standard streams are closed, narrow, full, or lose their reader."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HQTRACK = f"{sys.executable} -m hqtrack"

PROGRAM = """
import sys
from hqtrack.standard_streams import outlive_readers, repair_descriptors
repair_descriptors()
outlive_readers()
for number in range(20000):
    print("progress", number, file=sys.stderr)
    print("result", number, flush=True)
open(sys.argv[1], "w").write("done")
"""


def shell(command, **variables):
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        cwd=ROOT,
        timeout=120,
    )


@pytest.mark.parametrize(
    "streams",
    [
        "| head -1",
        "2>&1 | head -1",
        "2>&1 >/dev/null | head -1",
        "2>/dev/full >/dev/null",
        ">&-",
        "2>&-",
        "<&- >&- 2>&-",
    ],
)
def test_the_work_is_done_whoever_reads(tmp_path, streams):
    ended = shell(f"{sys.executable} -c '{PROGRAM}' {tmp_path}/done {streams}")
    assert (tmp_path / "done").read_text() == "done"
    assert ended.returncode == 0
    assert "Error" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_standard_output_on_a_full_disk_is_an_error():
    ended = shell(f"{HQTRACK} weights list >/dev/full")
    assert ended.returncode == 2
    assert ended.stderr == "hqtrack: error: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("streams", ["| head -1", ">&-", "2>&-", "2>&- >&-", "<&-"])
@pytest.mark.parametrize("command", ["weights list", "--help", "run --help"])
def test_every_command_outlives_its_reader(command, streams):
    ended = shell(f"{HQTRACK} {command} {streams}")
    assert ended.returncode == 0
    assert "rror" not in ended.stderr


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
@pytest.mark.parametrize("command", ["run 视频.mp4 --box 1,1,2,2", "inspect 视频"])
def test_a_name_that_the_encoding_lacks_is_escaped(encoding, command):
    ended = shell(f"{HQTRACK} {command}", PYTHONIOENCODING=encoding)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("hqtrack: error: ")
    assert r"\u89c6\u9891" in line
