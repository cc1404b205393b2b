"""Ports: asked for, remembered, usual or free."""

import socket
from collections.abc import Iterator

import pytest

from runtime.system.ports import LOOPBACK, PortBusyError, Ports, choose_ports, free_port, is_free


@pytest.fixture
def busy() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as server:
        server.bind((LOOPBACK, free_port(set())))
        server.listen()
        yield server.getsockname()[1]


def _ignore(text: str) -> None:
    """Nothing to check."""


def test_free_ports_differ_and_are_not_the_usual_ones() -> None:
    """Every port is free and no two are the same; media over TCP stays off unless asked for."""
    ports = choose_ports({}, {}, usual=False, tell=_ignore)
    numbers = [getattr(ports, name) for name in Ports.__struct_fields__ if name != "livekit_tcp"]
    assert len(set(numbers)) == len(numbers)
    assert all(is_free(number) for number in numbers)
    assert ports.livekit_tcp == 0


def test_remembered_ports_are_kept() -> None:
    """A port of the last run comes before the usual one."""
    port = free_port(set())
    assert choose_ports({}, {"api": port}, usual=True, tell=_ignore).api == port


def test_busy_port_is_replaced_and_said(busy: int) -> None:
    """A remembered port that somebody else took is replaced, in one sentence."""
    said: list[str] = []
    ports = choose_ports({}, {"temporal_ui": busy}, usual=False, tell=said.append)
    assert ports.temporal_ui != busy
    assert said == [f"port {busy} (temporal ui) is in use: taking {ports.temporal_ui}"]


def test_busy_port_that_was_asked_for_is_an_error(busy: int) -> None:
    """Who names a port gets that port or an error."""
    with pytest.raises(PortBusyError, match=f"port {busy}, asked for as livekit-port"):
        choose_ports({"livekit": busy}, {}, usual=False, tell=_ignore)


def test_one_port_asked_for_twice_is_an_error() -> None:
    """Two parts cannot have the same port."""
    port = free_port(set())
    with pytest.raises(PortBusyError, match="temporal-port"):
        choose_ports({"api": port, "temporal": port}, {}, usual=False, tell=_ignore)


def test_port_taken_by_udp_only_is_not_free() -> None:
    """LiveKit's media port is UDP, so a UDP socket makes a port busy too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((LOOPBACK, 0))
        assert not is_free(server.getsockname()[1])
