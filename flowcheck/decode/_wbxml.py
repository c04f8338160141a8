"""WBXML (WAP-192, versions 1.1 to 1.3) for the two document types of device management: SyncML and OMA CP.

The tables are the token spaces of OMA-TS-SyncML-RepPro (code page 0), -MetaInfo (page 1) and of WAP-183-ProvCont.
"""

from __future__ import annotations

from typing import NamedTuple

from ..model import Problem
from ._xml import Node, Refused
from .wire import Cursor, Short

_DEEPEST, _MOST = 64, 20_000              # levels and elements of a document
_LONGEST = 4 << 20                        # octets of text that references to the string table may add up to


class Language(NamedTuple):
    """The token tables of a document type, by (code page, token)."""

    tags: dict[tuple[int, int], str]
    starts: dict[tuple[int, int], tuple[str, str]]   # attribute name and how its value begins
    values: dict[tuple[int, int], str]
    namespaces: tuple[str, ...] = ()                 # of each tag code page


def _numbered(page: int, first: int, names: str) -> dict[tuple[int, int], str]:
    return {(page, first + i): name for i, name in enumerate(names.split()) if name != "-"}


SYNCML = Language(
    _numbered(0, 0x05, """Add Alert Archive Atomic Chal Cmd CmdID CmdRef Copy Cred Data Delete Exec Final Get Item Lang
        LocName LocURI Map MapItem Meta MsgID MsgRef NoResp NoResults Put Replace RespURI Results Search Sequence
        SessionID SftDel Source SourceRef Status Sync SyncBody SyncHdr SyncML Target TargetRef - VerDTD VerProto
        NumberOfChanges MoreData Field Filter Record FilterType SourceParent TargetParent Move Correlator""")
    | _numbered(1, 0x05, """Anchor EMI Format FreeID FreeMem Last Mark MaxMsgSize Mem MetInf Next NextNonce SharedMem
        Size Type Version MaxObjSize FieldLevel"""), {}, {}, ("SYNCML:SYNCML1.2", "syncml:metinf"))

_NAMES_0 = _numbered(0, 0x07, """NAME NAP-ADDRESS NAP-ADDRTYPE CALLTYPE VALIDUNTIL AUTHTYPE AUTHNAME AUTHSECRET LINGER
    BEARER NAPID COUNTRY NETWORK INTERNET PROXY-ID PROXY-PROVIDER-ID DOMAIN PROVURL PXAUTH-TYPE PXAUTH-ID PXAUTH-PW
    STARTPAGE BASAUTH-ID BASAUTH-PW PUSHENABLED PXADDR PXADDRTYPE TO-NAPID PORTNBR SERVICE LINKSPEED DNLINKSPEED
    LOCAL-ADDR LOCAL-ADDRTYPE CONTEXT-ALLOW TRUST MASTER SID SOC WSP-VERSION PHYSICAL-PROXY-ID CLIENT-ID
    DELIVERY-ERR-SDU DELIVERY-ORDER TRAFFIC-CLASS MAX-SDU-SIZE MAX-BITRATE-UPLINK MAX-BITRATE-DNLINK RESIDUAL-BER
    SDU-ERROR-RATIO TRAFFIC-HANDL-PRIO TRANSFER-DELAY GUARANTEED-BITRATE-UPLINK GUARANTEED-BITRATE-DNLINK PXADDR-FQDN
    PROXY-PW PPGAUTH-TYPE""") | _numbered(0, 0x47, """PULLENABLED DNS-ADDR MAX-NUM-RETRY FIRST-RETRY-TIMEOUT
    REREG-THRESHOLD T-BIT - AUTH-ENTITY SPI""")
_NAMES_1 = {(1, 0x07): "NAME", (1, 0x14): "INTERNET", (1, 0x1C): "STARTPAGE", (1, 0x22): "TO-NAPID",
            (1, 0x23): "PORTNBR", (1, 0x24): "SERVICE"} | _numbered(1, 0x2E, """AACCEPT AAUTHDATA AAUTHLEVEL AAUTHNAME
            AAUTHSECRET AAUTHTYPE ADDR ADDRTYPE APPID APROTOCOL PROVIDER-ID TO-PROXY URI RULE""")
