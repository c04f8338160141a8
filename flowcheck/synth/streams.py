"""The parts of a run that are TCP connections: TLS, CWMP sessions, HTTP."""

from __future__ import annotations

from .cast import Cast, Web, needed
from .content import DEFAULTS
from .packets import Tcp
from .plan import Act
from .world import Unable
from .wire import cwmp, ssh, tls

WEB_PORT = 7547


class Streams(Cast):
    # ---------------------------------------------------------------------------------------------- connections

    def web(self, act: Act, fresh: bool = False) -> Web:
        """The connection between the act's hosts; one that is closed is opened anew by whoever needs it."""
        hosts = self.hosts(act)
        found = self.webs.get(hosts)
        if found is not None and not found.tcp.closed and not fresh:
            return found
        ends = (hosts[0], 30000 + self.net.random.randrange(30000)), (hosts[1], self._port(act))
        made = Web(Tcp(self.net, *ends), self.world.names.get(self.server(act), hosts[1]))
        self.webs[hosts] = made
        self.all_webs.append(made)
        return made

    def _port(self, act: Act) -> int:
        by_ssh = any(other.protocol == "ssh" and self.hosts(other) == self.hosts(act) for other in self.plan.acts)
        return ssh.PORT if by_ssh else WEB_PORT

    def _ready(self, web: Web, act: Act) -> Web:
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

    def _hello(self, web: Web) -> None:
        web.tcp.open()
        shown = next((a.content["chain"] for a in self.acts if a.kind == "tls.certificate"), web.host)
        web.tls, web.flights = tls.Session(web.host, shown), 1
        web.tcp.raw(0, web.tls.flight(0))

    def _accepted(self, web: Web) -> None:
        web.flights = 2
        web.tcp.raw(1, web.tls.flight(1))

    def _secured(self, web: Web) -> None:
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
        if act.answers not in self.asked:
            raise Unable("a port is closed to what opens a connection, or to a datagram")
        self.net.unreachable(*self.asked[act.answers][:3])

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

    def _introduce(self, web: Web, act: Act) -> None:
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

    def _post(self, web: Web, body: bytes) -> None:
        web.waiting = True
        web.tcp.send(0, cwmp.http_request("POST", "/acs", web.host, body))

    def _respond(self, web: Web, status: int, body: bytes) -> None:
        web.waiting, web.inform = False, ""
        web.tcp.send(1, cwmp.http_response(status, body))

    def _accept_inform(self, web: Web) -> None:
        """The InformResponse of a rule that does not speak of it."""
        self._respond(web, 200, cwmp.envelope("InformResponse", web.inform, {"MaxEnvelopes": 1}))

    def _end_session(self, web: Web) -> None:
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
        needed(act, "method", "path")
        self.asked[act.step] = (*web.tcp.ends, 6)
        web.tcp.send(
            0, cwmp.http_request(content["method"], content["path"], web.host, body, "application/octet-stream")
        )

    def http_response(self, act: Act) -> None:
        content, web = act.content, self.web(act)
        needed(act, "status")
        if not web.cwmp:
            self.asked_for(act, "/")
        web.waiting = web.cwmp = False
        body = b"x" * int(content.get("body_length") or 0) if content.get("content_length") != 0 else b""
        form = str(content.get("content_type", "application/octet-stream"))
        web.tcp.send(1, cwmp.http_response(int(content["status"]), body, form))

    def greet(self, act: Act) -> None:
        """A GET of nothing in particular, on a connection of its own."""
        web = self.asked_for(act, "/")
        self._respond(web, 204, b"")
        web.tcp.close(0)

    def asked_for(self, act: Act, path: str) -> Web:
        """The connection on which the act answers a request; a GET where nobody asked yet."""
        web = self.web(act)
        if not web.waiting:
            self._ready(web, act).waiting = True
            web.tcp.send(0, cwmp.http_request("GET", path, web.host, b""))
        return web
