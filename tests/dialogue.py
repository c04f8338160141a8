"""What an HNB says with its managers and servers, packet by packet, in clear: runs that the synthesiser has no rule for.

A `Line` is the wire with its clock; a `Connection` on it is opened, refused, left unanswered, used and ended by either side.
"""

from datetime import datetime, timedelta, timezone

from packets import BEGIN, envelope, post, reply
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from flowcheck.check import check

HNB, HMS, INITIAL, STORE, RESOLVER = "10.64.3.9", "10.70.0.20", "10.70.0.10", "10.70.0.30", "10.70.0.53"
HMS_NAME, STORE_NAME = "acs2.core.example", "store.core.example"
SITE = f"""site: dialogue
hosts:
  dns_inner: {{addresses: [{RESOLVER}]}}
  hms_initial: {{names: [acs1.core.example], addresses: [{INITIAL}]}}
  hms_serving: {{names: [{HMS_NAME}], addresses: [{HMS}]}}
  file_server: {{names: [{STORE_NAME}], addresses: [{STORE}]}}
"""
CHALLENGE = 'WWW-Authenticate: Digest realm="x", nonce="n", qop="auth"\r\n'
CREDENTIALS = 'Authorization: Digest username="u", realm="x", nonce="n", uri="/", response="0"\r\n'


class Line:
    """Packets in order of time; `wait` is silence."""

    def __init__(self):
        self.packets, self.now, self.port = [], 0.0, 41_000

    def put(self, packet, after=0.002):
        self.now += after
        framed = Ether() / packet
        framed.time = BEGIN + self.now
        self.packets.append(framed)

    def wait(self, seconds):
        self.now += seconds

    def alive(self, seconds, every=20.0):
        """Time goes by, and packets of the device show that the tap records."""
        until = self.now + seconds
        while self.now < until:
            self.put(IP(src=HNB, dst="10.70.0.123") / UDP(sport=123, dport=123) / (b"\x23" + bytes(47)), every)

    def lookup(self, name, address=None, rcode=0, answered=True, client=HNB):
        self.port += 1
        ask = DNS(id=self.port, rd=1, qd=DNSQR(qname=name), an=[])
        self.put(IP(src=client, dst=RESOLVER) / UDP(sport=self.port, dport=53) / ask)
        if answered:
            told = [DNSRR(rrname=name, rdata=address, ttl=60)] if address else []
            found = DNS(id=self.port, qr=1, rcode=rcode, qd=DNSQR(qname=name), an=told)
            self.put(IP(src=RESOLVER, dst=client) / UDP(sport=53, dport=self.port) / found)

    def connect(self, server=HMS, port=7547, client=HNB):
        connection = Connection(self, client, server, port)
        for up, flags in ((True, "S"), (False, "SA"), (True, "A")):
            connection.segment(up, flags)
        return connection

    def refused(self, server, port, client=HNB):
        connection = Connection(self, client, server, port)
        connection.segment(True, "S")
        connection.sequence[False] = 0
        connection.segment(False, "RA")

    def unanswered(self, server, port, client=HNB):
        connection = Connection(self, client, server, port)
        first = connection.sequence[True]
        for pause in (0, 1, 2, 4):
            connection.sequence[True] = first
            connection.segment(True, "S", after=pause + 0.002)

    def verdicts(self, tmp_path, site=SITE):
        """(procedure, verdict, cause) of every attempt, in order of time."""
        return [(a.procedure, a.verdict, a.cause) for a in self.attempts(tmp_path, site)]

    def attempts(self, tmp_path, site=SITE):
        path, profile = tmp_path / "line.pcap", tmp_path / "site.yaml"
        wrpcap(str(path), self.packets)
        profile.write_text(site or "")
        result, _ = check([str(path)], site=str(profile) if site else None)
        return [attempt for device in result.devices for attempt in device.attempts]