_TYPES = _numbered(0, 0x51, """PXLOGICAL PXPHYSICAL PORT VALIDITY NAPDEF BOOTSTRAP VENDORCONFIG CLIENTIDENTITY
    PXAUTHINFO NAPAUTHINFO ACCESS""") | {(1, 0x53): "PORT", (1, 0x58): "CLIENTIDENTITY"} \
    | _numbered(1, 0x55, "APPLICATION APPADDR APPAUTH") | {(1, 0x59): "RESOURCE"}

PROV = Language(
    {(page, token): name for page in (0, 1) for token, name in
     ((0x05, "wap-provisioningdoc"), (0x06, "characteristic"), (0x07, "parm"))},
    {(page, token): start for page in (0, 1) for token, start in
     ((0x05, ("name", "")), (0x06, ("value", "")), (0x45, ("version", "")), (0x46, ("version", "1.0")),
      (0x50, ("type", "")))}
    | {key: ("name", name) for key, name in (_NAMES_0 | _NAMES_1).items()}
    | {key: ("type", name) for key, name in _TYPES.items()},
    _numbered(0, 0x85, "IPV4 IPV6 E164 ALPHA APN SCODE TETRA-ITSI MAN")
    | _numbered(0, 0x90, "ANALOG-MODEM V.120 V.110 X.31 BIT-TRANSPARENT DIRECT-ASYNCHRONOUS-DATA-SERVICE")
    | _numbered(0, 0x9A, "PAP CHAP HTTP-BASIC HTTP-DIGEST WTLS-SS MD5")
    | _numbered(0, 0xA2, """GSM-USSD GSM-SMS ANSI-136-GUTS IS-95-CDMA-SMS IS-95-CDMA-CSD IS-95-CDMA-PACKET ANSI-136-CSD
        ANSI-136-GPRS GSM-CSD GSM-GPRS AMPS-CDPD PDC-CSD PDC-PACKET IDEN-SMS IDEN-CSD IDEN-PACKET FLEX/REFLEX PHS-SMS
        PHS-CSD TETRA-SDS TETRA-PACKET ANSI-136-GHOST MOBITEX-MPAK CDMA2000-1X-SIMPLE-IP CDMA2000-1X-MOBILE-IP""")
    | {(0, 0xC5): "AUTOBAUDING"}
    | _numbered(0, 0xCA, """CL-WSP CO-WSP CL-SEC-WSP CO-SEC-WSP CL-SEC-WTA CO-SEC-WTA OTA-HTTP-TO OTA-HTTP-TLS-TO
        OTA-HTTP-PO OTA-HTTP-TLS-PO""") | _numbered(0, 0xE0, "AAA HA")
    | _numbered(1, 0x86, "IPV6 E164 ALPHA") | _numbered(1, 0x8D, "APPSRV OBEX")
    | _numbered(1, 0x90, ", HTTP- BASIC DIGEST"))


def looks_like(data: bytes) -> bool:
    """WBXML 1.1 to 1.3 with a public identifier; never the start of an XML text."""
    return len(data) > 4 and data[0] in (1, 2, 3)


def parse(data: bytes, language: Language) -> Node:
    """The root element. Raises Refused."""
    at = Cursor(data)
    try:
        version = at.u8()
        if version not in (1, 2, 3):
            raise Refused(Problem(0, f"WBXML version octet {version}"))
        if _uint(at) == 0:
            _uint(at)                     # public identifier by name, in the string table
        charset = _uint(at)
        return _Reader(at, language, _CHARSETS.get(charset, "utf-8"), at.octets(_uint(at))).document()
    except Short as short:
        raise Refused(Problem(short.offset, f"WBXML ends early: {short}")) from None


_CHARSETS = {3: "ascii", 4: "latin-1", 106: "utf-8", 1000: "utf-16-be", 1015: "utf-16"}   # IANA MIBenum


