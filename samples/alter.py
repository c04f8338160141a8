#!/usr/bin/env python3
"""Makes the samples marked *altered* out of recorded ones, each by one change.

    samples/alter.py            writes them all again, byte for byte the same

The recorded inner capture is read frame by frame. A message inside TCP may be replaced by a longer or shorter one: the
lengths, the sequence and acknowledgement numbers that follow it on its connection, and the checksums are put right, so
that nothing but the message itself differs. An outer capture that goes with an altered inner one keeps IKE and DNS and
loses its ESP frames, which would still show what was recorded.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from scapy.layers.dns import DNS
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import PcapWriter, rdpcap

HERE = Path(__file__).parent
FAULT = """<SOAP-ENV:Fault><faultcode>{side}</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>\
<FaultCode>{code}</FaultCode><FaultString>{text}</FaultString></cwmp:Fault></detail></SOAP-ENV:Fault>"""

PARAMETER_FAULT = FAULT.replace("</cwmp:Fault>", "<SetParameterValuesFault><ParameterName>{name}</ParameterName><FaultCode>{code}</FaultCode>\
<FaultString>{text}</FaultString></SetParameterValuesFault></cwmp:Fault>").replace(
    "<FaultCode>{code}</FaultCode><FaultString>{text}", "<FaultCode>9003</FaultCode><FaultString>Invalid arguments",
    1).replace("{side}", "Client")
ATTRIBUTES = """<cwmp:SetParameterAttributes><ParameterList soap-enc:arrayType="cwmp:SetParameterAttributesStruct[1]">\
<SetParameterAttributesStruct><Name>Device.FaultMgmt.QueuedEvent.</Name><NotificationChange>true</NotificationChange>\
<Notification>1</Notification><AccessListChange>false</AccessListChange><AccessList soap-enc:arrayType="xsd:string[0]"/>\
</SetParameterAttributesStruct></ParameterList></cwmp:SetParameterAttributes>"""
THROTTLE = """<cwmp:SetParameterValues><ParameterList soap-enc:arrayType="cwmp:ParameterValueStruct[1]"><ParameterValueStruct>\
<Name>Device.ManagementServer.DefaultActiveNotificationThrottle</Name><Value xsi:type="xsd:unsignedInt">60</Value>\
</ParameterValueStruct></ParameterList><ParameterKey></ParameterKey></cwmp:SetParameterValues>"""
TABLE = """<cwmp:GetParameterValues><ParameterNames soap-enc:arrayType="xsd:string[1]">\
<string>Device.FaultMgmt.SupportedAlarm.</string></ParameterNames></cwmp:GetParameterValues>"""
ALARMS = (("Communications Alarm", "Loss Of Signal", "Iuh SCTP association lost", "Critical", "2 Logged"),
          ("Communications Alarm", "Loss Of Signal", "S1 SCTP association lost", "Critical", "0 Expedited"),
          ("Equipment Alarm", "High Temperature", "", "*", "0 Expedited"))
COLUMNS = ("EventType", "ProbableCause", "SpecificProblem", "PerceivedSeverity", "ReportingMechanism")


class Capture:
    """The frames of one inner capture, and the changes made to its TCP streams."""

    def __init__(self, path: Path):
        self.frames = list(rdpcap(str(path)))
        # direction -> (sequence number, octets more)
        self.shifts: dict[tuple, list[tuple[int, int]]] = defaultdict(list)

    def payload(self, index: int) -> bytes:
        frame = self.frames[index]
        return bytes(frame[TCP].payload) if TCP in frame else b""

    def find(self, needle: bytes, start: int = 0) -> int:
        """Index of the first frame that carries these octets in TCP."""
        return next(i for i in range(start, len(self.frames)) if needle in self.payload(i))

    def put(self, index: int, payload: bytes) -> None:
        """Another payload for a frame; what follows on the connection moves along."""
        frame = self.frames[index]
        old = self.payload(index)
        self.shifts[_direction(frame)].append((frame[TCP].seq + len(old), len(payload) - len(old)))
        frame[TCP].remove_payload()
        frame[TCP].add_payload(Raw(payload))

    def replace(self, index: int, old: bytes, new: bytes) -> None:
        """Other octets in the body that a frame carries, with the Content-Length of its HTTP message."""
        self.put(index, _once(self.payload(index), old, new))
        if len(new) != len(old):
            self.lengthen(index, len(new) - len(old))

    def lengthen(self, index: int, more: int) -> None:
        """Puts right the Content-Length of the message whose body ends in this frame."""
        way = _direction(self.frames[index])
        head = next(i for i in range(index, -1, -1) if _direction(self.frames[i]) == way
                    and re.search(rb"(?i)content-length: *\d+", self.payload(i)))
        length = re.compile(rb"(?i)(content-length: *)(\d+)")
        found = length.search(self.payload(head))
        self.put(head, length.sub(found[1] + str(int(found[2]) + more).encode(), self.payload(head), count=1))

    def say_instead(self, needle: bytes, body: str, start: int = 0) -> None:
        """Another SOAP body in the message that holds `needle`."""
        index = self.find(needle, start)
        payload = self.payload(index)
        found = re.search(rb"<([\w-]+):Body[^>]*>(.*)</\1:Body>", payload, re.DOTALL)
        self.replace(index, found[2], body.replace("SOAP-ENV", found[1].decode()).encode())

    def cut(self, index: int) -> None:
        """Nothing from this frame on."""
        del self.frames[index:]

    def reset(self, index: int) -> None:
        """The side that was to speak resets the connection after this frame, and nothing follows."""
        frame = self.frames[index]
        answer = IP(src=frame[IP].dst, dst=frame[IP].src, ttl=64) / TCP(
            sport=frame[TCP].dport, dport=frame[TCP].sport, seq=frame[TCP].ack, flags="R", window=0)
        answer.time = frame.time + 5
        self.frames = [*self.frames[:index + 1], answer]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with PcapWriter(str(path), linktype=101, sync=True, nano=False) as out:       # LINKTYPE_RAW
            for frame in self.frames:
                self._moved(frame)
                out.write(frame)

    def _moved(self, frame) -> None:
        if TCP in frame:
            way = _direction(frame)
            frame[TCP].seq += sum(more for at, more in self.shifts[way] if frame[TCP].seq >= at)
            frame[TCP].ack += sum(more for at, more in self.shifts[way[::-1]] if frame[TCP].ack >= at)
            del frame[TCP].chksum
        elif UDP in frame:
            del frame[UDP].chksum
        if IP in frame:
            del frame[IP].chksum
            del frame[IP].len


def _direction(frame) -> tuple:
    return (frame[IP].src, frame[TCP].sport), (frame[IP].dst, frame[TCP].dport)


def _once(text: bytes, old: bytes, new: bytes) -> bytes:
    if text.count(old) != 1:
        raise SystemExit(f"{old!r} occurs {text.count(old)} times")
    return text.replace(old, new)


def ike_only(source: Path, target: Path) -> None:
    """The outer capture without ESP: in UDP 4500 what does not begin with the four zero octets of IKE (RFC 3948 2.2)."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with PcapWriter(str(target), sync=True) as out:
        for frame in rdpcap(str(source)):
            if UDP in frame and 4500 in (frame[UDP].sport,
                                         frame[UDP].dport) and not bytes(frame[UDP].payload).startswith(bytes(4)):
                continue
            out.write(frame)


