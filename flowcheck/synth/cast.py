"""Who takes part in a run, at which addresses, and what of them is open: connections, associations, sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .packets import Net, Tcp
from .plan import Act, Plan
from .world import INNER, OUTER, Unable
from .wire import ftp, ike, sctp
from .wire.tls import Session


@dataclass(slots=True)
class Web:
    """An HTTP connection of the run."""

    tcp: Tcp
    host: str
    tls: Session | None = None
    flights: int = 0  # of the TLS handshake, so far
    waiting: bool = False  # a request of the client is unanswered
    cwmp: bool = False  # a CWMP session is open
    events: str = ""  # what it was opened for
    said: set[tuple[int, str]] = field(default_factory=set)  # what each side has sent of the opening of SSH
    packages: int = 0  # of the device in a DM session
    inform: str = ""  # cwmp:ID of its Inform, while that is unanswered


RELAYED = ("emm", "gmm")
ACCESS_NODE = "192.0.2.51"
ASKED = ("tcp", "http", "json", "xml")  # of these a device may be the server
ANSWERS = ("esponse", ".result", ".error", ".reject", ".empty", "Answer", ".AIA", "_ack", ".reply")


def needed(act: Act, *names: str) -> None:
    """A message that cannot be without these."""
    for name in names:
        if name not in act.content:
            raise Unable(f"{act.kind} without {name}")


class Cast:
    def __init__(self, plan: Plan, seed: int):
        self.plan, self.world = plan, plan.world
        self.net = Net(seed)
        self.associations: list[ike.Association] = []
        self.asked: dict[str, Any] = {}  # step -> what its answer needs
        self.again: dict[str, Callable[[], None]] = {}  # step -> sends the request once more
        self.webs: dict[tuple[str, str], Web] = {}
        self.all_webs: list[Web] = []
        self.links: dict[tuple[str, str, int], sctp.Association] = {}
        self.peers: dict[tuple[str, str], Tcp] = {}  # by Diameter
        self.controls: dict[tuple[str, str], ftp.Control] = {}
        self.inner = INNER
        self.informed: dict[str, Any] = {}  # role -> what the last Inform told it
        self.exchanges = 0
        self.acts: tuple[Act, ...] = ()

    def address(self, role: str, act: Act) -> str:
        """Where a role is for a message: what a radio network carries for the device, its access node sends."""
        if role != self.world.device:
            return self.world.addresses[role]
        if act.protocol in RELAYED:
            return ACCESS_NODE
        if act.at:
            return act.at
        return self.inner if act.tunnel else OUTER

    def parties(self, act: Act) -> tuple[str, str]:
        """Client and server of the connection that a message runs on. Between servers who asks is the client; a device
        is it always, but where it is asked by HTTP or CoAP."""
        asks = not (act.answers or act.kind.endswith(ANSWERS))
        if self.world.device in (act.src, act.dst) and act.protocol not in ASKED:
            return self.world.device, act.dst if act.src == self.world.device else act.src
        return (act.src, act.dst) if asks else (act.dst, act.src)

    def hosts(self, act: Act) -> tuple[str, str]:
        """The addresses of client and server."""
        client, server = self.parties(act)
        return self.address(client, act), self.address(server, act)

    def server(self, act: Act) -> str:
        return self.parties(act)[1]
