"""A small network to play bring-ups in, message by message: those that no rule's own run shows, because they go wrong, or
right, in a way of their own. Packets come from flowcheck's synthesiser; `Lab` says who speaks to whom.

    lab = Lab(); lab.tunnel("segw_initial"); lab.session("hms_initial", lab.serving())
"""

from __future__ import annotations

import struct
from datetime import datetime, timezone
from pathlib import Path

from flowcheck.check import check
from flowcheck.synth.packets import ACK, RST, UDP, Net, Tcp, Tunnel, datagram
from flowcheck.synth.wire import cwmp, dns, ike, radio, sctp, tls

OUTER = "198.51.100.21"
ROLES = ("segw_initial", "segw_serving", "hms_initial", "hms_serving", "hnb_gw", "hnb_gw2", "mme", "mme2")
# names that say what a host is, and names that do not
TELLING = dict(zip(ROLES, ("segw-init", "segw-serv", "hms-init", "hms-serv", "hnbgw1", "hnbgw2", "mme1", "mme2")))
PLAIN = dict(zip(ROLES, ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")))
HOSTS = {"dns_outer": "192.0.2.53", "dns_outer2": "192.0.2.54", "dns_inner": "10.50.0.53", "hms_public": "192.0.2.80",
         "segw_initial": "203.0.113.10", "segw_serving": "203.0.113.18", "hms_initial": "10.50.0.10",
         "hms_serving": "10.50.0.20", "hnb_gw": "10.50.0.40", "hnb_gw2": "10.50.0.41", "mme": "10.50.0.50",
         "mme2": "10.50.0.51"}
SERVICE = "Device.Services.FAPService.1."
LOCATION = {"Device.FAP.GPS.LockedLatitude": "48123456", "Device.FAP.GPS.LockedLongitude": "11123456"}
STATUS = {"COOKIE": 16390, "REDIRECT": 16407}


class Wire(Net):
    """ESP in UDP 4500, as behind a NAT, and a tap inside the tunnel."""

    def __init__(self) -> None:
        super().__init__(1)
        self.inside: list[tuple[int, bytes]] = []

    def send(self, src: str, dst: str, protocol: int, payload: bytes) -> None:
        tunnel = next((t for t in reversed(self.tunnels) if t.inner in (src, dst)), None)
        if tunnel is None:
            return super().send(src, dst, protocol, payload)
        packet = datagram(src, dst, protocol, payload, 1)
        self.inside.append((self.now, packet))
        ends, up = (tunnel.device, tunnel.gateway), src == tunnel.inner
        sealed = tunnel.seal(packet, up, self.random)
        super().send(*(ends if up else ends[::-1]), UDP, struct.pack("!HHHH", 4500, 4500, 8 + len(sealed), 0) + sealed)


class Lab:
    def __init__(self, lte: bool = False, names: dict[str, str] = TELLING):
        self.net, self.radio, self.inner, self.number = Wire(), "LTE" if lte else "UMTS", "", 0
        self.name = {role: f"{first}.operator.example" for role, first in names.items()}
        self.sas: list[ike.Association] = []
        self.webs: list[Web] = []
        self.tunnels: list[Tunnel] = []

    def wait(self, seconds: float) -> None:
        self.net.wait(seconds)

    # ------------------------------------------------------------------------------------------------ DNS

    def look_up(self, role: str, rcode: str = "NOERROR", addresses: tuple[str, ...] | None = None,
                server: str | None = None, answered: bool = True) -> None:
        """Through the tunnel where there is one, unless a server is named."""
        inside = bool(self.inner) and server is None
        number = self.net.random.getrandbits(15)
        ends = ((self.inner if inside else OUTER, 20000 + number),
                (HOSTS[server or ("dns_inner" if inside else "dns_outer")], 53))
        self.net.udp(*ends, dns.query(number, self.name[role]))
        if answered:
            found = (HOSTS[role],) if addresses is None else addresses
            given = found if rcode == "NOERROR" else ()
            self.net.udp(*reversed(ends), dns.response(number, self.name[role], rcode, given))

    # ------------------------------------------------------------------------------------------------ IKE

    def _ike(self, gateway: str, message: bytes, up: bool, port: int = 4500) -> None:
        ends = (OUTER, port), (HOSTS.get(gateway, gateway), port)
        self.net.udp(*(ends if up else ends[::-1]), (bytes(4) if port == 4500 else b"") + message)

    def sa_init(self, gateway: str, again: bool = False) -> None:
        if not again:
            self.sas.append(ike.Association(self.net.random))
        payloads = [ike.proposal(1), *ike.key_exchange(self.net.random)]
        self._ike(gateway, self.sas[-1].clear(ike.SA_INIT, 0, False, payloads, responder=False), True, 500)

    def sa_init_answer(self, gateway: str, notify: tuple[str, bytes] | None = None) -> None:
        payloads = [noted(*notify)] if notify else [ike.proposal(1), *ike.key_exchange(self.net.random)]
        self._ike(gateway, self.sas[-1].clear(ike.SA_INIT, 0, True, payloads, responder=not notify), False, 500)

    def auth(self, gateway: str, *payloads: ike.Payload) -> None:
        """The next IKE_AUTH request: the first one, or these payloads."""
        sa = self.sas[-1]
        sa.round += 1
        everywhere = [ike.selectors(kind, "0.0.0.0", "255.255.255.255") for kind in (ike.TSI, ike.TSR)]
        first = [ike.identity(ike.IDI, "001122-SY0000001@operator.example"), ike.authentication(self.net.random),
                 ike.address_request(), ike.proposal(3, b"\0\0\0\1"), *everywhere]
        self._ike(gateway, sa.sealed(ike.AUTH, sa.round, True, False, list(payloads) or first), True)

    def auth_answer(self, gateway: str, *payloads: ike.Payload, inner: str = "10.61.0.1") -> None:
        """The answer that sets up the tunnel, or these payloads."""
        random, sa = self.net.random, self.sas[-1]
        if not payloads:
            spis = (random.getrandbits(32) | 0x1000, random.getrandbits(32) | 0x1000)
            name = self.name.get(gateway, "segw.operator.example")
            payloads = (ike.identity(ike.IDR, name), ike.certificate(tls.certificate(name)[0]),
                        ike.authentication(random), ike.address_given(inner, HOSTS["dns_inner"]),
                        ike.proposal(3, spis[0].to_bytes(4, "big")),
                        ike.selectors(ike.TSI, inner, inner), ike.selectors(ike.TSR, "0.0.0.0", "255.255.255.255"))
            keys = [(random.randbytes(32), random.randbytes(32)) for _ in range(2)]
            self.tunnels.append(Tunnel(OUTER, HOSTS.get(gateway, gateway), inner, spis, *keys))
            self.net.tunnels.append(self.tunnels[-1])
            self.inner = inner
        self._ike(gateway, sa.sealed(ike.AUTH, sa.round, False, True, list(payloads)), False)

    def informational(self, gateway: str, *payloads: ike.Payload, up: bool = True) -> None:
        sa = self.sas[-1]
        number = sa.round + 1 if up else 0
        self._ike(gateway, sa.sealed(ike.INFORMATIONAL, number, up, False, list(payloads)), up)
        self._ike(gateway, sa.sealed(ike.INFORMATIONAL, number, not up, True, []), not up)

    def tunnel(self, gateway: str, inner: str = "10.61.0.1", looked_up: bool = True) -> None:
        if looked_up:
            self.look_up(gateway, server="dns_outer")
        self.sa_init(gateway)
        self.sa_init_answer(gateway)
        self.auth(gateway)
        self.auth_answer(gateway, inner=inner)

    def delete(self, gateway: str) -> None:
        self.informational(gateway, ike.delete_ike())
        self.net.tunnels.clear()
        self.inner = ""
        self.wait(1)

    # ------------------------------------------------------------------------------------------------ CWMP

    def web(self, role: str, host: str = "", port: int = 7547, opened: bool = True) -> Web:
        made = Web(self, self.inner or OUTER, HOSTS[role], self.name[host or role], port)
        self.webs.append(made)
        if opened:
            made.tcp.open()
        return made

    def session(self, role: str, values: dict[str, str], events: str = "0 BOOTSTRAP") -> None:
        self.web(role).session(values, events)

    def serving(self, segw: str = "segw_serving", hms: str = "hms_serving", gateway: str = "hnb_gw") -> dict[str, str]:
        given = {f"{SERVICE}FAPControl.{self.radio}.Gateway.SecGWServer1": self.name[segw],
                 "Device.ManagementServer.URL": f"http://{self.name[hms]}:7547/acs"}
        return {**given, **self.gateways(gateway)} if gateway else given

    def gateways(self, *roles: str) -> dict[str, str]:
        return {f"{SERVICE}FAPControl.UMTS.Gateway.FAPGWServer{n}": self.name[r] for n, r in enumerate(roles, 1)}

    def configuration(self, *gateways: str) -> dict[str, str]:
        values = {f"{SERVICE}CellConfig.{self.radio}.RAN.CellID": "17", **self.gateways(*gateways)}
        if self.radio == "LTE":
            values[f"{SERVICE}FAPControl.LTE.Gateway.S1SigLinkServerList"] = HOSTS["mme"]
        return values

    # ------------------------------------------------------------------------------------------------ SCTP

    def link(self, role: str) -> sctp.Association:
        made = sctp.Association(self.net, (self.inner, 29169), (HOSTS[role], 36412 if self.radio == "LTE" else 29169))
        made.open()
        return made

    def register(self, role: str = "hnb_gw", answer: str = "HNBRegisterAccept",
                 link: sctp.Association | None = None) -> None:
        if link is None:
            self.look_up(role)
            link = self.link(role)
        link.send(0, 20, radio.message("hnbap.HNBRegisterRequest", {}))
        link.send(1, 20, radio.message(f"hnbap.{answer}", {}))

    def set_up_s1(self, link: sctp.Association, answer: str = "S1SetupResponse") -> None:
        link.send(0, 18, radio.message("s1ap.S1SetupRequest", {"Global-ENB-ID": "1"}))
        link.send(1, 18, radio.message(f"s1ap.{answer}", {}))

    # ------------------------------------------------------------------------------------------------ whole parts

    def discover(self, **assigned: str) -> None:
        self.tunnel("segw_initial")
        self.look_up("hms_initial")
        self.session("hms_initial", self.serving(**assigned))
        self.delete("segw_initial")

    def configure(self, *gateways: str, inner: str = "10.62.0.1") -> None:
        self.tunnel("segw_serving", inner)
        self.look_up("hms_serving")
        self.session("hms_serving", self.configuration(*gateways), "1 BOOT")

    # ------------------------------------------------------------------------------------------------ judging

    def judged(self, folder: Path, site: bool = True, keys: bool = True) -> list[tuple[str, str, str, str]]:
        """(clause, verdict, cause, side) of each attempt; the device lives on for a quarter of an hour."""
        for second in (60, 120, 300, 500, 900):
            at, self.net.now = self.net.now, self.net.now + second * 10**9
            self.net.udp((OUTER, 123), ("192.0.2.123", 123), b"\x23" + bytes(47))
            self.net.udp(("192.0.2.123", 123), (OUTER, 123), b"\x24\1" + bytes(46))
            self.net.now = at
        self._write(folder)
        result, _ = check([str(folder / "outer.pcap"), str(folder / "inner.pcap")],
                          site=str(folder / "site.yaml") if site else None,
                          keys=[str(folder / "keys")] if keys and any((folder / "keys").iterdir()) else [])
        return [(a.procedure.partition("-")[2], a.verdict, (a.cause or "").partition("/")[2], a.side or "")
                for device in result.devices for a in device.attempts]

    def _write(self, folder: Path) -> None:
        (folder / "keys").mkdir()
        (folder / "outer.pcap").write_bytes(self.net.pcap())
        self.net.frames = self.net.inside
        (folder / "inner.pcap").write_bytes(self.net.pcap())
        for name, rows in (("ikev2_decryption_table", [sa.table() for sa in self.sas]),
                           ("esp_sa", [tunnel.table() for tunnel in self.tunnels]),
                           ("tls_keylog.txt", [web.tls.secrets() for web in self.webs if web.tls])):
            if rows:
                (folder / "keys" / name).write_text("".join(rows))
        gateway = "mme" if self.radio == "LTE" else "hnb_gw"
        lines = [f"  {role}: {{addresses: [{HOSTS[role]}]}}" for role in ("dns_outer", "dns_inner")]
        lines += [f"  {role}: {{names: [{self.name[role]}], addresses: [{HOSTS[role]}]}}"
                  for role in ("segw_initial", "segw_serving", "hms_serving", gateway)]
        lines.append(f"  hms_initial: {{names: [{self.name['hms_initial']}], "
                     f"addresses: [{HOSTS['hms_initial']}, {HOSTS['hms_public']}]}}")
        (folder / "site.yaml").write_text("\n".join(["site: bringup", "hosts:", *lines, ""]))


class Web:
    """An HTTP connection of the device and what is said on it."""

    def __init__(self, lab: Lab, src: str, dst: str, host: str, port: int):
        self.lab, self.host, self.tls, self.last = lab, host, None, ""
        self.tcp = Tcp(lab.net, (src, 30000 + lab.net.random.randrange(30000)), (dst, port))

    def hello(self) -> None:
        self.tls = tls.Session(self.host, self.host)
        self.flight(0)

    def flight(self, side: int) -> None:
        """The next flight of the TLS handshake from this side."""
        self.tcp.raw(side, self.tls.flight(side))

    def secure(self) -> Web:
        self.hello()
        for side in (1, 0, 1):
            self.flight(side)
        self.tls.flight(0)
        self.tcp.seal = self.tls.seal
        return self

    def alert(self, side: int, description: str) -> None:
        self.tcp.raw(side, tls.alert(description))
        self.tcp.close(side)

    def reset(self, side: int) -> None:
        self.tcp._packet(side, RST | ACK)
        self.tcp.closed = True

    def post(self, body: bytes = b"") -> None:
        self.tcp.send(0, cwmp.http_request("POST", "/acs", self.host, body))

    def reply(self, body: bytes = b"", status: int = 0) -> None:
        self.tcp.send(1, cwmp.http_response(status or (200 if body else 204), body))

    def inform(self, events: str = "0 BOOTSTRAP", **parameters: str) -> None:
        self.lab.number += 1
        self.last = f"i{self.lab.number}"
        now = datetime.fromtimestamp(self.lab.net.now // 10**9, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        told = {"Device.DeviceInfo.SoftwareVersion": "1.0", f"{SERVICE}FAPControl.{self.lab.radio}.OpState": False,
                **LOCATION, **{name.replace("__", "."): value for name, value in parameters.items()}}
        self.post(cwmp.envelope("Inform", self.last, {
            "DeviceId.Manufacturer": "Synth Femto", "DeviceId.OUI": "00193B", "DeviceId.ProductClass": "Femto",
            "DeviceId.SerialNumber": "SY0000001", "Event.EventCode": [events], "CurrentTime": now,
            "ParameterList": told}))

    def informed(self) -> None:
        self.reply(cwmp.envelope("InformResponse", self.last, {"MaxEnvelopes": 1}))

    def set(self, values: dict[str, str], first: bool = True) -> None:
        self.lab.number += 1
        number = f"s{self.lab.number}"
        if first:
            self.post()
        self.reply(cwmp.envelope("SetParameterValues", number, {"ParameterList": values}))
        self.post(cwmp.envelope("SetParameterValuesResponse", number, {"Status": 0}))

    def end(self) -> None:
        self.reply()
        self.tcp.close(0)

    def session(self, values: dict[str, str], events: str = "0 BOOTSTRAP") -> None:
        self.inform(events)
        self.informed()
        self.set(values)
        self.end()


def noted(name: str, data: bytes = b"") -> ike.Payload:
    """A notify payload."""
    number = STATUS.get(name) or ike.NOTIFIES[name]
    return ike.NOTIFY, struct.pack("!BBH", 0, 0, number) + data
