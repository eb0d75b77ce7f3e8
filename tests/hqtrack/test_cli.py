"""The command line: what it prints, what it returns, and that it starts fast."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from hqtrack.cli import main
from hqtrack.errors import InputError, MissingFileError

COMMANDS = ("run", "score", "generate", "workspace", "doctor", "weights")


def raising(error):
    def run(args):
        raise error

    return SimpleNamespace(add_arguments=lambda parser: None, run=run)


def test_help_lists_every_command_without_loading_one():
    program = (
        "import sys; from hqtrack.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        f"loaded = {{'torch', 'cv2', *(f'hqtrack.{{name}}' for name in {COMMANDS})}}\n"
        "assert not loaded & set(sys.modules), loaded & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [name for name in COMMANDS if f"\n    {name}" in done.stdout] == list(COMMANDS)


@pytest.mark.parametrize("command", ["run", "score"])
def test_help_of_a_command_does_not_load_torch(command):
    program = (
        "import sys; from hqtrack.cli import main\n"
        f"try: main([{command!r}, '--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--device" in done.stdout


def test_python_m_hqtrack_is_the_same_command():
    command = [sys.executable, "-m", "hqtrack", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("hqtrack ")


def test_no_command_is_a_mistake(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "COMMAND" in capsys.readouterr().err


def test_arguments_reach_the_command(monkeypatch):
    seen = []
    module = SimpleNamespace(
        add_arguments=lambda parser: parser.add_argument("folder"),
        run=lambda args: seen.append(args.folder) or 7,
    )
    monkeypatch.setitem(sys.modules, "hqtrack.commands.score", module)
    assert main(["score", "run"]) == 7
    assert seen == ["run"]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("wrong\nvalue"), "hqtrack: error: wrong value\n"),
        (MissingFileError("no file x"), "hqtrack: error: no file x\n"),
        (
            PermissionError(13, "Permission denied", "x"),
            "hqtrack: error: [Errno 13] Permission denied: 'x'\n",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(monkeypatch, capsys, error, line):
    monkeypatch.setitem(sys.modules, "hqtrack.commands.score", raising(error))
    assert main(["score"]) == 2
    assert capsys.readouterr().err == line


def test_an_interrupt_is_exit_code_130(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "hqtrack.commands.score", raising(KeyboardInterrupt()))
    assert main(["score"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_our_own_mistakes_keep_their_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, "hqtrack.commands.score", raising(TypeError("ours")))
    with pytest.raises(TypeError):
        main(["score"])


def test_the_options_of_commands_import_nothing_heavy():
    code = (
        "import sys, hqtrack.commands.options\n"
        "print({'numpy', 'cv2', 'torch', 'rich'} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("set()\n", "")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (MemoryError("no memory to read x"), "no memory to read x: there is too little memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "there is too little memory"),
        (ImportError("libGL.so.1: cannot open shared object"), "`hqtrack doctor` says what is"),
    ],
)
def test_what_is_not_our_mistake_is_told(monkeypatch, capsys, error, advice):
    monkeypatch.setitem(sys.modules, "hqtrack.commands.score", raising(error))
    assert main(["score"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert advice in line


@pytest.mark.parametrize(
    ("limit", "advice"), [("unlimited", "`hqtrack doctor`"), ("9000000", "too little memory")]
)
def test_a_library_that_is_not_mapped_lacks_memory_where_that_is_limited(limit, advice):
    program = (
        "from hqtrack import cli\n"
        "print(cli._told(ImportError('x.so: failed to map segment from shared object')))"
    )
    command = ["bash", "-c", f'ulimit -v {limit}; exec "$@"', "bash", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert advice in done.stdout, done.stderr