class _Reader:
    """Where in the document we are. Tag and attribute tokens have a code page each (WAP-192 5.8.1)."""

    def __init__(self, at: Cursor, language: Language, charset: str, table: bytes):
        self.at, self.language, self.charset, self.table = at, language, charset, table
        self.tag_page = self.attribute_page = self.elements = self.borrowed = 0

    def document(self) -> Node:
        while True:
            token = self.at.u8()
            if token == 0x43:
                self.skip_instruction()
            elif token == 0x00:
                self.tag_page = self.at.u8()
            else:
                return self.element(token, 0)

    def element(self, token: int, depth: int) -> Node:
        self.elements += 1
        if depth > _DEEPEST or self.elements > _MOST:
            raise Refused(Problem(self.at.offset, "WBXML nests too deep or has too many elements"))
        page = self.tag_page
        if token & 0x3F == 4:             # LITERAL: a name from the string table
            name = self.from_table(_uint(self.at))
        else:
            name = self.language.tags.get((page, token & 0x3F), f"TAG{page}-{token & 0x3F:02X}")
        namespace = self.language.namespaces[page] if page < len(self.language.namespaces) else ""
        attributes = self.attributes() if token & 0x80 else {}
        children, text = self.content(depth) if token & 0x40 else ((), "")
        return Node(name, namespace, attributes, children, text)

    def content(self, depth: int) -> tuple[tuple[Node, ...], str]:
        children, text = [], []
        while True:
            token = self.at.u8()
            if token == 0x01:
                return tuple(children), "".join(text).strip()
            if token == 0x00:
                self.tag_page = self.at.u8()
            elif token == 0x43:
                self.skip_instruction()
            elif (piece := self.string(token)) is not None:
                text.append(piece)
            else:
                children.append(self.element(token, depth + 1))

    def attributes(self) -> dict[str, str]:
        found: dict[str, list[str]] = {}
        name = ""
        while True:
            token = self.at.u8()
            if token == 0x01:
                return {name: "".join(pieces) for name, pieces in found.items()}
            if token == 0x00:
                self.attribute_page = self.at.u8()
            elif (piece := self.string(token)) is not None:
                found.setdefault(name, []).append(piece)
            elif token == 0x04:
                name = self.from_table(_uint(self.at))
                found[name] = []
            elif token < 0x80:
                name, value = self.language.starts.get((self.attribute_page, token), (f"ATTRIBUTE{token:02X}", ""))
                found[name] = [value]
            else:
                piece = self.language.values.get((self.attribute_page, token), f"VALUE{token:02X}")
                found.setdefault(name, []).append(piece)

    def string(self, token: int) -> str | None:
        """The text a global token stands for, None where the token is none of those (WAP-192 5.8.4)."""
        if token == 0x03:
            return self.inline()
        if token == 0x83:
            return self.from_table(_uint(self.at))
        if token == 0xC3:
            return self.opaque(self.at.octets(_uint(self.at)))
        if token == 0x02:
            number = _uint(self.at)
            return chr(number) if number < 0xD800 or 0xE000 <= number < 0x110000 else "\N{REPLACEMENT CHARACTER}"
        if token in (0x40, 0x41, 0x42):
            return self.inline()
        if token in (0x80, 0x81, 0x82):
            _uint(self.at)
            return ""
        return "" if token in (0xC0, 0xC1, 0xC2) else None

    def opaque(self, raw: bytes) -> str:
        """SyncML puts text, or a WBXML document of its own, into opaque data; the rest is shown in hexadecimal."""
        try:
            text = raw.decode(self.charset)
        except UnicodeDecodeError:
            return raw.hex()
        return text if "\0" not in text else raw.hex()

    def inline(self) -> str:
        at = self.at
        width = 2 if self.charset.startswith("utf-16") else 1
        end = at.data.find(b"\0" * width, at.offset)
        while width == 2 and end >= 0 and (end - at.offset) % 2:
            end = at.data.find(b"\0\0", end + 1)
        if end < 0 or end >= at.end:
            raise Short(at.offset, at.left + 1)
        text = at.octets(end - at.offset).decode(self.charset, "replace")
        at.octets(width)
        return text

    def from_table(self, offset: int) -> str:
        end = self.table.find(b"\0", offset)
        if offset >= len(self.table):
            raise Refused(Problem(self.at.offset, f"string {offset} is not in the table of {len(self.table)} octets"))
        end = end if end >= 0 else len(self.table)
        self.borrowed += end - offset
        if self.borrowed > _LONGEST:
            raise Refused(Problem(self.at.offset, "WBXML repeats its string table without end"))
        return self.table[offset:end].decode(self.charset, "replace")

    def skip_instruction(self) -> None:
        self.attributes()


def _uint(at: Cursor) -> int:
    """mb_u_int32: seven bits an octet, the highest first (WAP-192 5.1)."""
    value = 0
    for _ in range(5):
        octet = at.u8()
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            return value & 0xFFFFFFFF
    raise Refused(Problem(at.offset, "WBXML integer of more than five octets"))