class Connection:
    def __init__(self, line, client, server, port, source=None):
        line.port += 1
        self.line, self.ends = line, {True: (client, source or line.port), False: (server, port)}
        self.sequence = {True: line.port * 1000, False: line.port * 2000}

    def segment(self, up, flags, data=b"", after=0.002):
        (src, sport), (dst, dport) = self.ends[up], self.ends[not up]
        ack = 0 if flags == "S" else self.sequence[not up]
        self.line.put(IP(src=src, dst=dst) / TCP(sport=sport, dport=dport, flags=flags, seq=self.sequence[up], ack=ack) / data,
                      after)
        self.sequence[up] += len(data) + (1 if {"S", "F"} & set(flags) else 0)

    def up(self, data):
        return self._send(True, data)

    def down(self, data):
        return self._send(False, data)

    def _send(self, up, data):
        for at in range(0, len(data), 1300):
            self.segment(up, "PA", data[at:at + 1300], 0.005)
        self.segment(not up, "A", after=0.001)
        return self

    def end(self, by_client=True):
        self.segment(by_client, "FA")
        self.segment(not by_client, "FA")
        self.segment(by_client, "A")

    def reset(self, by_client=True):
        self.segment(by_client, "RA")


# ---- what is said


def listed(parameters):
    entries = "".join(f"<ParameterValueStruct><Name>{name}</Name><Value>{value}</Value></ParameterValueStruct>"
                      for name, value in parameters.items())
    return f"<ParameterList>{entries}</ParameterList>"


def inform(line, *events, parameters=None, number="i1", retries=0, command_key=""):
    """An Inform with the parameters every HNB sends, and further ones."""
    shown = "".join(f"<EventStruct><EventCode>{event}</EventCode><CommandKey>{command_key if event[:2] == 'M ' else ''}</CommandKey>"
                    "</EventStruct>" for event in events)
    own = {"Device.ManagementServer.ConnectionRequestURL": f"http://{HNB}:7547/cr",
           "Device.Services.FAPService.1.FAPControl.UMTS.OpState": "1", **(parameters or {})}
    return envelope(
        "<cwmp:Inform><DeviceId><Manufacturer>Maker</Manufacturer><OUI>00AA11</OUI><ProductClass>HNB</ProductClass>"
        f"<SerialNumber>D1</SerialNumber></DeviceId><Event>{shown}</Event><MaxEnvelopes>1</MaxEnvelopes>"
        f"<CurrentTime>{clock(line)}</CurrentTime><RetryCount>{retries}</RetryCount>{listed(own)}</cwmp:Inform>", number)


def clock(line):
    return (datetime.fromtimestamp(BEGIN, timezone.utc) + timedelta(seconds=line.now)).strftime("%Y-%m-%dT%H:%M:%SZ")


def inform_response(number="i1"):
    return envelope("<cwmp:InformResponse><MaxEnvelopes>1</MaxEnvelopes></cwmp:InformResponse>", number)


def set_values(parameters, number="s1"):
    return envelope(f"<cwmp:SetParameterValues>{listed(parameters)}<ParameterKey/></cwmp:SetParameterValues>", number)


def values_set(number="s1", status=0):
    return envelope(f"<cwmp:SetParameterValuesResponse><Status>{status}</Status></cwmp:SetParameterValuesResponse>", number)


def fault(code, number="s1"):
    return envelope("<soap:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>"
                    f"<FaultCode>{code}</FaultCode></cwmp:Fault></detail></soap:Fault>", number)


def rpc(name, number="r1", arguments=""):
    return envelope(f"<cwmp:{name}>{arguments}</cwmp:{name}>", number)


def answer(status, headers="", body=b""):
    """An HTTP response that is no CWMP."""
    length = "" if status.startswith("204") else f"Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {status}\r\n{headers}{length}\r\n".encode() + body


def request(method, path, host="", headers="", body=b""):
    length = f"Content-Length: {len(body)}\r\n" if body or method in ("PUT", "POST") else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {host or 'device'}\r\n{headers}{length}\r\n".encode() + body


OVER = answer("204 No Content")


def session(line, *events, accepted=True, **about):
    """A session as far as the device's empty POST, or its Inform alone."""
    line.lookup(HMS_NAME, HMS)
    connection = line.connect()
    connection.up(post(inform(line, *events, **about)))
    if accepted:
        connection.down(reply(inform_response(about.get("number", "i1")))).up(post())
    return connection


