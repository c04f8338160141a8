"""Plays a plan: every message becomes packets, with the connections, sessions and acknowledgements that it needs.

What the plan does not speak of and the protocols need is added: a TCP or SCTP handshake before the first message, the
empty POST with which a CPE lets its ACS speak, the Inform of a session that serves another purpose, a tunnel that was
there before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from .cast import RELAYED
from .documents import Documents
from .mobile import Mobile
from .plan import Act, Plan
from .transfers import Transfers
from .wire import dns
from .world import OUTER, Unable

CLOCK, CLOCK_SERVER, RESOLVER = "time.synth.example", "192.0.2.123", "192.0.2.53"
PATIENCE = 60.0  # s after which the waiting end of a connection closes it
AFTERMATH = (120.0, 500.0, 1000.0, 4000.0)  # s after the last message: the device still lives
BEFORE = 600.0  # s from an earlier session to the run
PAUSE = 5.0  # s from what was before to the run
REPEATS = (2.0, 4.0)


class Capture(NamedTuple):
    pcap: bytes
    keys: dict[str, str]  # file name -> text
    site: str


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


class _Stage(Mobile, Documents, Transfers):
    def run(self, acts: tuple[Act, ...]) -> None:
        self.acts = acts
        if (
            self.world.tunnel
            and not any(act.protocol == "ike" for act in acts)
            and not any(a.protocol == "ike" for a in self.plan.acts)
        ):
            self._prelude()
        self._acquaint()
        if acts and acts[0].protocol in ("tcp", "http") and acts[0].dst == self.world.device:
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

    def _acquaint(self) -> None:
        """Hosts that a tap need not reach are heard of before the run: they keep in touch as their protocols do."""
        away = {role.name for role in self.plan.rule.roles if role.perhaps_unseen}
        met: set[tuple[str, tuple[str, str]]] = set()
        for act in self.plan.acts:
            keeps = _KEEPS_IN_TOUCH.get(act.protocol)
            if keeps is None or not away & {act.src, act.dst} or (act.protocol, self.parties(act)) in met:
                continue
            if self.world.device in (act.src, act.dst) and act.protocol not in RELAYED:
                continue
            met.add((act.protocol, self.parties(act)))
            keeps(self, act)
        if met:
            self.net.wait(PAUSE)

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
        web = self.webs.get(self.hosts(act))
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
        if any(role.perhaps_unseen for role in self.plan.rule.roles):
            self._look_up_the_clock()
        for seconds in AFTERMATH:
            self.net.now = last + int(seconds * 1e9)
            question = bytes((0x23,)) + bytes(47)
            self.net.udp((OUTER, 123), (CLOCK_SERVER, 123), question)
            self.net.udp((CLOCK_SERVER, 123), (OUTER, 123), bytes((0x24, 1)) + bytes(46))

    def _look_up_the_clock(self) -> None:
        """So the device's own address is heard of, whatever else it does not do."""
        self.net.wait(PATIENCE)
        ends, number = ((OUTER, 49153), (RESOLVER, 53)), self.net.random.getrandbits(16)
        self.net.udp(*ends, dns.query(number, CLOCK))
        self.net.udp(*reversed(ends), dns.response(number, CLOCK, "NOERROR", (CLOCK_SERVER,)))

    def address_change(self, act: Act) -> None:
        """In touch with its ACS from one inner address, the device is given another in a new tunnel."""
        self._make_known()
        self.inner = act.content["spellings"]
        self._prelude()


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
    "xml.request": _Stage.document_request,
    "xml.response": _Stage.document_response,
    "coap.request": _Stage.coap_request,
    "coap.response": _Stage.coap_response,
    "coap.empty": _Stage.coap_empty,
    "omacp.bootstrap": _Stage.bootstrap,
    "syncml.bootstrap": _Stage.bootstrap,
    "syncml": _Stage.dm,
    "emm": _Stage.nas,
    "gmm": _Stage.nas,
    "diameter.AIR": _Stage.diameter,
    "diameter.AIA": _Stage.diameter,
    "map": _Stage.map,
    "gtpv2": _Stage.gtp,
    "gtp": _Stage.gtp,
    "ftp.command": _Stage.ftp_command,
    "ftp.reply": _Stage.ftp_reply,
    "ftp.data": _Stage.ftp_data,
    "ssh.version": _Stage.ssh_version,
    "ssh.kexinit": _Stage.ssh_kexinit,
    "ssh.newkeys": _Stage.ssh_newkeys,
    "ssh.disconnect": _Stage.ssh_disconnect,
    "device.address_change": _Stage.address_change,
    "sctp.init": _Stage.sctp_init,
    "sctp.init_ack": _Stage.sctp_init_ack,
    "sctp.abort": _Stage.sctp_abort,
    "hnbap": _Stage.application,
    "s1ap": _Stage.application,
}


_KEEPS_IN_TOUCH: dict[str, Callable[[_Stage, Act], object]] = {
    "emm": _Stage.joined,
    "gmm": _Stage.joined,
    "map": _Stage.joined,
    "diameter": _Stage.peering,
    "gtpv2": _Stage.echo,
    "gtp": _Stage.echo,
    "json": _Stage.greet,
    "xml": _Stage.greet,
}


def encodable(kind: str) -> bool:
    return kind in _MAKERS or kind.partition(".")[0] in _MAKERS
