import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hqtrack.vot.talk import BUSY, DONE, TAKEN, Garbled, Message, Offer, Talk, receive_offer

OFFER = Offer({"HQTRACK_WORKSPACE": "/somewhere"}, "/")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_messages_come_one_by_one_whole_or_in_parts(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, talk = pair[0], Talk(pair[1])
    Talk(one).send(TAKEN, 77)
    Talk(one).mention(BUSY)
    one.sendall(b"do")
    assert talk.receive(1) == Message(TAKEN, 77)
    assert talk.receive(1) == Message(BUSY, 0)
    with pytest.raises(TimeoutError):
        talk.receive(0.05)
    one.sendall(b"ne 3\n")
    assert talk.receive(1) == Message(DONE, 3)
    one.close()
    assert talk.receive(1) is None


@pytest.mark.parametrize(
    "line", [b"\n", b"taken\n", b"taken -1\n", b"taken x\n", b"hello 1\n", b"taken 1 2\n",
             b"taken 12345678901\n", b"\xff\xfe 1\n", b"x" * 1000, "taken ²\n".encode()],
)  # fmt: skip
def test_what_is_no_message_is_garbled(
    pair: tuple[socket.socket, socket.socket], line: bytes
) -> None:
    pair[0].sendall(line)
    with pytest.raises(Garbled):
        Talk(pair[1]).receive(1)


def test_who_sends_a_byte_at_a_time_is_not_waited_for_longer(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    start = time.monotonic()
    pair[0].sendall(b"t")
    with pytest.raises(TimeoutError):
        Talk(pair[1]).receive(0.1)
    assert time.monotonic() - start < 5


def test_an_offer_arrives_with_its_descriptors(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("content")
    long = Offer({"HQTRACK_WORKSPACE": "/x" * 10_000 + "\udcff"}, "/größe")
    with (tmp_path / "file").open() as file:
        Talk(pair[0]).offer(long, [file.fileno()] * 3)
    offer, descriptors = receive_offer(pair[1], 1)
    assert offer == long
    assert os.read(descriptors[2], 100) == b"content"
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[1, 2, 3]\n",
        b"{}\n",
        b"no JSON\n",
        b"\xff\xfe\n",
        b"[" * 5000 + b"\n",
        json.dumps([{"PATH": "/evil"}, "/"]).encode() + b"\n",
        json.dumps([{"HQTRACK_WORKSPACE": 1}, "/"]).encode() + b"\n",
        json.dumps([{"HQTRACK_WORKSPACE": "a\0b"}, "/"]).encode() + b"\n",
        json.dumps([{}, None]).encode() + b"\n",
        json.dumps([[], "/"]).encode() + b"\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_offer_leaves_no_descriptor(
    pair: tuple[socket.socket, socket.socket], line: bytes
) -> None:
    before = open_descriptors()
    socket.send_fds(pair[0], [line], [0, 1, 2])
    with pytest.raises(Garbled):
        receive_offer(pair[1], 1)
    assert open_descriptors() == before


@pytest.mark.parametrize("count", [0, 1, 2, 4, 20])
def test_another_number_of_descriptors_is_no_offer(
    pair: tuple[socket.socket, socket.socket], count: int
) -> None:
    before = open_descriptors()
    socket.send_fds(pair[0], [OFFER.encode()], [0] * count)
    with pytest.raises(Garbled):
        receive_offer(pair[1], 1)
    assert open_descriptors() == before


def test_an_offer_that_does_not_end_is_not_waited_for(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    before = open_descriptors()
    socket.send_fds(pair[0], [OFFER.encode()[:-1]], [0, 1, 2])
    with pytest.raises(TimeoutError):
        receive_offer(pair[1], 0.1)
    assert open_descriptors() == before
