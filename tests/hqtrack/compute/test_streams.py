from contextlib import contextmanager

import pytest
import torch

from hqtrack.compute.streams import Lane


class Stream:
    """Notes what waits for what."""

    def __init__(self, name: str, log: list[str], priority: int = 0) -> None:
        self.name, self.log, self.priority = name, log, priority
        self.device = torch.device("cuda:1")

    def wait_stream(self, other: "Stream") -> None:
        self.log.append(f"{self.name} waits for {other.name}")


def test_a_cpu_has_no_lane() -> None:
    with Lane(torch.device("cpu"))():
        pass


@pytest.mark.parametrize("fails", [False, True])
def test_the_lane_has_a_high_priority_and_is_in_order_with_its_caller(
    monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    log: list[str] = []

    def make(device: torch.device, priority: int) -> Stream:
        log.append(f"{device} {priority}")
        return Stream("lane", log, priority)

    @contextmanager
    def enter(stream: Stream) -> object:
        log.append(f"in {stream.name}")
        yield
        log.append("out")

    monkeypatch.setattr(torch.cuda, "Stream", make)
    monkeypatch.setattr(torch.cuda, "stream", enter)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("caller", log))
    lane = Lane(torch.device("cuda:1"))
    if fails:
        with pytest.raises(KeyError), lane():
            raise KeyError
    else:
        with lane():
            pass
    assert log[:3] == ["cuda:1 -1", "lane waits for caller", "in lane"]
    assert log[-1] == "caller waits for lane"
