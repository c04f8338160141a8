"""Captures written with scapy: a CWMP session in clear HTTP, look-ups, and whatever a test needs in a file."""

from xml.sax.saxutils import escape

from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

HNB, ACS, RESOLVER = "10.9.0.1", "10.9.0.2", "10.9.0.3"
BEGIN = 1_777_636_800                    # 2026-05-01T12:00:00Z
ENVELOPE = ('<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:cwmp="urn:dslforum-org:cwmp-1-0"><soap:Header><cwmp:ID soap:mustUnderstand="1">{id}</cwmp:ID>'
            '</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>')


def envelope(body, number="1"):
    return ENVELOPE.format(id=number, body=body).encode()


def inform(manufacturer="Maker", product_class="HNB", serial="S1", event="0 BOOTSTRAP"):
    names = {"Manufacturer": manufacturer, "OUI": "00AA11", "ProductClass": product_class, "SerialNumber": serial}
    device = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in names.items())
    return envelope(f"<cwmp:Inform><DeviceId>{device}</DeviceId><Event><EventStruct><EventCode>{event}</EventCode>"
                    "<CommandKey/></EventStruct></Event><MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-05-01T12:00:00Z"
                    "</CurrentTime><RetryCount>0</RetryCount><ParameterList/></cwmp:Inform>")


INFORM_RESPONSE = envelope("<cwmp:InformResponse><MaxEnvelopes>1</MaxEnvelopes></cwmp:InformResponse>")


def post(body=b"", target="/acs"):
    return (f"POST {target} HTTP/1.1\r\nHost: acs.example\r\nContent-Type: text/xml\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


def reply(body=b"", status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def stamped(packets, at=0.0, step=0.1):
    """The packets, one every `step` seconds from `at` on."""
    for number, packet in enumerate(packets):
        packet.time = BEGIN + at + number * step
    return packets


def conversation(*turns, client=HNB, server=ACS, sport=40001, dport=7547, close=True, segment=1000, isn=1000):
    """A TCP connection: each turn is (True for the client, bytes)."""
    packets, sequence = [], {True: isn, False: isn + 4000}

    def add(up, flags, data=b""):
        ends = (client, server, sport, dport) if up else (server, client, dport, sport)
        ack = 0 if flags == "S" else sequence[not up]
        header = TCP(sport=ends[2], dport=ends[3], flags=flags, seq=sequence[up], ack=ack)
        packets.append(Ether() / IP(src=ends[0], dst=ends[1]) / header / data)
        sequence[up] += len(data) + (1 if {"S", "F"} & set(flags) else 0)

    add(True, "S")
    add(False, "SA")
    add(True, "A")
    for up, data in turns:
        for at in range(0, len(data), segment):
            add(up, "PA", data[at:at + segment])
        add(not up, "A")
    if close:
        add(True, "FA")
        add(False, "FA")
        add(True, "A")
    return packets


def lookup(name="acs.example", address=ACS, number=7, sport=50001, rcode=0):
    ask = Ether() / IP(src=HNB, dst=RESOLVER) / UDP(sport=sport, dport=53) / DNS(id=number, rd=1, qd=DNSQR(qname=name))
    answers = DNSRR(rrname=name, rdata=address, ttl=60) if rcode == 0 else None
    told = Ether() / IP(src=RESOLVER, dst=HNB) / UDP(sport=53, dport=sport) / DNS(
        id=number, qr=1, rcode=rcode, qd=DNSQR(qname=name), an=answers)
    return [ask, told]


def session(**names):
    """Inform accepted, nothing asked, orderly end."""
    return conversation((True, post(inform(**names))), (False, reply(INFORM_RESPONSE)), (True, post()),
                        (False, reply(status="204 No Content")))


def write(path, packets):
    wrpcap(str(path), packets)
    return str(path)
