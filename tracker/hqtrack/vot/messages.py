"""The text of TraX messages; only the standard library.

A message is a line: the prefix, what kind it is, then arguments and properties in quotes. Lines
without the prefix are no messages. Format: TraX reference, section "Message format".
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from hqtrack.errors import InputError

PREFIX = b"@@TRAX:"

_KIND = re.compile(rb"([A-Za-z0-9]+)(?= |\r?$)")
_TOKEN = re.compile(
    rb' +(?:"([^"\\]*(?:\\.[^"\\]*)*)"(?= |\r?$)|([^" \\\r][^ \\\r]*(?:\\.[^ \\\r]*)*))'
)
_KEY = re.compile(rb"([A-Za-z0-9._]{0,64})=")
_ESCAPED = re.compile(rb"\\(.)")
_SHOWN_BYTES = 60


class ProtocolError(InputError):
    """The client sent something that TraX does not allow, or that this tracker does not take."""


class Kind(StrEnum):
    """What a message is: the tracker says hello, state and quit, the client all but hello."""

    HELLO = "hello"
    INITIALIZE = "initialize"
    FRAME = "frame"
    STATE = "state"
    QUIT = "quit"


class Message(NamedTuple):
    """A message; arguments and the values of properties are bytes as they were sent."""

    kind: Kind
    arguments: list[bytes]
    properties: dict[bytes, bytes]


def parse_message(line: bytes) -> Message | None:
    """The message in a line, which may end with a line end; None where there is none.

    Raises ProtocolError where the prefix is there and the rest cannot be read.
    """
    if not line.startswith(PREFIX):
        return None
    line = line.rstrip(b"\r\n")
    found = _KIND.match(line, len(PREFIX))
    kind = found and found[1].lower().decode("ascii")
    if found is None or kind not in set(Kind):
        raise ProtocolError(f"the client sent a message of no known kind: {_shown(line)}")
    arguments, properties = [], {}
    position = found.end()
    while token := _TOKEN.match(line, position):
        position = token.end()
        text = token[1] if token[1] is not None else token[2]
        if key := _KEY.match(text):
            properties[key[1]] = _unescape(text[key.end() :])
        else:
            arguments.append(_unescape(text))
    if line[position:].strip():
        raise ProtocolError(f"the client sent a message with a broken end: {_shown(line)}")
    return Message(Kind(kind), arguments, properties)


def format_message(
    kind: Kind, arguments: Sequence[str] = (), properties: Mapping[str, str] | None = None
) -> bytes:
    """The line of a message, which ends with a line end."""
    pairs = (f"{key}={value}" for key, value in (properties or {}).items())
    words = "".join(f'"{_escape(text)}" ' for text in (*arguments, *pairs))
    return PREFIX + f"{kind} {words}\n".encode("utf-8", "replace")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _unescape(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: b"\n" if found[1] == b"n" else found[1], text)


def _shown(line: bytes) -> str:
    """The beginning of a line, for a message that fits a line itself."""
    text = line[:_SHOWN_BYTES].decode("ascii", "backslashreplace")
    return repr(text + ("..." if len(line) > _SHOWN_BYTES else ""))
