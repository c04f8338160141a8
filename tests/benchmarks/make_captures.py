#!/usr/bin/env python3
"""Captures for benchmarks, with what is true of them beside each (FILE.truth.json). The same seed gives the same bytes.

    make_captures.py control FILE --devices 2000     devices that set up a tunnel and are configured by their manager
    make_captures.py bulk FILE --megabytes 200       the same, a few devices of it in a flood of GTP-U, ESP and downloads
    make_captures.py many FOLDER --files 500         small captures of one to four devices each

Each device has addresses, ports, SPIs and a serial number of its own: an outer address that runs IKE_SA_INIT and a sealed
IKE_AUTH, and an inner one that resolves its HMS and holds a CWMP session of 3GPP TS 32.583 clause 5.3.2. One in twenty
answers SetParameterValues with a fault, one in twenty never answers and resets; `verdicts` in the truth says which.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

START = 1_750_000_000_000_000                     # µs since 1970
SEGMENT = 1368
DNS, HMS, SEGW, FILES, NODE = (IPv4Address(a).packed for a in ("10.50.0.53", "10.50.0.20", "203.0.113.18", "10.50.0.30",
                                                               "198.51.100.77"))
NAME = "hms-serv.oam.mnc015.mcc234.3gppnetwork.org"
SITE = """site: benchmark
hosts:
  dns_inner: {addresses: [10.50.0.53]}
  segw_serving: {names: [segw-serv.femto.mnc015.mcc234.pub.3gppnetwork.org], addresses: [203.0.113.18]}
  hms_serving: {names: [hms-serv.oam.mnc015.mcc234.3gppnetwork.org], addresses: [10.50.0.20]}
