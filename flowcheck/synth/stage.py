"""Plays a plan: every message becomes packets, with the connections, sessions and acknowledgements that it needs.

What the plan does not speak of and the protocols need is added: a TCP or SCTP handshake before the first message, the
empty POST with which a CPE lets its ACS speak, the Inform of a session that serves another purpose, a tunnel that was
there before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .packets import Net, Tcp, Tunnel, UDP
from .content import DEFAULTS
from .plan import INNER, OUTER, Act, Plan, Unable
from .wire import cwmp, dns, ftp, ike, radio, sctp, tls

GATEWAY = "203.0.113.250"
CLOCK_SERVER = "192.0.2.123"
PATIENCE = 60.0  # s after which the waiting end of a connection closes it
AFTERMATH = (120.0, 500.0, 1000.0, 4000.0)  # s after the last message: the device still lives
BEFORE = 600.0  # s from an earlier session to the run
REPEATS = (2.0, 4.0)
LOOKUP = (("A", 0), ("AAAA", 1))  # the questions of one lookup, and what is added to the DNS id


class Capture(NamedTuple):
    pcap: bytes
    keys: dict[str, str]  # file name -> text
    site: str


@dataclass(slots=True)
class _Web:
    """An HTTP connection of the run."""

    tcp: Tcp
    host: str
    tls: tls.Session | None = None
    flights: int = 0  # of the TLS handshake, so far
    waiting: bool = False  # a request of the client is unanswered
    cwmp: bool = False  # a CWMP session is open
    events: str = ""  # what it was opened for
    inform: str = ""  # cwmp:ID of its Inform, while that is unanswered


def play(plan: Plan, seed: int = 1, acts: tuple[Act, ...] | None = None) -> Capture:
    """The capture of a run, or of the run with other acts. Raises Unable where a message cannot be made."""
    stage = _Stage(plan, seed)
    stage.run(plan.acts if acts is None else acts)
    keys = {
        "ikev2_decryption_table": "".join(a.table() for a in stage.associations),
        "esp_sa": "".join(t.table() for t in stage.net.tunnels),
        "tls": "".join(w.tls.secrets() for w in stage.all_webs if w.tls),
    }
    return Capture(stage.net.pcap(), {name: text for name, text in keys.items() if text}, plan.world.profile())


class _Stage:
    def __init__(self, plan: Plan, seed: int):
        self.plan, self.world = plan, plan.world
        self.net = Net(seed)
        self.associations: list[ike.Association] = []
        self.asked: dict[str, Any] = {}  # step -> what its answer needs
        self.again: dict[str, Callable[[], None]] = {}  # step -> sends the request once more
        self.webs: dict[tuple[str, str], _Web] = {}
        self.all_webs: list[_Web] = []
        self.links: dict[tuple[str, str], sctp.Association] = {}
        self.controls: dict[tuple[str, str], ftp.Control] = {}
        self.inner = INNER
        self.informed: dict[str, Any] = {}  # role -> what the last Inform told it
        self.exchanges = 0
        self.acts: tuple[Act, ...] = ()

    def run(self, acts: tuple[Act, ...]) -> None:
        self.acts = acts
        if (
            self.world.tunnel
            and not any(act.protocol == "ike" for act in acts)
            and not any(a.protocol == "ike" for a in self.plan.acts)
        ):
            self._prelude()
        if acts and acts[0].kind == "http.request" and self._asks_device(acts[0]):
            self._make_known()
        for index, act in enumerate(acts):
            if act.wait:
                self.net.wait(act.wait)
            maker = _MAKERS.get(act.kind) or _MAKERS.get(act.protocol)
            if maker is None:
                raise Unable(f"no encoder for {act.kind}")
            maker(self, act)
            if act.unanswered:
                for pause in REPEATS if act.step in self.again else ():
                    self.net.wait(pause)
                    self.again[act.step]()
                self.net.wait(PATIENCE)
                for web in self.webs.values():
                    web.tcp.close(0)
            self._end_what_is_over(act, acts[index + 1 :])
        self._finish()

    def _make_known(self) -> None:
        """A device that is asked first was in touch before: its periodic Inform, well before the run."""
        server = next((r for r, kind in self.world.kinds.items() if kind == "acs"), None)
        if server is not None:
            act = Act("", "cwmp.Inform", self.world.device, server, {}, tunnel=self.world.tunnel)
            web = self._ready(self.web(act), act)
            self._introduce(web, replace(act, content={"session_events": "2 PERIODIC"}))
            self._end_session(web)
            self.net.wait(BEFORE)

    def _end_what_is_over(self, act: Act, rest: tuple[Act, ...]) -> None:
        """A CWMP session ends when nothing more is said in it, before the device turns to something else."""
        web = self.webs.get((self.address(self.world.device, act), self.server(act)))
        following = next((a for a in rest if a.protocol == "cwmp" and self.server(a) == self.server(act)), None)
        if (
            web is not None
            and web.cwmp
            and not act.unanswered
            and rest
            and act.protocol == "cwmp"
            and act.answers
            and following is None
        ):
            self._end_session(web)

    def _finish(self) -> None:
        for web in self.webs.values():
            if web.cwmp and not web.tcp.closed:
                self._end_session(web)
            elif web.tcp.accepted:
                web.tcp.close(0)
        for control in self.controls.values():
            control.quit()
        last = self.net.now
        for seconds in AFTERMATH:
            self.net.now = last + int(seconds * 1e9)
            question = bytes((0x23,)) + bytes(47)
            self.net.udp((OUTER, 123), (CLOCK_SERVER, 123), question)
            self.net.udp((CLOCK_SERVER, 123), (OUTER, 123), bytes((0x24, 1)) + bytes(46))

    # ---------------------------------------------------------------------------------------------- hosts

    def address(self, role: str, act: Act) -> str:
        if role == self.world.device:
            return self.inner if act.tunnel else OUTER
        return self.world.addresses[role]

    def server(self, act: Act) -> str:
        return act.dst if act.src == self.world.device else act.src

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
        refusal = act.content.get("notify")
        payloads = [ike.notify(refusal)] if refusal else [ike.proposal(1), *ike.key_exchange(self.net.random)]
        self.net.udp(
            *self._ends(act), self.associations[-1].clear(ike.SA_INIT, 0, True, payloads, responder=not refusal)
        )

    def auth_request(self, act: Act) -> None:
        self._ike_request(
            act,
            self.associations[-1].sealed(
                ike.AUTH,
                1,
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
        association, refusal, random = self.associations[-1], act.content.get("notify"), self.net.random
        if refusal:
            payloads = [ike.notify(refusal)]
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
        self.net.udp(*self._ends(act), association.sealed(ike.AUTH, 1, False, True, payloads))

    def informational(self, act: Act) -> None:
        refusal = act.content.get("notify")
        src, dst = self._ends(act)
        self.net.udp(
            src,
            dst,
            self.associations[-1].sealed(
                ike.INFORMATIONAL,
                2,
                act.src == self.world.device,
                False,
                [ike.notify(refusal) if refusal else ike.delete_ike()],
            ),
        )
        self.net.udp(
            dst, src, self.associations[-1].sealed(ike.INFORMATIONAL, 2, act.src != self.world.device, True, [])
        )

    def _prelude(self) -> None:
        device = self.world.device
        for kind, src, dst in (
            ("sa_init.request", device, ""),
            ("sa_init.response", "", device),
            ("auth.request", device, ""),
            ("auth.response", "", device),
        ):
            act = Act("", f"ike.{kind}", src, dst, {"certificates": "segw.synth.example"})
            _MAKERS[act.kind](self, act)
        self.net.wait(5)

    def address_change(self, act: Act) -> None:
        """In touch with its ACS from one inner address, the device is given another in a new tunnel."""
        self._make_known()
        self.inner = act.content["spellings"]
        self._prelude()

    # ---------------------------------------------------------------------------------------------- connections

    def web(self, act: Act, fresh: bool = False) -> _Web:
        """The connection between the act's hosts; one that is closed is opened anew by whoever needs it."""
        server = self.server(act)
        client_is_device = not (act.protocol == "http" and self._asks_device(act))
        address = self.address(self.world.device, act)
        ends = [(address, 30000 + self.net.random.randrange(30000)), (self.world.addresses[server], 7547)]
        key = (address if client_is_device else "acs", server)
        found = self.webs.get(key)
        if found is not None and not found.tcp.closed and not fresh:
            return found
        if not client_is_device:
            ends = [(ends[1][0], ends[0][1]), (ends[0][0], 7547)]
        made = _Web(Tcp(self.net, *ends), self.world.names[server])
        self.webs[key] = made
        self.all_webs.append(made)
        return made

    def _asks_device(self, act: Act) -> bool:
        """Is the device the HTTP server here (a connection request)?"""
        return act.dst == self.world.device if act.kind == "http.request" else act.src == self.world.device

    def _ready(self, web: _Web, act: Act) -> _Web:
        web.tcp.open()
        if act.tls and web.tcp.seal is None:
            for flight, done in (
                (self._hello, web.tls is not None),
                (self._accepted, web.flights > 1),
                (self._secured, False),
            ):
                if not done:
                    flight(web)
        return web

    def _hello(self, web: _Web) -> None:
        web.tcp.open()
        shown = next((a.content["chain"] for a in self.acts if a.kind == "tls.certificate"), web.host)
        web.tls, web.flights = tls.Session(web.host, shown), 1
        web.tcp.raw(0, web.tls.flight(0))

    def _accepted(self, web: _Web) -> None:
        web.flights = 2
        web.tcp.raw(1, web.tls.flight(1))

    def _secured(self, web: _Web) -> None:
        web.tcp.raw(0, web.tls.flight(0))
        web.tcp.raw(1, web.tls.flight(1))
        web.tls.flight(0)
        web.tcp.seal = web.tls.seal

    def syn(self, act: Act) -> None:
        web = self.web(act, fresh=True)
        self.asked[act.step] = (*web.tcp.ends, 6)
        self.again[act.step] = web.tcp.syn
        web.tcp.syn()

    def syn_ack(self, act: Act) -> None:
        self.web(act).tcp.accept()

    def tcp_refused(self, act: Act) -> None:
        self.web(act).tcp.refuse()

    def unreachable(self, act: Act) -> None:
        self.net.unreachable(*self.asked[act.answers])

    def client_hello(self, act: Act) -> None:
        self._hello(self.web(act))

    def server_hello(self, act: Act) -> None:
        web = self.web(act)
        if web.tls is None:
            self._hello(web)
        self._accepted(web)

    def certificate(self, act: Act) -> None:
        """Comes with the ServerHello."""

    def finished(self, act: Act) -> None:
        self._ready(self.web(act), act)

    def tls_alert(self, act: Act) -> None:
        web, side = self.web(act), 0 if act.src == self.world.device else 1
        web.tcp.raw(side, tls.alert(act.content["description"]))
        web.tcp.close(side)

    # ---------------------------------------------------------------------------------------------- CWMP and HTTP

    def cwmp(self, act: Act) -> None:
        rpc = act.kind.partition(".")[2]
        web = self.web(act)
        if rpc == "Inform" and web.cwmp:
            self._end_session(web)
            web = self.web(act)
        if web.cwmp and str(act.content.get("session_events", "")) not in web.events:
            self._end_session(web)  # this is said in a session of another kind
            web = self.web(act)
        self._ready(web, act)
        if rpc != "Inform" and not web.cwmp:
            self._introduce(web, act)
        web.cwmp = True
        if rpc == "Inform":
            web.events = str(act.content.get("Event.EventCode", ""))
            self.informed[self.server(act)] = act.content
        body = cwmp.envelope(rpc, self._number(act, rpc), act.content)
        self.asked[act.step] = (*web.tcp.ends, 6)
        if act.src == self.world.device:
            if web.waiting and web.inform:
                self._accept_inform(web)
            self._post(web, body)
            web.inform = self.asked[f"id:{act.step}"] if rpc == "Inform" else ""
        else:
            if not web.waiting:
                self._post(web, b"")
            self._respond(web, 200, body)

    def _number(self, act: Act, rpc: str) -> str:
        if act.answers and f"id:{act.answers}" in self.asked:
            return self.asked[f"id:{act.answers}"]
        self.exchanges += 1
        self.asked[f"id:{act.step}"] = f"{self.exchanges}"
        return f"{self.exchanges}"

    def _introduce(self, web: _Web, act: Act) -> None:
        """The Inform of a session whose Inform the rule does not speak of, or speaks of once for several."""
        server = self.server(act)
        held = dict(
            self.informed.get(server)
            or {
                **DEFAULTS["cwmp.Inform"],
                "Event.EventCode": "6 CONNECTION REQUEST",
                "ParameterList": {"Device.DeviceInfo.SoftwareVersion": "1.0"},
            }
        )
        if "session_events" in act.content:
            held["Event.EventCode"] = act.content["session_events"]
        web.events = str(held["Event.EventCode"])
        self._post(web, cwmp.envelope("Inform", "prelude", held))
        self._respond(web, 200, cwmp.envelope("InformResponse", "prelude", {"MaxEnvelopes": 1}))

    def _post(self, web: _Web, body: bytes) -> None:
        web.waiting = True
        web.tcp.send(0, cwmp.http_request("POST", "/acs", web.host, body))

    def _respond(self, web: _Web, status: int, body: bytes) -> None:
        web.waiting, web.inform = False, ""
        web.tcp.send(1, cwmp.http_response(status, body))

    def _accept_inform(self, web: _Web) -> None:
        """The InformResponse of a rule that does not speak of it."""
        self._respond(web, 200, cwmp.envelope("InformResponse", web.inform, {"MaxEnvelopes": 1}))

    def _end_session(self, web: _Web) -> None:
        if web.waiting and web.inform:
            self._accept_inform(web)
        if not web.waiting:
            self._post(web, b"")
        self._respond(web, 204, b"")
        web.cwmp = False
        web.tcp.close(0)

    def session_end(self, act: Act) -> None:
        web = self.web(act)
        if act.content.get("complete") is False:
            web.cwmp = False
            web.tcp.close(1 if act.content.get("by") == "acs" else 0)
        else:
            if not web.cwmp:
                self._introduce(self._ready(web, act), act)
            self._end_session(web)

    def http_request(self, act: Act) -> None:
        content = act.content
        web = self._ready(self.web(act), act)
        web.waiting = True
        body = bytes(content.get("body_length") or 0)
        _needed(act, "method", "path")
        self.asked[act.step] = (*web.tcp.ends, 6)
        web.tcp.send(
            0, cwmp.http_request(content["method"], content["path"], web.host, body, "application/octet-stream")
        )

    def http_response(self, act: Act) -> None:
        content, web = act.content, self.web(act)
        _needed(act, "status")
        web.waiting = web.cwmp = False
        body = b"x" * int(content.get("body_length") or 0)
        web.tcp.send(1, cwmp.http_response(int(content["status"]), body, "application/octet-stream"))

    def document_request(self, act: Act) -> None:
        import json

        _needed(act, "method", "path")
        web = self._ready(self.web(act), act)
        web.waiting = True
        self.asked[act.step] = (*web.tcp.ends, 6)
        web.tcp.send(
            0,
            cwmp.http_request(
                act.content["method"],
                act.content["path"],
                web.host,
                json.dumps(act.content["body"]).encode(),
                "application/json",
            ),
        )

    def document_response(self, act: Act) -> None:
        import json

        _needed(act, "status")
        web = self.web(act)
        web.waiting = False
        web.tcp.send(
            1,
            cwmp.http_response(
                int(act.content["status"]), json.dumps(act.content["body"]).encode(), "application/json"
            ),
        )

    # ---------------------------------------------------------------------------------------------- FTP

    def control(self, act: Act) -> ftp.Control:
        """The control connection between the act's hosts, greeted."""
        server, address = self.server(act), self.address(self.world.device, act)
        if (address, server) not in self.controls:
            self.controls[address, server] = ftp.Control(self.net, address, self.world.addresses[server])
        return self.controls[address, server]

    def ftp_command(self, act: Act) -> None:
        self.control(act).command(act.content["command"], act.content.get("argument", "cm.xml"))

    def ftp_reply(self, act: Act) -> None:
        self.control(act).reply(int(act.content["code"]))

    def ftp_data(self, act: Act) -> None:
        self.control(act).data(int(act.content.get("bytes") or 1000))

    # ---------------------------------------------------------------------------------------------- SCTP

    def link(self, act: Act, port: int = 0) -> sctp.Association:
        server = self.server(act)
        key = (self.address(self.world.device, act), server)
        if key not in self.links:
            following = next(
                (a.protocol for a in self.plan.acts if a.protocol in radio.PORTS and self.server(a) == server), "hnbap"
            )
            self.links[key] = sctp.Association(
                self.net, (key[0], 29169), (self.world.addresses[server], radio.PORTS[following])
            )
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