def over(connection):
    connection.down(OVER)
    connection.end()


def in_touch(line):
    """An earlier session, by which the device is known."""
    over(session(line, "2 PERIODIC", number="i0"))
    line.wait(60)


def ask_for_session(line, *answers):
    """A connection request; each answer follows a request, with credentials from the second on."""
    connection = line.connect(HNB, 7547, client=HMS)
    for place, told in enumerate(answers):
        connection.up(request("GET", "/cr", headers=CREDENTIALS if place else ""))
        if told:
            connection.down(told)
    connection.end()


def asked_for(line):
    """A session that the manager asked for."""
    ask_for_session(line, answer("401 Unauthorized", CHALLENGE), answer("200 OK"))
    line.wait(0.3)
    return session(line, "6 CONNECTION REQUEST")


# ---- files

CM_FILE, PM_FILE = b"<configDataFile>" + b"x" * 900 + b"</configDataFile>", "A20260501.1145+0000-1200+0000_D1.xml"


def order(line, url=f"http://{STORE_NAME}/cm/a.xml", kind="3 Vendor Configuration File"):
    """A Download that the device takes and carries out after the session."""
    about = f"<CommandKey>c1</CommandKey><FileType>{kind}</FileType><URL>{url}</URL><Username/><Password/><FileSize>0</FileSize>"
    connection = session(line, "6 CONNECTION REQUEST")
    connection.down(reply(rpc("Download", "d1", about + "<TargetFileName/><DelaySeconds>0</DelaySeconds>")))
    over(connection.up(post(rpc("DownloadResponse", "d1", "<Status>1</Status>"))))


def fetch(line, told, path="/cm/a.xml", name=STORE_NAME, address=STORE, close=True):
    """A look-up and one try to fetch the file."""
    line.lookup(name, address)
    connection = line.connect(address, 80)
    connection.up(request("GET", path, name)).down(told)
    if close:
        connection.end()


def report(line, code=0, accepted=True, retries=0, kind="Download"):
    """The session that reports the outcome."""
    line.wait(2)
    line.lookup(HMS_NAME, HMS)
    connection = line.connect()
    connection.up(post(inform(line, "7 TRANSFER COMPLETE", f"M {kind}", number="t0", retries=retries, command_key="c1")))
    if not accepted:
        connection.down(answer("503 Service Unavailable"))
        return connection.end()
    outcome = f"<CommandKey>c1</CommandKey><FaultStruct><FaultCode>{code}</FaultCode></FaultStruct>"
    connection.down(reply(inform_response("t0"))).up(post(rpc("TransferComplete", "t1", outcome)))
    return over(connection.down(reply(rpc("TransferCompleteResponse", "t1"))).up(post()))


def upload_set(line, scheme):
    """The manager says where performance files go."""
    config = "Device.FAP.PerfMgmt.Config.1."
    told = {config + "Enable": "true", config + "URL": f"{scheme}://{STORE_NAME}/pm/", config + "PeriodicUploadInterval": "900"}
    over(session(line, "6 CONNECTION REQUEST").down(reply(set_values(told))).up(post(values_set())))
    line.wait(30)


def put(line, told, name=STORE_NAME, address=STORE, headers="", length=None, ending=None):
    """A look-up and one try to put the file; `length` is what it claims."""
    line.lookup(name, address)
    connection = line.connect(address, 80)
    sent = request("PUT", f"/pm/{PM_FILE}", name, headers, CM_FILE)
    connection.up(sent.replace(f"Content-Length: {len(CM_FILE)}".encode(), f"Content-Length: {length or len(CM_FILE)}".encode()))
    if told:
        connection.down(told)
    (ending or Connection.end)(connection)


def ftp(line, *turns, name=STORE_NAME, address=STORE, greeting="220 ready"):
    """A control connection: (command, replies) one after another, all of them answered where there is a reply."""
    line.lookup(name, address)
    connection = line.connect(address, 21)
    connection.down(greeting.encode() + b"\r\n")
    for command, *replies in turns:
        connection.up(command.encode() + b"\r\n")
        for told in replies:
            connection.down(told.encode() + b"\r\n")
    return connection
