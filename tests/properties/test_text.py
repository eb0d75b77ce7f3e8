"""Properties of any journal, list of sequences and prompt, and of any other text."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vot.dataset.common import list_sequences

from hqtrack.errors import InputError
from hqtrack.evaluation.make_workspace import check_name
from hqtrack.evaluation.sequence_files import listed_sequences
from hqtrack.files import Journal, append_line, journal_lines
from hqtrack.runs.targets import describe, parse_box, parse_points, parse_targets

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
names = st.text(st.characters(codec="ascii"), max_size=8) | st.text(max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("text")


def values_in(path: Path) -> list[object]:
    return [line.value for line in journal_lines(path)]


@given(st.lists(values, max_size=5), st.data())
def test_a_journal_cut_anywhere_goes_on_after_its_last_line(
    folder: Path, written: list[object], data: st.DataObject
) -> None:
    path = folder / "journal.jsonl"
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        for value in written:
            journal.append(value)
    content = path.read_bytes()
    kept = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:kept])
    whole = content[:kept].count(b"\n")
    lines = list(journal_lines(path))
    assert [line.value for line in lines] == written[:whole]
    with Journal(path, lines[-1].end if lines else 0) as journal:
        journal.append("more")
    assert values_in(path) == [*written[:whole], "more"]


@given(st.lists(values, max_size=5), st.binary(max_size=20))
def test_what_stands_after_a_journal_hides_none_of_it(
    folder: Path, written: list[object], garbage: bytes
) -> None:
    path = folder / "garbage.jsonl"
    path.unlink(missing_ok=True)
    for value in written:
        append_line(path, value)
    with path.open("ab") as file:
        file.write(garbage)
    assert values_in(path)[: len(written)] == written
    append_line(path, "more")
    assert [line.value for line in journal_lines(path, skip=True)][-1] == "more"


@given(st.lists(names, min_size=1, max_size=4))
def test_names_that_a_workspace_takes_are_those_that_are_read(
    folder: Path, given_names: list[str]
) -> None:
    taken: list[str] = []
    for name in given_names:
        # any other exception fails
        with contextlib.suppress(InputError):
            check_name(name, taken)
            taken.append(name)
    (folder / "list.txt").write_text("".join(f"{name}\n" for name in taken), encoding="utf-8")
    if not taken:
        with pytest.raises(InputError, match="names no sequence"):
            listed_sequences(folder)
        return
    listed = listed_sequences(folder)
    assert [one.name for one in listed] == taken
    assert all(one.trouble.startswith("its folder is not there") for one in listed)
    assert list_sequences(str(folder)) == taken


@given(st.binary(max_size=40))
def test_any_list_is_read_or_refused(folder: Path, content: bytes) -> None:
    (folder / "list.txt").write_bytes(content)
    with contextlib.suppress(InputError):
        assert all(one.trouble for one in listed_sequences(folder))


numbers = st.integers(-2000, 2000)
sides = st.integers(1, 2000)


@given(numbers, numbers, sides, sides)
def test_a_box_is_described_as_it_was_given(x: int, y: int, width: int, height: int) -> None:
    text = f"{x},{y},{width},{height}"
    box = parse_box(text)
    assert (box.right - box.left + 1, box.bottom - box.top + 1) == (width, height)
    assert describe(box) == f"box:{text}"


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=4))
def test_points_are_described_as_they_were_given(places: list[tuple[int, int]]) -> None:
    text = ",".join(f"{x},{y}" for x, y in places)
    if all(x < 0 for x, _ in places):
        with pytest.raises(InputError, match="no point on the object"):
            parse_points(text)
        return
    points = parse_points(text)
    assert points.places == tuple((abs(x), y) for x, y in places)
    assert points.beside == {n for n, (x, _) in enumerate(places) if x < 0}
    assert describe(points) == f"point:{text}"


prompts = st.text("0123456789,.-+enaif_box:point@= \0", max_size=16) | st.text(max_size=8)


@given(prompts)
def test_any_box_and_any_point_is_taken_or_refused(text: str) -> None:
    for parse in (parse_box, parse_points):
        with contextlib.suppress(InputError):
            assert describe(parse(text))


later = st.builds(
    "{}@{}={}".format,
    st.text("ab12=\0 ", min_size=1, max_size=3),
    st.integers(0, 99),
    prompts | st.just("box:1,2,3,4"),
)


@given(st.lists(later | prompts, max_size=3))
def test_any_later_object_is_taken_or_refused(texts: list[str]) -> None:
    with contextlib.suppress(InputError):
        targets = parse_targets([], [], [], texts)
        assert len({target.number for target in targets}) == len(targets) == len(texts)