def without_connection(source: Path, target: Path, needle: bytes) -> None:
    """The capture without the TCP connection that carries these octets."""
    frames = rdpcap(str(source))
    gone = {frozenset(_direction(f)) for f in frames if TCP in f and needle in bytes(f[TCP].payload)}
    target.parent.mkdir(parents=True, exist_ok=True)
    with PcapWriter(str(target), sync=True) as out:
        for frame in frames:
            if TCP not in frame or frozenset(_direction(frame)) not in gone:
                out.write(frame)


def _next_end(capture: Capture, start: int) -> int:
    """Index of the next frame that closes a TCP connection."""
    return next(i for i in range(start, len(capture.frames)) if TCP in capture.frames[i]
                and "F" in capture.frames[i][TCP].flags)


def beside(source: str, target: str) -> tuple[Capture, Path]:
    """The inner capture of one sample, and the folder of another, which gets its profile, IKE keys and IKE frames."""
    origin, folder = HERE / source, HERE / target
    ike_only(origin / "hnb_outer.pcap", folder / "hnb_ike.pcap")
    (folder / "site.yaml").write_bytes((origin / "site.yaml").read_bytes())
    (folder / "keys").mkdir(exist_ok=True)
    (folder / "keys" / "ikev2_decryption_table").write_bytes((origin / "keys" / "ikev2_decryption_table").read_bytes())
    return Capture(origin / "hnb_inner.pcap"), folder / "hnb_inner.pcap"


