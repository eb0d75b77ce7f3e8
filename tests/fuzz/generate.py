"""Random scripts."""

import random
import signal

from tests.fuzz.script import BAD_IMAGES, FAULTS, GOOD_IMAGES, HEIGHT, WIDTH, Script, Step

_BAD_REGIONS = (
    "", "0", "nan", "1,2,3,4", "1,2,nan,4", "0,0,9,0,9,9,0,9", "rect:1,2,3,4", "poly:1,2,3,4,5,6",
    "special:0", "mask:", "mask:1", "mask:1,2,3", "mask:0,0,-1,5,0,3", "mask:0,0,5,-1,0,3",
    "mask:0,0,2000000,2000000,0,5", "mask:0,0,60000,60000,0,5", "mask:0,0,65536,65536,0,1",
    "mask:0,0,2147483647,2147483647,1", "mask:0,0,4294967296,1,0,1", "mask:0,0,2,2,0,5",
    "mask:0,0,2,2,-1,2", "mask:0,0,2,2,0,1.5", "mask:0,0,2,2,0,nan", "mask:0,0,2,2,0,x",
    "mask:99999999999,0,2,2,0,4", "mask:0,-99999999999,2,2,0,4", "mask:,,,,,", ",,,,,,,,",
    "mask:0,0,2,2,0,9223372036854775808", "mask:0,0,2,2,0,999999999999999999999999999999",
    "mask:0,0,3,3,0,4611686018427387904,0,4611686018427387904,0,4611686018427387904",
    "m\u00e4sk:0,0,2,2,0,4", "mask:\u0663,0,2,2,0,4", "x" * 3000,
    "mask:0,0,2,2" + ",0" * 2000 + ",9",
)  # fmt: skip
_BAD_LINES = (
    "@@TRAX:\n", "@@TRAX:frane \"x\" \n", "@@TRAX:hello \"trax.version=4\" \n",
    "@@TRAX:state \"1\" \n", "@@TRAX:status \"1\" \n", "@@TRAX:frame \n",
    "@@TRAX:frame \"a\" \"b\" \n", "@@TRAX:frame \"\" \n",
    "@@TRAX:quit \"now\" \n", "@@TRAX:initialize \"a\" \"b\" \n", "@@TRAX:frame \"unended \n",
    "@@TRAX:frame \"a\"b\" \n", "@@TRAX:frame \"http://localhost/a.png\" \n",
    "@@TRAX:frame \"image:1;1;rgb;AAAA\" \n", "@@TRAX:frame \"data:image/png;AAAA\" \n",
    "@@TRAX:frame \"file://\" \n", "@@TRAX:frame \"file:///a\0b\" \n", "@@TRAX:\xff\xfe \n",
    "@@TRAX:frame\t\"a\"\n", "@@TRAX:initialize \"mask:0,0,2,2,0,4\n", "@@TRAX: frame\n",
)  # fmt: skip
_NOISE = (
    "\n", "hello\n", "\r\n", "@@ TRAX:quit\n", " @@TRAX:quit \n", "@@TRA\n", "\xff\xfe\xfd\n",
    "\0\0\n", "x" * 70_000 + "\n", "@@trax:quit\n",
)  # fmt: skip
_HALVES = (
    "@@TRAX:frame \"file:///a", "@@TRAX:initialize \"mask:0,0,2,2", "@@TRAX:quit", "@@TR", "x",
    "@@TRAX:frame \"file:///a.png\" ", "@@TRAX:initialize \"mask:0,0,2,2,0,4\" \n@@TRAX:fra",
)  # fmt: skip
HOSTILE = ("silent", "close", "garbage", "no descriptors", "two descriptors", "other variables",
           "no end", "not waiting", "no go")  # fmt: skip


