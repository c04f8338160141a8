"""The parts of a run that are documents: JSON and XML by HTTP or CoAP, OMA bootstraps, OMA DM sessions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .cast import Web, needed
from .plan import Act
from .streams import Streams
from .wire import coap, cwmp, oma

TYPES = {"json": "application/json", "xml": "application/xml"}
FORMS = {"json": coap.JSON, "xml": coap.XML}
ACCEPTED = 202  # the answer comes in a message of its own
DM_PATH, BOOTSTRAP_PATH = "/dm", "/bootstrap"


class Documents(Streams):
    # ---------------------------------------------------------------------------------------------- JSON and XML

    def document_request(self, act: Act) -> None:
        needed(act, "method", "path")
        data = _document(act.protocol, act.content["body"])
        if act.content.get("protocol") == "coap":
            self._ask(act, coap.POST, data)
            if not self._is_answered(act):
                self._say(act, act.step, coap.code("2.04"), b"")
            return
        web = self._ready(self.web(act), act)
        web.waiting = True
        self.asked[act.step] = (*web.tcp.ends, 6)
        content = act.content
        web.tcp.send(
            0, cwmp.http_request(content["method"], content["path"], web.host, data, TYPES[act.protocol])
        )
        if not self._is_answered(act):
            self._respond(web, ACCEPTED, b"")

    def document_response(self, act: Act) -> None:
        needed(act, "status")
        data, status = _document(act.protocol, act.content["body"]), int(act.content["status"])
        if act.content.get("protocol") == "coap":
            self._say(act, act.answers, coap.code(coap.CODES[status]), data)
            return
        web = self.web(act)
        web.waiting = False
        web.tcp.send(1, cwmp.http_response(status, data, TYPES[act.protocol]))

    def _is_answered(self, act: Act) -> bool:
        """Does the rule's run answer it? Where it does not, the message is answered without saying anything."""
        return any(other.answers == act.step for other in self.plan.acts)

    # ---------------------------------------------------------------------------------------------- CoAP

    def _ask(self, act: Act, method: int, data: bytes = b"") -> None:
        random, (client, server) = self.net.random, self.parties(act)
        ends = (self.address(client, act), 49152 + random.randrange(16000)), (self.address(server, act), coap.PORT)
        number, token = random.getrandbits(16), random.randbytes(4)
        path = str(act.content.get("path", BOOTSTRAP_PATH))
        form = FORMS.get(act.protocol, b"") if data else b""
        message = coap.message(coap.CON, number, method, token, path, form, data)
        send = lambda: self.net.udp(*ends, message)  # noqa: E731
        self.asked[act.step], self.again[act.step] = (*ends, 17, number, token), send
        send()

    def _say(self, act: Act, request: str, what: int, data: bytes) -> None:
        client, server, _, number, token = self.asked[request]
        token = token[::-1] if act.astray else token
        form = FORMS.get(act.protocol, b"") if data else b""
        self.net.udp(server, client, coap.message(coap.ACK, number, what, token, "", form, data))

    def coap_request(self, act: Act) -> None:
        self._ask(act, coap.GET)

    def coap_response(self, act: Act) -> None:
        self._say(act, act.answers, coap.code(str(act.content.get("code", "2.05"))), b"")

    def coap_empty(self, act: Act) -> None:
        client, server, _, number, _ = self.asked[act.answers]
        self.net.udp(server, client, coap.message(coap.RST, number, coap.EMPTY))

    # ---------------------------------------------------------------------------------------------- OMA

    def bootstrap(self, act: Act) -> None:
        """In the response to a GET, which is sent where the rule does not speak of it."""
        by_dm = act.kind == "syncml.bootstrap"
        body = oma.bootstrap(act.content) if by_dm else oma.connectivity(act.content)
        web = self.asked_for(act, BOOTSTRAP_PATH)
        web.waiting = False
        web.tcp.send(1, cwmp.http_response(200, body, oma.DM if by_dm else oma.CONNECTIVITY))

    def dm(self, act: Act) -> None:
        """A package of a DM session: from the device a request, from the server the response to it."""
        web, name = self.web(act), act.kind.partition(".")[2]
        header = {"cmd_id": "1", "msg_ref": str(web.packages), "cmd_ref": "0", "cmd": "SyncHdr", "status": 200}
        command = [] if name == "message" else [(name, act.content)]
        if act.src != self.world.device:
            self._opened(web, act)
            alert = {"cmd_id": "2", "msg_ref": str(web.packages), "cmd_ref": "1", "cmd": "Alert", "status": 200}
            self._dm_response(web, [("Status", header), ("Status", alert), *command])
            return
        if web.packages:
            if web.waiting:
                self._dm_response(web, [("Status", header)])
            self._dm_request(web, act, [("Status", header), *command])
        else:
            self._opened(web, act)
        self.asked[act.step] = (*web.tcp.ends, 6)
        if not self._is_answered(act):
            self._dm_response(web, [("Status", header | {"msg_ref": str(web.packages)})])

    def _opened(self, web: Web, act: Act) -> None:
        """The device speaks first in a DM session, and has to ask before each answer (OMA-TS-DM_Protocol 8)."""
        if not web.waiting:
            self._dm_request(web, act, [("Alert", {"cmd_id": "1", "alert": 1201}), ("Replace", _DEVICE)])

    def _dm_request(self, web: Web, act: Act, commands: list[tuple[str, Mapping[str, Any]]]) -> None:
        self._ready(web, act).waiting = True
        web.packages += 1
        body = oma.message(commands, str(web.packages), f"http://{web.host}{DM_PATH}", from_device=True)
        web.tcp.send(0, cwmp.http_request("POST", DM_PATH, web.host, body, oma.DM))

    def _dm_response(self, web: Web, commands: list[tuple[str, Mapping[str, Any]]]) -> None:
        web.waiting = False
        body = oma.message(commands, str(max(web.packages, 1)), f"http://{web.host}{DM_PATH}", from_device=False)
        web.tcp.send(1, cwmp.http_response(200, body, oma.DM))


_DEVICE = {"cmd_id": "2", "target": "./DevInfo/DevId", "items.data": oma.DEVICE}


def _document(form: str, body: Mapping[str, Any]) -> bytes:
    if form == "json":
        return json.dumps(body).encode()
    from lxml import etree

    root = etree.Element("message")
    for name, value in body.items():
        for one in value if isinstance(value, list) else [value]:
            etree.SubElement(root, name).text = str(one)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