def address_changes() -> None:
    for source, old, wrong, target in (
            ("ts32.583/5.2.2/pass", b">10.63.7.1<", b">10.62.0.1<", "ts32.583/5.2.2/old-address"),
            ("ts32.593/5.2.4/pass", b">10.121.200.1<", b">10.121.200.7<", "ts32.593/5.2.4/wrong-address")):
        inner, path = beside(source, target)
        inner.replace(inner.find(old), old, wrong)
        inner.write(path)

    inner, path = beside("ts32.583/5.2.2/pass", "ts32.583/5.2.2/inform-fault")
    inform = inner.find(b"4 VALUE CHANGE")
    inner.say_instead(b"InformResponse", FAULT.format(side="Server", code=8002, text="Internal error"), inform)
    inner.write(path)

    inner, path = beside("ts32.583/5.2.2/pass", "ts32.583/5.2.2/not-notified")
    first = next(i for i, frame in enumerate(inner.frames) if frame[IP].src == "10.63.7.1")
    lookup = inner.frames[first:first + 4]                 # A and AAAA with their answers
    inner.cut(first + 4)
    for frame in lookup:                                   # and the same again, 45 s later
        again = frame.copy()
        again.time = frame.time + 45
        again[UDP].payload[DNS].id ^= 0x5555
        inner.frames.append(again)
    inner.write(path)


def registration() -> None:
    inner, path = beside("ts32.583/5.2.1/pass", "ts32.583/5.2.1/inform-fault")
    inner.say_instead(b":InformResponse>", FAULT.format(side="Server", code=8003, text="Invalid arguments"))
    inner.cut(_next_end(inner, inner.find(b"8003")))
    inner.write(path)

    inner, path = beside("ts32.583/5.2.1/pass", "ts32.583/5.2.1/spv-fault")
    inner.say_instead(b":SetParameterValuesResponse>", PARAMETER_FAULT.format(
        name="Device.Services.FAPService.1.FAPControl.UMTS.Gateway.FAPGWServer1", code=9007,
        text="Invalid parameter value"))
    inner.cut(_next_end(inner, inner.find(b"9007")))
    inner.write(path)

    inner, path = beside("ts32.583/5.2.1/pass", "ts32.583/5.2.1/spv-reset")
    inner.reset(inner.find(b":SetParameterValues>"))
    inner.write(path)


def machines() -> None:
    for needle, name in ((b"POST /m2me/register", "not-registered"), (b"POST /provisioning", "not-authorised")):
        source, target = HERE / "tr33.812/5.1.3.7.3.x/pass", HERE / "tr33.812/5.1.3.7.3.x" / name
        without_connection(source / "all.pcap", target / "all.pcap", needle)
        (target / "site.yaml").write_bytes((source / "site.yaml").read_bytes())


def gateways() -> None:
    source, target = HERE / "tr23.700-24/6.x.1.4/pass", HERE / "tr23.700-24/6.x.1.4/third-of-three-unanswered"
    frames = rdpcap(str(source / "gw_north.pcap"))
    last = next(i for i in reversed(range(len(frames))) if TCP in frames[i] and frames[i][TCP].dport == 443
                and len(frames[i]) > 200)
    (target / "keys").mkdir(parents=True, exist_ok=True)
    with PcapWriter(str(target / "gw_north.pcap"), sync=True) as out:
        for frame in [*frames[:last + 1], _reset_by_the_other(frames[last])]:
            out.write(frame)
    for name in ("gw_south.pcap", "site.yaml", "keys/tls_keylog.txt"):
        (target / name).write_bytes((source / name).read_bytes())


def _reset_by_the_other(frame):
    """The receiver of a frame resets the connection, five seconds later."""
    answer = Ether(src=frame[Ether].dst, dst=frame[Ether].src) / IP(src=frame[IP].dst, dst=frame[IP].src, ttl=64) / TCP(
        sport=frame[TCP].dport, dport=frame[TCP].sport, seq=frame[TCP].ack, flags="R", window=0)
    answer.time = frame.time + 5
    return answer


