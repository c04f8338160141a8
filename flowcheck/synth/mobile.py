"""The parts of a run that a mobile network carries: NAS, authentication vectors by Diameter or MAP, sessions by GTP."""

from __future__ import annotations

from .datagrams import Datagrams
from .packets import Tcp
from .plan import Act
from .wire import access, diameter, gtp, map, nas, radio

SETUP = {"emm": ("s1ap.S1SetupRequest", "s1ap.S1SetupResponse"),
         "gmm": ("hnbap.HNBRegisterRequest", "hnbap.HNBRegisterAccept")}
PROTECTED = {"emm.SecurityModeCommand": b"\x37", "emm.AttachAccept": b"\x17"}  # header type and discriminator


class Mobile(Datagrams):
    # ---------------------------------------------------------------------------------------------- NAS

    def nas(self, act: Act) -> None:
        """Over the signalling connection of the device's access node, which the first message opens."""
        link, upwards = self.joined(act), act.src == self.world.device
        content = dict(act.content)
        if act.kind.endswith(".AttachRequest") and any(a.kind.endswith(".IdentityRequest") for a in self.plan.acts):
            content["identity_type"] = "temporary"
        message = nas.message(act.kind, content)
        if act.kind in PROTECTED:  # with a code that nobody can check
            message = PROTECTED[act.kind] + self.net.random.randbytes(4) + b"\0" + message
        first = "nas" not in self.asked
        data = access.carried(act.protocol, message, upwards, first, act.kind.endswith(".AttachAccept"))
        send = lambda: link.send(0 if upwards else 1, access.PPIDS[act.protocol], data)  # noqa: E731
        self.asked["nas"] = True
        self.asked[act.step], self.again[act.step] = (*link.ends, 132), send
        send()

    # ---------------------------------------------------------------------------------------------- vectors

    def diameter(self, act: Act) -> None:
        tcp, (client, server) = self.peering(act), self.parties(act)
        vectors = "UTRAN" if any(a.protocol == "gmm" for a in self.plan.acts) else "E-UTRAN"
        if act.src == client:
            self.exchanges += 1
            self.asked[act.step] = number = self.exchanges
            tcp.send(0, diameter.request(number, self.world.names[client], self.world.names[server], vectors))
        else:
            number = self.asked[act.answers] + 100 * act.astray
            answer = diameter.answer(number, self.world.names[server], act.content, vectors)
            tcp.send(1, answer)

    def peering(self, act: Act) -> Tcp:
        """The Diameter connection of the act's hosts, with its capabilities exchanged."""
        client, server = self.parties(act)
        if (client, server) not in self.peers:
            ends = [(self.world.addresses[role], port) for role, port in ((client, 43868), (server, diameter.PORT))]
            tcp = self.peers[client, server] = Tcp(self.net, *ends)
            tcp.open()
            for side, role in enumerate((client, server)):
                tcp.send(side, diameter.capabilities(self.world.names[role], self.world.addresses[role], side == 0))
        return self.peers[client, server]

    def map(self, act: Act) -> None:
        side = 0 if act.src == self.parties(act)[0] else 1
        self.joined(act).send(side, map.PPID, map.message(act.kind, act.content))

    # ---------------------------------------------------------------------------------------------- sessions

    def gtp(self, act: Act) -> None:
        client, server = ((self.world.addresses[role], gtp.PORT) for role in self.parties(act))
        if act.answers:
            number, ends = self.asked[act.answers] + 100 * act.astray, (server, client)
        else:
            self.exchanges += 1
            number, ends = self.exchanges, (client, server)
            self.asked[act.step] = number
        message = gtp.message(act.kind, number, self.address(self.world.device, act), ends[0][0], act.content)
        send = lambda: self.net.udp(*ends, message)  # noqa: E731
        self.again[act.step] = send
        send()

    # ---------------------------------------------------------------------------------------------- what was there

    def joined(self, act: Act):
        """The SCTP association of the act's hosts, with what sets up its application."""
        link = self.link(act)
        if not link.accepted:
            link.open()
            for side, kind in enumerate(SETUP.get(act.protocol, ())):
                link.send(side, radio.PPIDS[kind.partition(".")[0]], radio.message(kind, {"Global-ENB-ID": "1"}))
            for side in (0, 1) if act.protocol == "map" else ():
                link.send(side, map.PPID, map.aspup(side == 1))
        return link

    def echo(self, act: Act) -> None:
        client, server = ((self.world.addresses[role], gtp.PORT) for role in self.parties(act))
        self.exchanges += 1
        self.net.udp(client, server, gtp.echo(act.protocol, self.exchanges, False))
        self.net.udp(server, client, gtp.echo(act.protocol, self.exchanges, True))
