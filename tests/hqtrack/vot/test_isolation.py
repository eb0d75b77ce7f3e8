import pytest

from hqtrack.vot.isolation import whole_lines


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"no end", b"no end\n"),
        (b"\r 10%\r 50%\r100%", b"100%\n"),
        (b"done\r\nnext\r\n", b"done\nnext\n"),
        (b" 50%\r", b" 50%\n"),
        ("größe █".encode(), b"gr??e ?\n"),
        (b"\xff\xfe", b"??\n"),
        (b'@@TRAX:quit "x"\n', b'@@ TRAX:quit "x"\n'),
        (b"", b""),
    ],
)
def test_whatever_is_printed_becomes_harmless_lines(printed: bytes, shown: bytes) -> None:
    assert whole_lines(printed) == shown