"""
PARAMETERS = [f"Device.Services.FAPService.1.{name}" for name in (
    "CellConfig.UMTS.RAN.FDDFAP.RF.UARFCNDL", "CellConfig.UMTS.RAN.FDDFAP.RF.PrimaryScramblingCode",
    "CellConfig.UMTS.CN.LACRAC",
    "CellConfig.UMTS.CN.PLMNID", "CellConfig.UMTS.RAN.FDDFAP.RF.MaxFAPTxPowerExpanded", "REM.WCDMAFDD.ScanPeriod",
    "AccessMgmt.UMTS.AccessMode", "AccessMgmt.UMTS.MaxUEsServed")]

Packet = tuple[int, bytes]                        # µs, octets from the Ethernet header on


# ------------------------------------------------------------------------------------------------- packets

def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) & 1)))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ip(source: bytes, target: bytes, protocol: int, body: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, 64, protocol, 0, source, target)
    ethernet = b"\2\0" + target + b"\2\0" + source + b"\x08\0"
    return ethernet + header[:10] + checksum(header).to_bytes(2, "big") + header[12:] + body


def udp(source: tuple[bytes, int], target: tuple[bytes, int], data: bytes) -> bytes:
    return ip(source[0], target[0], 17, struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0) + data)


class Connection:
    """A TCP connection that yields its packets: `say` sends data one way, acknowledged by the other side."""

    def __init__(self, chance: random.Random, client: tuple[bytes, int], server: tuple[bytes, int]):
        self.chance, self.ends, self.next = chance, (client, server), [chance.getrandbits(32), chance.getrandbits(32)]

    def segment(self, side: int, flags: int, data: bytes = b"") -> bytes:
        (source, sport), (target, dport) = self.ends[side], self.ends[1 - side]
        acknowledged = 0 if flags == 2 else self.next[1 - side] & 0xFFFFFFFF
        header = struct.pack("!HHIIBBHHH", sport, dport, self.next[side] & 0xFFFFFFFF, acknowledged, 0x50, flags,
                             64240, 0, 0)
        self.next[side] += len(data) + bool(flags & 3)
        return ip(source, target, 6, header + data)

    def open(self) -> list[bytes]:
        return [self.segment(0, 2), self.segment(1, 0x12), self.segment(0, 0x10)]

    def say(self, side: int, data: bytes) -> list[bytes]:
        pieces = [self.segment(side, 0x18, data[at:at + SEGMENT]) for at in range(0, len(data), SEGMENT)]
        if len(pieces) > 1 and self.chance.random() < 0.01:
            pieces.insert(1, pieces.pop(0))                    # out of order
        elif self.chance.random() < 0.01:
            pieces.append(pieces[-1])                          # sent again
        return [*pieces, self.segment(1 - side, 0x10)]

    def close(self) -> list[bytes]:
        return [self.segment(0, 0x11), self.segment(1, 0x11), self.segment(0, 0x10)]


# ------------------------------------------------------------------------------------------------- what devices say

def dns(chance: random.Random, source: tuple[bytes, int]) -> list[bytes]:
    question = b"".join(bytes([len(part)]) + part.encode() for part in NAME.split(".")) + b"\0\0\1\0\1"
    number = chance.getrandbits(16)
    answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + HMS
    return [udp(source, (DNS, 53), struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + question),
            udp((DNS, 53), source, struct.pack("!6H", number, 0x8580, 1, 1, 0, 0) + question + answer)]


def ike(chance: random.Random, source: bytes) -> list[bytes]:
    """IKE_SA_INIT in clear (RFC 7296 3.1 to 3.9), IKE_AUTH sealed, the answer in fragments (RFC 7383)."""
    mine, theirs = chance.randbytes(8), chance.randbytes(8)
    transforms = b"".join(struct.pack("!BBHBBH", 0 if last else 3, 0, 8 + len(more), kind, 0, number) + more
                          for last, kind, number, more in (
        (0, 1, 12, b"\x80\x0e\1\0"), (0, 2, 5, b""), (0, 3, 12, b""), (1, 4, 14, b"")))
    association = struct.pack("!BBHBBBB", 0, 0, 8 + len(transforms), 1, 1, 0, 4) + transforms

    def message(response: bool, first: int, exchange: int, number: int, body: bytes) -> bytes:
        spis = mine + (theirs if response or number else bytes(8))
        data = spis + struct.pack("!BBBBII", first, 0x20, exchange, 0x20 if response else 8, number,
                                  28 + len(body)) + body
        ends = ((source, 500), (SEGW, 500))
        return udp(*(ends[::-1] if response else ends), data)

    def payload(following: int, body: bytes) -> bytes:
        return struct.pack("!BBH", following, 0, 4 + len(body)) + body
    first = [message(way, 33, 34, 0, payload(34, association)
                     + payload(40, struct.pack("!HH", 14, 0) + chance.randbytes(256))
                     + payload(0, chance.randbytes(32))) for way in (False, True)]
    request = message(False, 46, 35, 1, payload(35, chance.randbytes(480)))
    answer = [message(True, 53, 35, 1, payload(36 if part == 1 else 0, struct.pack("!HH", part, 3)
                                               + chance.randbytes(900))) for part in (1, 2, 3)]
    return [*first, request, *answer]


def soap(number: str, body: str) -> bytes:
    return (f'<?xml version="1.0"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" xmlns:enc="http://schemas.xmlsoap.org/soap/'
            f'encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xmlns:cwmp="urn:dslforum-org:cwmp-1-2"><soap:Header><cwmp:ID soap:mustUnderstand="1">{number}</cwmp:ID></soap:Header>'
            f"<soap:Body>{body}</soap:Body></soap:Envelope>").encode()


def values(pairs: list[tuple[str, str]]) -> str:
    items = "".join(f'<ParameterValueStruct><Name>{name}</Name><Value xsi:type="xsd:string">{value}</Value></ParameterValueStruct>' for name, value in pairs)
    return f'<ParameterList enc:arrayType="cwmp:ParameterValueStruct[{len(pairs)}]">{items}</ParameterList>'


def post(body: bytes) -> bytes:
    return f"POST /acs HTTP/1.1\r\nHost: {NAME}:7547\r\nContent-Type: text/xml\r\nSOAPAction: \"\"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def reply(body: bytes) -> bytes:
    if not body:
        return b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def session(chance: random.Random, inner: bytes, serial: str, fault: str) -> list[bytes]:
    talk = Connection(chance, (inner, chance.randrange(32768, 60000)), (HMS, 7547))
    inform = ('<cwmp:Inform><DeviceId><Manufacturer>Example</Manufacturer><OUI>00005E</OUI><ProductClass>HNB</ProductClass>'
              f"<SerialNumber>{serial}</SerialNumber></DeviceId><Event enc:arrayType=\"cwmp:EventStruct[1]\"><EventStruct><EventCode>6 CONNECTION REQUEST</EventCode>"
              "<CommandKey/></EventStruct></Event><MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2025-06-15T16:00:00Z</CurrentTime><RetryCount>0</RetryCount>"
              + values([("Device.DeviceInfo.SoftwareVersion", f"2.{chance.randrange(4)}"),
                        ("Device.ManagementServer.ConnectionRequestURL", "http://x/cr"),
                        *((name, f"{chance.getrandbits(32):x}") for name in PARAMETERS)]) + "</cwmp:Inform>")
    setting = f"<cwmp:SetParameterValues>{values([(name, str(chance.randrange(500))) for name in PARAMETERS])}<ParameterKey>k</ParameterKey></cwmp:SetParameterValues>"
    done = "<cwmp:SetParameterValuesResponse><Status>0</Status></cwmp:SetParameterValuesResponse>"
    if fault == "refuses":
        done = ('<soap:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault><FaultCode>9003</FaultCode><FaultString>'
                f"Invalid arguments</FaultString><SetParameterValuesFault><ParameterName>{PARAMETERS[0]}</ParameterName><FaultCode>9007</FaultCode>"
                "<FaultString>Invalid value</FaultString></SetParameterValuesFault></cwmp:Fault></detail></soap:Fault>")
    packets = [*talk.open(), *talk.say(0, post(soap("1", inform))),
               *talk.say(1, reply(soap("1", "<cwmp:InformResponse><MaxEnvelopes>1</MaxEnvelopes></cwmp:InformResponse>"))),
               *talk.say(0, post(b"")), *talk.say(1, reply(soap("2", setting)))]
    if fault == "resets":
        return [*packets, talk.segment(0, 0x14)]
    return [*packets, *talk.say(0, post(soap("2", done))), *talk.say(1, reply(b"")), *talk.close()]


def device(seed: str, number: int, begins: int, truth: dict[str, str]) -> Iterator[Packet]:
    chance = random.Random(f"{seed}/{number}")
    fault = {7: "refuses", 13: "resets"}.get(number % 20, "")
    serial = f"BX{number:08d}"
    truth[f"00005E-HNB-{serial}"] = "fail" if fault else "pass"
    outer, inner = (int.from_bytes(base, "big") + number for base in (b"\x64\x40\1\0", b"\x0a\x80\1\0"))
    outer, inner = outer.to_bytes(4, "big"), inner.to_bytes(4, "big")
    time = begins
    for packet in (*ike(chance, outer), *dns(chance, (inner, chance.randrange(32768, 60000))),
                   *session(chance, inner, serial, fault)):
        yield time, packet
        time += chance.randrange(200, 30_000)


# ------------------------------------------------------------------------------------------------- captures

def devices(seed: str, first: int, count: int, span: float, truth: dict[str, str]) -> Iterator[Packet]:
    chance = random.Random(seed)
    begins = [START + int(chance.random() * span * 1e6) for _ in range(count)]
    return heapq.merge(*(device(seed, first + at, when, truth) for at, when in enumerate(begins)),
                       key=lambda packet: packet[0])


def downloads(chance: random.Random, slot: int, filler: bytes) -> Iterator[bytes]:
    """One file of a few megabytes after the other, each over a connection of its own."""
    for number in itertools.count():
        talk = Connection(chance, (bytes((10, 210, number >> 8 & 255, number & 255)), 33000 + slot), (FILES, 80))
        size = chance.randrange(1_000_000, 4_000_000)
        yield from talk.open()
        yield from talk.say(0, b"GET /firmware.bin HTTP/1.1\r\nHost: files\r\n\r\n")
        yield talk.segment(1, 0x18, b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % size)
        for at in range(0, size, SEGMENT):
            begins = chance.randrange(1 << 15)
            yield talk.segment(1, 0x10, filler[begins:begins + min(SEGMENT, size - at)])
            if at // SEGMENT % 2:
                yield talk.segment(0, 0x10)
        yield from talk.close()


def flood(seed: str, first: int, last: int, octets: int) -> Iterator[Packet]:
    """GTP-U, ESP in UDP and HTTP downloads, evenly over the time, until there are so many octets."""
    chance = random.Random(f"{seed}/flood")
    filler = chance.randbytes(1 << 16)
    files = [downloads(chance, slot, filler) for slot in range(6)]
    sequence = [0] * 100
    total, step = 0, (last - first) / max(1, octets / 1150)
    time = float(first)
    while total < octets:
        at, kind = chance.randrange(1 << 15), chance.random()
        size = 1340 if chance.random() > 0.12 else 120
        if kind < 0.3:
            packet = next(chance.choice(files))
        elif kind < 0.7:
            flow = chance.randrange(100)
            sequence[flow] += 1
            sealed = struct.pack("!II", 0x1000 + flow, sequence[flow]) + filler[at:at + size]
            packet = udp((bytes((10, 200, 0, flow)), 4500), (SEGW, 4500), sealed)
        else:
            flow = chance.randrange(60)
            user = ip(bytes((100, 100, 0, flow)), bytes((198, 18, 0, 9)), 17,
                      struct.pack("!HHHH", 40000, 40002, 8 + size, 0) + filler[at:at + size])[14:]
            packet = udp((bytes((10, 201, 0, flow)), 2152), (NODE, 2152),
                         struct.pack("!BBHI", 0x30, 0xFF, len(user), 0x2000 + flow) + user)
        total += len(packet) + 16
        yield int(time), packet
        time += step


def write(path: Path, packets: Iterator[Packet], truth: dict[str, str]) -> None:
    count = 0
    with open(path, "wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for time, packet in packets:
            file.write(struct.pack("<IIII", time // 1_000_000, time % 1_000_000, len(packet), len(packet)) + packet)
            count += 1
    facts = {"packets": count, "octets": path.stat().st_size, "procedure": "ts32.583-5.3.2", "verdicts": truth}
    path.with_name(path.name + ".truth.json").write_text(json.dumps(facts, indent=1, sort_keys=True))
    (path.parent / "site.yaml").write_text(SITE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("control", "bulk", "many"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--files", type=int, default=500)
    options = parser.parse_args()
    truth: dict[str, str] = {}
    if options.kind == "control":
        write(options.out, devices(options.seed, 0, options.devices, options.devices * 0.3, truth), truth)
    elif options.kind == "bulk":
        count = max(1, options.megabytes // 3)
        control = list(devices(options.seed, 0, count, 60.0, truth))
        write(options.out, heapq.merge(control, flood(options.seed, START, control[-1][0],
                                                      options.megabytes * 1_000_000), key=lambda p: p[0]), truth)
    else:
        options.out.mkdir(parents=True, exist_ok=True)
        first = 0
        for number in range(options.files):
            truth = {}
            write(options.out / f"site{number % 7}-{number:04d}.pcap",
                  devices(f"{options.seed}/{number}", first, 1 + number % 4, 5.0, truth), truth)
            first += 1 + number % 4


if __name__ == "__main__":
    main()
