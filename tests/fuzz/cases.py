"""Scripts that once failed, or that stand for a kind; they run with the tests."""

from tests.fuzz.script import Script

CASES: tuple[Script, ...] = (
    # a client that dies between an object and its image
    Script((("objects", ("mask:4,22,8,4,0,32",)), ("close", None))),
)