def downloads() -> None:
    inner, path = beside("ts32.583/5.3.1/pass-http", "ts32.583/5.3.1/another-command-key")
    index = inner.find(b":TransferComplete>")
    inner.replace(index, b"<CommandKey>cm-77</CommandKey>", b"<CommandKey>cm-12</CommandKey>")
    inner.write(path)

    inner, path = beside("ts32.583/5.3.1/file-not-found", "ts32.583/5.3.1/success-without-file")
    index = inner.find(b":TransferComplete>")
    inner.replace(index, b"<FaultCode>9016</FaultCode>", b"<FaultCode>0</FaultCode>")
    inner.write(path)

    inner, path = beside("ts32.583/5.3.1/pass-http", "ts32.583/5.3.1/order-refused")
    inner.say_instead(b":DownloadResponse>", FAULT.format(side="Server", code=9013, text="Unsupported protocol"))
    end = next(i for i in range(inner.find(b"9013"), len(inner.frames)) if TCP in inner.frames[i]
               and "F" in inner.frames[i][TCP].flags)
    inner.cut(end)
    inner.write(path)


def parameters() -> None:
    inner, path = beside("ts32.583/5.3.2/pass", "ts32.583/5.3.2/spv-reset")
    inner.reset(inner.find(b":SetParameterValues></"))
    inner.write(path)

    inner, path = beside("ts32.583/5.3.2/pass", "ts32.583/5.3.2/unknown-status")
    index = inner.find(b":SetParameterValuesResponse>")
    inner.replace(index, b"<Status>0</Status>", b"<Status>7</Status>")
    inner.write(path)

    inner, path = beside("ts32.583/5.3.2/pass", "ts32.583/5.3.2/spv-denied")
    inner.say_instead(b":SetParameterValuesResponse>", FAULT.format(side="Server", code=9001, text="Request denied"))
    inner.write(path)


def deprovisioning() -> None:
    inner, path = beside("ts32.583/5.4-factory-reset/pass", "ts32.583/5.4-factory-reset/reset-denied")
    inner.say_instead(b"FactoryResetResponse", FAULT.format(side="Server", code=9001, text="Request denied"))
    inner.write(path)

    inner, path = beside("ts32.583/5.4-set-parameters/pass", "ts32.583/5.4-set-parameters/not-writable")
    inner.say_instead(b":SetParameterValuesResponse>", PARAMETER_FAULT.format(
        name="Device.Services.FAPService.1.FAPControl.UMTS.Gateway.SecGWServer1", code=9008,
        text="Non-writable parameter"))
    inner.write(path)

    inner, path = beside("ts32.583/5.4-set-parameters/pass", "ts32.583/5.4-set-parameters/spv-reset")
    inner.reset(inner.find(b":SetParameterValues></"))
    inner.write(path)


def alarms() -> None:
    inner, path = beside("ts32.583/5.5.1/pass", "ts32.583/5.5.1/invalid-value")
    inner.say_instead(b":SetParameterValuesResponse>", PARAMETER_FAULT.format(
        name="Device.FaultMgmt.SupportedAlarm.2.ReportingMechanism", code=9007, text="Invalid parameter value"))
    inner.write(path)

    inner, path = beside("ts32.583/5.5.1/pass", "ts32.583/5.5.1/spv-reset")
    inner.reset(inner.find(b":SetParameterValues></"))
    inner.write(path)

    inner, path = beside("ts32.583/5.5.1/pass", "ts32.583/5.5.1/unknown-status")
    inner.replace(inner.find(b":SetParameterValuesResponse>"), b"<Status>0</Status>", b"<Status>7</Status>")
    inner.write(path)

    inner, path = beside("ts32.583/5.5.2/pass", "ts32.583/5.5.2/inform-fault")
    inner.say_instead(b"InformResponse", FAULT.format(side="Client", code=8003, text="Invalid arguments"))
    inner.write(path)

    inner, path = beside("ts32.583/5.5.2/pass", "ts32.583/5.5.2/no-value-change")
    inner.replace(inner.find(b"4 VALUE CHANGE"), b"<EventCode>4 VALUE CHANGE<", b"<EventCode>2 PERIODIC<")
    inner.write(path)

    inner, path = beside("ts32.583/5.5.2/pass-queued", "ts32.583/5.5.2/queued-alone")
    index = inner.find(b"2 PERIODIC")
    inner.replace(index, b"EventStruct[2]", b"EventStruct[1]")
    inner.replace(index, b"<EventStruct><EventCode>2 PERIODIC</EventCode><CommandKey></CommandKey></EventStruct>", b"")
    inner.write(path)

    inner, path = beside("ts32.583/5.5.1/pass", "ts32.583/5.5.2/queued-passive")
    inner.say_instead(b":SetParameterValues></", ATTRIBUTES)
    inner.say_instead(b":SetParameterValuesResponse>", "<cwmp:SetParameterAttributesResponse/>")
    inner.write(path)


    cells = [(f"Device.FaultMgmt.SupportedAlarm.{row}.{name}", value)
             for row, values in enumerate(ALARMS, 1) for name, value in zip(COLUMNS, values)]
    structs = "".join(f'<ParameterValueStruct><Name>{name}</Name><Value xsi:type="xsd:string">{value}</Value></ParameterValueStruct>'
                      for name, value in cells)
    inner, path = beside("ts32.583/5.5.1/pass", "ts32.583/5.5.2/alarm-table")
    inner.say_instead(b":SetParameterValues></", TABLE)
    inner.say_instead(b":SetParameterValuesResponse>", f"""<cwmp:GetParameterValuesResponse><ParameterList \
soap-enc:arrayType="cwmp:ParameterValueStruct[{len(cells)}]">{structs}</ParameterList></cwmp:GetParameterValuesResponse>""")
    inner.write(path)

    inner, path = beside("ts32.583/5.5.1/pass", "ts32.583/5.5.2/throttle")
    inner.say_instead(b":SetParameterValues></", THROTTLE)
    inner.write(path)

    inner, path = beside("ts32.583/5.5.2/pass", "ts32.583/5.5.2/after-the-table")
    inner.replace(inner.find(b"2026-11-20T22:05:11Z"), b"2026-11-20T22:05:11Z", b"2026-11-20T22:46:25Z")
    inner.write(path)