def random_script(chance: random.Random, ways: dict[str, float], calm: bool = False) -> Script:
    """A script of a random session; ``ways`` are the weights of the ways to start the process.

    With ``calm`` nothing in it goes wrong.
    """
    (way,) = chance.choices(list(ways), list(ways.values()))
    steps = [_good_step(chance) for _ in range(chance.randrange(1, 9))]
    if calm or chance.random() < 0.9:
        steps = [step for step in steps if not (calm and step[0] == "reset")]
        steps.insert(0, ("objects", _regions(chance)))
        steps.insert(1, ("frame", chance.choice(GOOD_IMAGES)))
    calm = calm or (way in ("resident", "real") and chance.random() < 0.85)
    if not calm and chance.random() < 0.5:
        place = chance.randrange(len(steps) + 1)
        steps[place:place] = _bad_steps(chance, way)
    if chance.random() < 0.6:
        steps.append(("quit", None))
    fault = chance.choice(FAULTS) if way in ("fork", "socket") and chance.random() < 0.15 else ""
    deaf = any(kind == "deaf" for kind, _ in steps)
    signalled = any(kind == "signal" for kind, _ in steps)
    return Script(
        tuple(steps),
        way,
        fault,
        eager=not signalled and not deaf and chance.random() < 0.3,
        merged=not deaf and way != "socket" and chance.random() < 0.5,
        chunk=chance.choice((0, 0, 0, 1, 7, 4096)),
        hostile=tuple(chance.choices(HOSTILE, k=2)) if way == "resident" and not calm else (),
    )


def _good_step(chance: random.Random) -> Step:
    kind = chance.choices(("frame", "objects", "reset", "noise", "pause"), (10, 3, 1, 1, 0.3))[0]
    if kind == "frame":
        return kind, chance.choice(GOOD_IMAGES)
    if kind == "objects":
        return kind, _regions(chance)
    if kind == "noise":
        return kind, chance.choice(_NOISE)
    return kind, 0.01 if kind == "pause" else None


def _bad_steps(chance: random.Random, way: str) -> list[Step]:
    kind = chance.choice(
        ("region", "image", "bad", "half", "close", "signal", "frame", "reset")
        + (() if way == "socket" else ("deaf",))
    )
    if kind == "region":
        region = chance.choice(_BAD_REGIONS)
        regions = [*_regions(chance), region]
        chance.shuffle(regions)
        return [("objects", tuple(regions)), ("frame", chance.choice(GOOD_IMAGES))]
    if kind == "image":
        return [("frame", chance.choice(BAD_IMAGES))]
    if kind == "bad":
        return [("bad", chance.choice(_BAD_LINES))]
    if kind == "half":
        return [("half", chance.choice(_HALVES))]
    if kind == "signal":
        return [("signal", int(chance.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))))]
    if kind == "frame":
        return [("frame", chance.choice(GOOD_IMAGES))]
    return [(kind, None)]


def _regions(chance: random.Random) -> tuple[str, ...]:
    count = chance.choices((1, 2, 5, 40), (10, 5, 2, 0.3))[0]
    return tuple(_region(chance) for _ in range(count))


def _region(chance: random.Random) -> str:
    """A mask, as one may be sent: inside, across the border, far outside, empty."""
    width, height = chance.randrange(1, WIDTH), chance.randrange(1, HEIGHT)
    x, y = chance.randrange(-5, WIDTH), chance.randrange(-5, HEIGHT)
    shape = chance.choices(("box", "runs", "empty", "far", "nothing", "whole"), (5, 5, 1, 1, 1, 1))[
        0
    ]
    if shape == "far":
        x, y = chance.choice((-(10**9), -500, 500, 10**9)), chance.choice((-(10**9), 0, 10**9))
    if shape == "empty":
        return f"mask:{x},{y},{width},{height}"
    if shape == "nothing":
        return f"mask:{x},{y},0,0"
    if shape == "whole":
        return f"mask:0,0,{WIDTH},{HEIGHT},0,{WIDTH * HEIGHT}"
    if shape == "box":
        return f"mask:{x},{y},{width},{height},0,{width * height}"
    runs, left = [], width * height
    while left > 0 and chance.random() < 0.95:
        run = chance.randrange(min(left, 40) + 1)
        runs.append(run)
        left -= run
    return "mask:" + ",".join(map(str, (x, y, width, height, *runs)))