def _needed(act: Act, *names: str) -> None:
    """A message that cannot be without these."""
    for name in names:
        if name not in act.content:
            raise Unable(f"{act.kind} without {name}")


_MAKERS: dict[str, Callable[[_Stage, Act], None]] = {
    "dns.query": _Stage.dns_query,
    "dns.response": _Stage.dns_response,
    "ike.sa_init.request": _Stage.sa_init_request,
    "ike.sa_init.response": _Stage.sa_init_response,
    "ike.auth.request": _Stage.auth_request,
    "ike.auth.response": _Stage.auth_response,
    "ike.informational.request": _Stage.informational,
    "tcp.syn": _Stage.syn,
    "tcp.syn_ack": _Stage.syn_ack,
    "tcp.refused": _Stage.tcp_refused,
    "icmp.unreachable": _Stage.unreachable,
    "tls.client_hello": _Stage.client_hello,
    "tls.server_hello": _Stage.server_hello,
    "tls.certificate": _Stage.certificate,
    "tls.finished": _Stage.finished,
    "tls.alert": _Stage.tls_alert,
    "cwmp.session_end": _Stage.session_end,
    "cwmp": _Stage.cwmp,
    "http.request": _Stage.http_request,
    "http.response": _Stage.http_response,
    "json.request": _Stage.document_request,
    "json.response": _Stage.document_response,
    "ftp.command": _Stage.ftp_command,
    "ftp.reply": _Stage.ftp_reply,
    "ftp.data": _Stage.ftp_data,
    "device.address_change": _Stage.address_change,
    "sctp.init": _Stage.sctp_init,
    "sctp.init_ack": _Stage.sctp_init_ack,
    "sctp.abort": _Stage.sctp_abort,
    "hnbap": _Stage.application,
    "s1ap": _Stage.application,
}


def encodable(kind: str) -> bool:
    return kind in _MAKERS or kind.partition(".")[0] in _MAKERS
