"""The parts of a run that are datagrams: DNS, IKE, SCTP and what runs on it."""

from __future__ import annotations

from .cast import Cast
from .packets import UDP, Tunnel
from .plan import Act
from .world import OUTER, Unable
from .wire import access, dns, ike, map, radio, sctp, tls

GATEWAY = "203.0.113.250"  # of a tunnel that the rule does not speak of
PORTS = {**radio.PORTS, **access.PORTS, "map": map.PORT}  # of the SCTP server
LOOKUP = (("A", 0), ("AAAA", 1))  # the questions of one lookup, and what is added to the DNS id


class Datagrams(Cast):
    # ---------------------------------------------------------------------------------------------- DNS

    def dns_query(self, act: Act) -> None:
        number = self.net.random.getrandbits(16)
        client, server = (self.address(act.src, act), 20000 + number % 40000), (self.address(act.dst, act), 53)
        name = act.content["qname"]

        def send() -> None:
            for kind, offset in LOOKUP:
                self.net.udp(client, server, dns.query((number + offset) & 0xFFFF, name, kind))

        self.asked[act.step], self.again[act.step] = (client, server, number, name), send
        send()

    def dns_response(self, act: Act) -> None:
        client, server, number, name = self.asked[act.answers]
        number += 100 * act.astray
        rcode = act.content["rcode"]
        addresses = tuple(act.content.get("answers.address", ())) if rcode == "NOERROR" else ()
        for kind, offset in LOOKUP:
            self.net.udp(
                server,
                client,
                dns.response((number + offset) & 0xFFFF, name, rcode, addresses if kind == "A" else (), kind),
            )

    # ---------------------------------------------------------------------------------------------- IKE

    def _ends(self, act: Act) -> tuple[tuple[str, int], tuple[str, int]]:
        ends = {self.world.device: (OUTER, 500)}
        return ends.get(act.src, (self.world.addresses.get(act.src, GATEWAY), 500)), ends.get(
            act.dst, (self.world.addresses.get(act.dst, GATEWAY), 500)
        )

    def _ike_request(self, act: Act, message: bytes) -> None:
        src, dst = self._ends(act)
        send = lambda: self.net.udp(src, dst, message)  # noqa: E731
        self.asked[act.step], self.again[act.step] = (src, dst, UDP), send
        send()

    def sa_init_request(self, act: Act) -> None:
        self.associations.append(ike.Association(self.net.random))
        self._ike_request(
            act,
            self.associations[-1].clear(
                ike.SA_INIT, 0, False, [ike.proposal(1), *ike.key_exchange(self.net.random)], responder=False
            ),
        )

    def sa_init_response(self, act: Act) -> None:
        refusal = act.content.get("notify") or act.content.get("errors")
        payloads = [ike.notify(refusal)] if refusal else [ike.proposal(1), *ike.key_exchange(self.net.random)]
        self.net.udp(
            *self._ends(act), self.associations[-1].clear(ike.SA_INIT, 0, True, payloads, responder=not refusal)
        )

    def auth_request(self, act: Act) -> None:
        self.associations[-1].round += 1
        self._ike_request(
            act,
            self.associations[-1].sealed(
                ike.AUTH,
                self.associations[-1].round,
                True,
                False,
                [
                    ike.identity(ike.IDI, "001122-SY0000001@synth.example"),
                    ike.certificate(tls.certificate("sy0000001.synth.example")[0]),
                    ike.authentication(self.net.random),
                    ike.address_request(),
                    ike.proposal(3, b"\0\0\0\1"),
                    ike.selectors(ike.TSI, "0.0.0.0", "255.255.255.255"),
                    ike.selectors(ike.TSR, "0.0.0.0", "255.255.255.255"),
                ],
            ),
        )

    def auth_response(self, act: Act) -> None:
        association, random = self.associations[-1], self.net.random
        refusal, code = act.content.get("notify") or act.content.get("errors"), act.content.get("eap.code")
        if refusal:
            payloads = [ike.notify(refusal)]
        elif code in ike.EAP_CODES:
            payloads = [ike.eap(code)]
        else:
            spis = (random.getrandbits(32) | 0x1000, random.getrandbits(32) | 0x1000)
            gateway = self._ends(act)[0][0]
            resolver = next(
                (
                    a
                    for r, a in self.world.addresses.items()
                    if a.startswith("10.50.") and self.world.kinds[r] == "dns_server"
                ),
                "10.50.0.53",
            )
            payloads = [
                ike.identity(ike.IDR, "segw.synth.example"),
                ike.certificate(tls.certificate(act.content["certificates"])[0]),
                ike.authentication(random),
                ike.address_given(self.inner, resolver),
                ike.proposal(3, spis[0].to_bytes(4, "big")),
                ike.selectors(ike.TSI, self.inner, self.inner),
                ike.selectors(ike.TSR, "0.0.0.0", "255.255.255.255"),
            ]
            self.net.tunnels.append(
                Tunnel(
                    OUTER,
                    gateway,
                    self.inner,
                    spis,
                    (random.randbytes(32), random.randbytes(32)),
                    (random.randbytes(32), random.randbytes(32)),
                )
            )
        self.net.udp(*self._ends(act), association.sealed(ike.AUTH, association.round, False, True, payloads))

    def informational(self, act: Act) -> None:
        refusal = act.content.get("notify")
        src, dst = self._ends(act)
        self.net.udp(
            src,
            dst,
            self.associations[-1].sealed(
                ike.INFORMATIONAL,
                self.associations[-1].round + 1,
                act.src == self.world.device,
                False,
                [ike.notify(refusal) if refusal else ike.delete_ike()],
            ),
        )
        self.net.udp(
            dst,
            src,
            self.associations[-1].sealed(
                ike.INFORMATIONAL, self.associations[-1].round + 1, act.src != self.world.device, True, []
            ),
        )

    def _prelude(self) -> None:
        """The tunnel that is there before the run."""
        device, content = self.world.device, {"certificates": "segw.synth.example"}
        self.sa_init_request(Act("", "ike.sa_init.request", device, "", {}))
        self.sa_init_response(Act("", "ike.sa_init.response", "", device, {}))
        self.auth_request(Act("", "ike.auth.request", device, "", {}))
        self.auth_response(Act("", "ike.auth.response", "", device, content))
        self.net.wait(5)

    # ---------------------------------------------------------------------------------------------- SCTP

    def link(self, act: Act) -> sctp.Association:
        client, server = self.parties(act)
        following = (a.protocol for a in (act, *self.plan.acts) if a.protocol in PORTS and self.server(a) == server)
        port = PORTS[next(following, "hnbap")]
        key = (self.address(client, act), server, port)
        if key not in self.links:
            self.links[key] = sctp.Association(self.net, (key[0], 29169), (self.world.addresses[server], port))
        return self.links[key]

    def sctp_init(self, act: Act) -> None:
        link = self.link(act)
        self.asked[act.step], self.again[act.step] = (*link.ends, 132), link.init
        link.init()

    def sctp_init_ack(self, act: Act) -> None:
        self.link(act).accept()

    def sctp_abort(self, act: Act) -> None:
        self.link(act).abort(0 if act.src == self.world.device else 1)

    def application(self, act: Act) -> None:
        if act.kind not in radio.KINDS:
            raise Unable(f"no encoder for {act.kind}")
        link = self.link(act)
        link.open()
        side = 0 if act.src == self.world.device else 1
        self.asked[act.step] = (*link.ends, 132)
        link.send(side, radio.PPIDS[act.protocol], radio.message(act.kind, act.content))
