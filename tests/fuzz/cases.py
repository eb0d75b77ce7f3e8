"""Scripts that once failed, or that stand for a kind; they run with the tests."""

from tests.fuzz.script import Script

_START = (("objects", ("mask:4,2,8,4,0,32",)), ("frame", "a.png"))

CASES: tuple[Script, ...] = (
    # a client that dies between an object and its image: the process ran on at full speed
    Script((("objects", ("mask:4,22,8,4,0,32",)), ("close", None))),
    Script((("objects", ("mask:4,22,8,4,0,32",)), ("close", None)), way="socket"),
    Script((*_START, ("half", '@@TRAX:frame "file:///a')), chunk=1),
    # masks of sizes for which there is no memory: crashes of libtrax
    Script((*_START, ("objects", ("mask:0,0,2000000,2000000,0,5",)), ("frame", "a.png"))),
    Script((("objects", ("mask:0,0,60000,60000,0,5",)), ("frame", "a.png"))),
    Script((("objects", ("mask:0,0,-1,5,0,3",)), ("frame", "a.png"))),
    Script((("objects", ("mask:1",)), ("frame", "a.png"))),
    Script((("objects", ("",)), ("frame", "a.png"))),
    # an offset that needed a frame of its own size
    Script((("objects", ("mask:1000000000,-1000000000,3,3,0,9",)), ("frame", "a.png"))),
    # regions that are no masks: 'Polygon' object has no attribute 'array'
    Script((("objects", ("1,2,3,4",)), ("frame", "a.png"))),
    Script((("objects", ("0,0,9,0,9,9,0,9",)), ("frame", "a.png"))),
    Script((("objects", ("0",)), ("frame", "a.png"))),
    # paths: not ASCII, a pipe that nobody writes to, a device without end, too large an image
    Script((("objects", ("mask:4,2,8,4,0,32",)), ("frame", "größe.png"), ("quit", None))),
    Script((*_START, ("frame", "fifo"))),
    Script((*_START, ("frame", "zero"))),
    Script((*_START, ("frame", "huge.png"))),
    # answers that are none
    Script((*_START, ("frame", "a.png"), ("frame", "a.png")), fault="nan"),
    Script((*_START, ("frame", "a.png"), ("frame", "a.png")), fault="count"),
    # the resident process: what others send to its socket takes nobody's place
    Script((*_START, ("quit", None)), way="resident"),
    Script((*_START, ("quit", None)), way="resident", hostile=("silent", "no end", "garbage")),
    Script((*_START, ("quit", None)), way="resident", hostile=("no go", "not waiting", "close")),
    Script((*_START, ("signal", 15)), way="resident", merged=True),
    Script((*_START, ("signal", 15)), way="real"),
)
