import json
import shutil
import struct
from pathlib import Path

import pytest

from hqtrack.cli import main
from tests.helpers.workspaces import evaluate, registry, small_workspace

PROGRAM = "!!python/object/apply:os.system ['touch {mark}']"
STACKS = {
    "no experiments": "title: t\nexperiments: {{}}\n",
    "a program in the stack": f"title: {PROGRAM}\n",
    "a class in the stack": "experiments:\n  baseline:\n    type: evil.Experiment\n",
    "a stack of nonsense": "experiments:\n  baseline:\n    type: unheard_of\n",
}


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = small_workspace(tmp_path_factory.mktemp("check"), (4, 3))
    evaluate(workspace)
    return workspace


@pytest.fixture
def workspace(evaluated: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    copy = tmp_path / "workspace"
    shutil.copytree(evaluated, copy, symlinks=True)
    return copy


def check(workspace: Path, *names: str) -> int:
    return main(["check", "--workspace", str(workspace), *(names or ("FirstMask",))])


def results(workspace: Path) -> Path:
    return workspace / "results" / "FirstMask" / "baseline" / "s0"


def test_what_is_complete_and_signed_is_fine(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results(workspace) / "._s0_001_001.bin").write_bytes(b"of macOS")
    assert check(workspace) == 0
    assert capsys.readouterr().out == "2 complete\n"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("gone", "missing"),
        ("one object", "missing: only 1 of its objects"),
        ("cut", "corrupt: s0_001_001.bin cannot be read"),
        ("short", "corrupt: s0_001_001.bin has 3 entries for 4 frames"),
        ("values", "corrupt: s0_002_001_confidence.value has 2 entries for 4 frames"),
        ("version", "made by another version: version .* is now"),
        ("weights", "made by another version: other weights: light.safetensors"),
    ],
)
def test_what_is_wrong_is_told(
    workspace: Path, fault: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(workspace)
    file = folder / "s0_001_001.bin"
    if fault == "gone":
        shutil.rmtree(folder)
    elif fault == "one object":
        file.unlink()
    elif fault == "cut":
        file.write_bytes(file.read_bytes()[:-5])
    elif fault == "short":
        shutil.copyfile(folder.parent / "s1" / "s1_001_001.bin", file)
    elif fault == "values":
        values = folder / "s0_002_001_confidence.value"
        values.write_text("".join(values.read_text().splitlines(keepends=True)[:2]))
    else:
        (log,) = (workspace / "logs").glob("*.made.jsonl")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            if line["image"].startswith("s0") and fault == "version":
                line["by"]["version"] = "0.0.1"
            elif line["image"].startswith("s0"):
                line["by"]["weights"] = {"light.safetensors": "0" * 64}
        log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert check(workspace) == 1
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "s0" in printed
    assert "s1" not in printed
    for word in said.split(".* ")[0].split():
        assert word in printed


def test_results_that_nobody_signed_are_told_but_no_failure(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(workspace / "logs")
    assert check(workspace) == 0
    assert capsys.readouterr().out == "2 complete, of unknown origin\n"


def test_a_later_session_that_stored_nothing_does_not_count(workspace: Path) -> None:
    (log,) = (workspace / "logs").glob("*.made.jsonl")
    line = json.loads(log.read_text().splitlines()[0])
    line["by"]["version"], line["time"] = "9.9", line["time"] + 3600
    with log.open("a") as file:
        file.write(json.dumps(line) + "\n" + '{"image": "cut o')
    assert check(workspace) == 0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no workspace", "hqtrack workspace"),
        ("no sequences", "list.txt"),
        ("no sequence listed", "names no sequence"),
        ("no experiments", "no experiments"),
        ("a program in the stack", "line 1: it asks for a Python object"),
        ("a program in the configuration", "line 3: it asks for a Python object"),
        ("a program in trackers.yaml", "line 2: it asks for a Python object"),
        ("a class in the stack", "line 3: the type evil.Experiment"),
        ("a stack of nonsense", "cannot read the stack"),
        ("trackers.ini of nonsense", "cannot read"),
        ("an unknown key", "does not know stak"),
        ("unknown tracker", "FirstMask"),
        ("unknown stack", "stack"),
        ("another stack", "masks"),
    ],
)
def test_bad_input(
    workspace: Path, fault: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config, mark = workspace / "config.yaml", workspace / "mark"
    if fault == "no workspace":
        config.unlink()
    elif fault == "no sequences":
        (workspace / "sequences" / "list.txt").unlink()
    elif fault == "no sequence listed":
        (workspace / "sequences" / "list.txt").write_text("")
    elif fault in STACKS:
        (workspace / "stack.yaml").write_text(STACKS[fault].format(mark=mark))
    elif fault == "a program in the configuration":
        config.write_text(f"registry: []\nstack: stack.yaml\nreport: {PROGRAM.format(mark=mark)}\n")
    elif fault == "a program in trackers.yaml":
        (workspace / "trackers.yaml").write_text(f"A:\n  label: {PROGRAM.format(mark=mark)}\n")
        config.write_text("registry: [.]\nstack: stack.yaml\n")
    elif fault == "trackers.ini of nonsense":
        (workspace / "trackers.ini").write_text("label = A\n")
        config.write_text("registry: [trackers.ini]\nstack: stack.yaml\n")
    elif fault == "an unknown key":
        config.write_text("stak: vots2023\nstack: stack.yaml\n")
    elif fault == "unknown stack":
        config.write_text("registry: [trackers.ini]\nstack: nowhere\n")
    elif fault == "another stack":
        config.write_text("registry: [trackers.ini]\nstack: vot2022/shortterm\n")
    names = ["Nobody"] if fault == "unknown tracker" else ["FirstMask"]
    if fault == "another stack":
        registry(workspace, FirstMask={})
        config.write_text("registry: [trackers.ini]\nstack: vot2022/shortterm\n")
    assert check(workspace, *names) == 2
    error = capsys.readouterr().err
    assert error.startswith("hqtrack: error: ")
    assert said in error
    assert error.count("\n") == 1
    assert not mark.exists()


def test_a_broken_sequence_leaves_the_verdicts_of_the_others(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "sequences" / "s0" / "color" / "00000002.jpg").unlink()
    shutil.rmtree(results(workspace).parent / "s1")
    (workspace / "sequences" / "list.txt").write_text("s0\ngone\ns1\n")
    assert check(workspace) == 1
    printed = capsys.readouterr().out
    assert "2 the sequence is not intact; 1 missing" in printed
    words = " ".join(printed.replace("│", " ").split())
    assert "color/00000002.jpg is missing and 2 images follow it" in words
    assert main(["evaluate", "--workspace", str(workspace), "FirstMask"]) == 2
    said = capsys.readouterr()
    assert "2 the sequence is not intact; 1 missing" in said.out
    assert said.err.startswith("hqtrack: error: nothing ran, because sequence s0 is not intact")
    assert not (results(workspace).parent / "s1").exists()


def test_results_that_would_crash_the_toolkit_are_corrupt(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = struct.pack("<hI", 1, 4) + 4 * struct.pack("<BhhHHH2H", 3, 0, 0, 4, 4, 2, 9, 65000)
    (results(workspace) / "s0_001_001.bin").write_bytes(content)
    assert check(workspace) == 1
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "s0_001_001.bin cannot be read (its runs do not fit a mask of 4x4)" in words