def performance_files() -> None:
    inner, path = beside("ts32.583/5.6.1/pass", "ts32.583/5.6.1/invalid-value")
    inner.say_instead(b":SetParameterValuesResponse>", PARAMETER_FAULT.format(
        name="Device.FAP.PerfMgmt.Config.1.PeriodicUploadInterval", code=9007, text="Invalid parameter value"))
    inner.write(path)

    inner, path = beside("ts32.583/5.6.1/pass", "ts32.583/5.6.1/spv-reset")
    inner.reset(inner.find(b":SetParameterValues></"))
    inner.write(path)

    inner, path = beside("ts32.583/5.6.1/upload-while-off", "ts32.583/5.6.1/switched-off-later")
    response = inner.find(b":SetParameterValuesResponse>",
                          inner.find(b"Config.1.Enable</Name><Value xsi:type=\"xsd:boolean\">0<"))
    inner.replace(response, b"<Status>0</Status>", b"<Status>1</Status>")
    inner.write(path)

    inner, path = beside("ts32.583/5.6.1/upload-while-off", "ts32.583/5.6.1/upload-missed")
    inner.cut(inner.find(b"Config.1.Enable</Name><Value xsi:type=\"xsd:boolean\">0<"))
    last = max(i for i in range(len(inner.frames)) if b"<EventCode>" in inner.payload(i))
    opened = max(i for i in range(last) if TCP in inner.frames[i] and inner.frames[i][TCP].flags == "S")
    # the next session comes 20 minutes later, and no upload before it
    for frame in inner.frames[opened:]:
        frame.time += 1200
    inner.write(path)

    inner, path = beside("ts32.583/5.6.2/pass-http-put", "ts32.583/5.6.2/put-no-space")
    index = inner.find(b"HTTP/1.1 201 Created")
    inner.put(index, _once(inner.payload(index), b"201 Created", b"507 Insufficient Storage"))
    inner.write(path)

    inner, path = beside("ts32.583/5.6.2/pass-http-put", "ts32.583/5.6.2/put-unauthorised")
    index = inner.find(b"HTTP/1.1 201 Created")
    inner.put(index, _once(inner.payload(index), b"201 Created", b"401 Unauthorized"))
    inner.write(path)

    inner, path = beside("ts32.583/5.6.2/pass-ftp", "ts32.583/5.6.2/store-no-space")
    inner.put(inner.find(b"226 Transfer"), b"552 Exceeded storage allocation.\r\n")
    inner.write(path)


if __name__ == "__main__":
    address_changes()
    registration()
    machines()
    gateways()
    downloads()
    parameters()
    deprovisioning()
    alarms()
    performance_files()
