"""Machines that are network namespaces of this one, joined by a router that can lose what goes between two addresses.

Nothing here has a name that could be left behind: each namespace is held by a process that ends with the test process,
however that ends, and the kernel takes links, addresses and rules away with the last process of their namespace. In
this machine's own network there is one link more, with the routes that lead over it, and nothing else changes.
"""

import ipaddress
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from support.real_parts import missing

NEEDED = ("ip", "nsenter", "unshare")
POOL = ipaddress.IPv4Network("198.18.0.0/15")
"""Addresses that the internet leaves to tests of networks (RFC 2544)."""
LISTENING = "0A"
COMMAND_WITHIN_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A network of its own; what is started `inside` sees nothing of another but what the router lets through."""

    name: str
    keeper: "subprocess.Popen[bytes]"
    network: ipaddress.IPv4Network
    """Of the machine and the router's link to it."""

    def inside(self, *command: str) -> tuple[str, ...]:
        """A command as it must be run to run on this machine; the process stays the same."""
        return ("nsenter", f"--net=/proc/{self.keeper.pid}/ns/net", "--", *command)

    def run(self, *command: str) -> str:
        """Run a short command on this machine; what it printed."""
        return _said(self.inside(*command))

    def address(self, number: int = 0) -> str:
        """One of its addresses; 0 is its first."""
        return str(self.network[2 + number])

    def listens_on(self) -> set[int]:
        """TCP ports on which somebody else could reach a process of this machine."""
        tables = (Path(f"/proc/{self.keeper.pid}/net/{family}").read_text() for family in ("tcp", "tcp6"))
        rows = [line.split() for table in tables for line in table.splitlines()[1:]]
        return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTENING and not _is_loopback(row[1])}


@dataclass(kw_only=True)
class Network:
    """Machines around a router. Make it by `running_network`."""

    router: Machine
    machines: dict[str, Machine] = field(default_factory=dict)
    here: str = ""
    """The address of this machine in it."""

    @contextmanager
    def cut(self, machine: Machine, *addresses: str) -> Iterator[None]:
        """Between a machine and these addresses of others nothing arrives, and nobody is told; afterwards it does."""
        with ExitStack() as stack:
            for address in addresses:
                for rule in _losing(str(machine.network), address):
                    self.router.run("ip", "rule", "add", *rule)
                    stack.callback(self.router.run, "ip", "rule", "delete", *rule)
            yield


def _losing(one: str, other: str) -> list[tuple[str, ...]]:
    """Rules for a router that lose what goes either way; `blackhole` is the kind that answers nothing."""
    return [("from", a, "to", b, "priority", "100", "blackhole") for a, b in ((one, other), (other, one))]


@contextmanager
def running_network(addresses: dict[str, int]) -> Iterator[Network]:
    """Machines by name, with so many addresses each, which this machine reaches too.

    Skips the test where no namespaces can be made, unless CI=true.
    """
    with ExitStack() as stack:
        try:
            made = _make(addresses, stack)
        except (OSError, subprocess.SubprocessError) as error:
            _unavailable(str(error))
        yield made


def _make(addresses: dict[str, int], stack: ExitStack) -> Network:
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        raise OSError(f"there is no {', '.join(missing)} (packages iproute2 and util-linux)")
    networks = _free_networks(len(addresses) + 1)
    router = _machine("router", next(networks), stack)
    router.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    mark = secrets.token_hex(3)
    here = Machine(name="here", keeper=router.keeper, network=router.network)
    _join(router, os.getpid(), f"green-{mark}", here)
    _said(("ip", "address", "add", f"{here.address()}/{here.network.prefixlen}", "dev", f"green-{mark}"))
    _said(("ip", "link", "set", f"green-{mark}", "up"))
    found = Network(router=router, here=here.address())
    for name, number in addresses.items():
        machine = found.machines[name] = _machine(name, next(networks), stack)
        _join(router, machine.keeper.pid, "eth0", machine)
        for which in range(number):
            machine.run("ip", "address", "add", f"{machine.address(which)}/{machine.network.prefixlen}", "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "up")
        machine.run("ip", "route", "add", "default", "via", str(machine.network[1]))
        _said(("ip", "route", "add", str(machine.network), "via", str(here.network[1])))
    return found


def _join(router: Machine, pid: int, link: str, machine: Machine) -> None:
    """A link between the router and the network of a process, where it is called `link`; up at the router's end."""
    end = f"to-{machine.name}"
    router.run("ip", "link", "add", end, "type", "veth", "peer", "name", link, "netns", str(pid))
    router.run("ip", "address", "add", f"{machine.network[1]}/{machine.network.prefixlen}", "dev", end)
    router.run("ip", "link", "set", end, "up")


def _machine(name: str, network: ipaddress.IPv4Network, stack: ExitStack) -> Machine:
    """A namespace with a keeper that ends with its input, which the kernel closes with this process."""
    keeper = subprocess.Popen(
        ["unshare", "--net", "--", "cat"],  # noqa: S607 - it was looked for
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,  # an interrupt from the terminal is for the tests, which still need the network
    )
    stack.callback(_end, keeper)
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    assert keeper.stderr is not None
    try:
        keeper.stdin.write(b"\n")
        echo = keeper.stdout.readline()
    except BrokenPipeError:
        echo = b""
    if not echo:
        raise OSError(keeper.stderr.read().decode().strip() or "no network namespace")
    machine = Machine(name=name, keeper=keeper, network=network)
    machine.run("ip", "link", "set", "lo", "up")
    return machine


def _end(keeper: "subprocess.Popen[bytes]") -> None:
    keeper.communicate()


def _said(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMMAND_WITHIN_S)
    if done.returncode:
        raise OSError(f"`{' '.join(command)}` said: {done.stderr.strip()}")
    return done.stdout


def _free_networks(number: int) -> Iterator[ipaddress.IPv4Network]:
    """Networks of the pool in a row that nobody here has a route to."""
    taken = [ipaddress.IPv4Network(route) for route in _routes() if route != "default"]
    blocks = list(POOL.subnets(new_prefix=20))
    secrets.SystemRandom().shuffle(blocks)
    for block in blocks:
        if not any(block.overlaps(route) for route in taken):
            networks = list(block.subnets(new_prefix=24))
            assert number <= len(networks)
            return iter(networks)
    raise OSError(f"every network of {POOL} is taken")


def _routes() -> Iterable[str]:
    words = (line.split() for line in _said(("ip", "-4", "route", "show")).splitlines())
    return [word[1] if word[0] in {"blackhole", "unreachable", "prohibit"} else word[0] for word in words if word]


def _is_loopback(local: str) -> bool:
    """A local address as the kernel writes it: hexadecimal, each word of four bytes turned round."""
    address = local.rpartition(":")[0]
    return (
        address.endswith("7F") if len(address) == 8 else address.startswith("0" * 24 + "0100") or address.endswith("7F")
    )


def _unavailable(reason: str) -> NoReturn:
    missing(f"no machines: network namespaces cannot be made here: {reason}")
