"""Diameter AVPs by (vendor, code): name and how the value is written.

RFC 6733 4.2 and 4.3, RFC 8506, TS 29.229, TS 29.272, TS 29.212.

Types: `group`, `int` (Unsigned32, Integer32, Enumerated: all small and positive in use), `int64`, `text`, `octets`,
`address` (RFC 6733 4.3.1), `ipv4`, `prefix` (RFC 3162 2.3), `time`, `plmn`, `bcd`, `key` (never shown).
"""

from __future__ import annotations

TGPP = 10415


def _rows(vendor: int, table: str) -> dict[tuple[int, int], tuple[str, str]]:
    found = {}
    for row in table.split("\n"):
        if row.strip():
            kind, *pairs = row.split()
            for pair in pairs:
                code, _, name = pair.partition(":")
                found[(vendor, int(code))] = (name, kind)
    return found


AVPS: dict[tuple[int, int], tuple[str, str]] = {
    **_rows(0, """
text 1:User-Name 30:Called-Station-Id 31:Calling-Station-Id 32:NAS-Identifier
text 263:Session-Id 264:Origin-Host 269:Product-Name
text 280:Proxy-Host 281:Error-Message 282:Route-Record 283:Destination-Realm 292:Redirect-Host 293:Destination-Host
text 294:Error-Reporting-Host 296:Origin-Realm 444:Subscription-Id-Data 461:Service-Context-Id 493:Service-Selection
text 435:Redirect-Server-Address
octets 25:Class 33:Proxy-State 44:Accounting-Session-Id 50:Acct-Multi-Session-Id 462:EAP-Payload
ipv4 4:NAS-IP-Address 8:Framed-IP-Address
prefix 97:Framed-IPv6-Prefix
time 55:Event-Timestamp 451:Tariff-Time-Change
address 257:Host-IP-Address
int 6:Service-Type 7:Framed-Protocol 27:Session-Timeout 61:NAS-Port-Type 258:Auth-Application-Id 259:Acct-Application-Id
int 261:Redirect-Host-Usage 262:Redirect-Max-Cache-Time 265:Supported-Vendor-Id 266:Vendor-Id 267:Firmware-Revision
int 268:Result-Code 270:Session-Binding 271:Session-Server-Failover 272:Multi-Round-Time-Out 273:Disconnect-Cause
int 274:Auth-Request-Type 276:Auth-Grace-Period 277:Auth-Session-State 278:Origin-State-Id 285:Re-Auth-Request-Type
int 291:Authorization-Lifetime 295:Termination-Cause 298:Experimental-Result-Code 299:Inband-Security-Id
int 415:CC-Request-Number 416:CC-Request-Type 418:CC-Session-Failover 420:CC-Time 426:Credit-Control
int 427:Credit-Control-Failure-Handling 432:Rating-Group 436:Requested-Action 439:Service-Identifier 448:Validity-Time
int 449:Final-Unit-Action 450:Subscription-Id-Type 452:Tariff-Change-Usage 455:Multiple-Services-Indicator
int 480:Accounting-Record-Type 485:Accounting-Record-Number 85:Acct-Interim-Interval
int64 287:Accounting-Sub-Session-Id 412:CC-Input-Octets 414:CC-Output-Octets
int64 417:CC-Service-Specific-Units 421:CC-Total-Octets
group 260:Vendor-Specific-Application-Id 279:Failed-AVP 284:Proxy-Info 297:Experimental-Result 413:CC-Money
group 430:Final-Unit-Indication 431:Granted-Service-Unit 434:Redirect-Server
group 437:Requested-Service-Unit 443:Subscription-Id
group 446:Used-Service-Unit 456:Multiple-Services-Credit-Control 458:User-Equipment-Info
"""),
    **_rows(TGPP, """
text 601:Public-Identity 602:Server-Name 608:SIP-Authentication-Scheme 619:Primary-Event-Charging-Function-Name
text 1402:IMEI 1403:Software-Version 1433:STN-SR 1004:Charging-Rule-Base-Name 1:3GPP-IMSI 8:3GPP-IMSI-MCC-MNC
text 9:3GPP-GGSN-MCC-MNC 10:3GPP-NSAPI 18:3GPP-SGSN-MCC-MNC
octets 600:Visited-Network-Identifier 606:User-Data 611:SIP-Authentication-Context
octets 702:User-Data 1411:Re-Synchronization-Info
octets 1447:RAND 1448:XRES 1449:AUTN 1454:SRES 609:SIP-Authenticate 610:SIP-Authorization 1005:Charging-Rule-Name
octets 22:3GPP-User-Location-Info 21:3GPP-RAT-Type 20:3GPP-IMEISV 23:3GPP-MS-TimeZone 507:Flow-Description
key 625:Confidentiality-Key 626:Integrity-Key 1450:KASME 1453:Kc
bcd 701:MSISDN 1100:Served-User-Identity 1489:SGSN-Number
plmn 1407:Visited-PLMN-Id
ipv4 6:3GPP-SGSN-Address 7:3GPP-GGSN-Address
address 501:Access-Network-Charging-Address 848:Served-Party-IP-Address 1050:AN-GW-Address
address 1227:PDP-Address 1228:SGSN-Address
address 847:GGSN-Address
int 2:3GPP-Charging-Id 3:3GPP-PDP-Type 515:Max-Requested-Bandwidth-DL
int 516:Max-Requested-Bandwidth-UL 607:SIP-Number-Auth-Items
int 613:SIP-Item-Number 614:Server-Assignment-Type 615:Deregistration-Reason-Code
int 616:Reason-Code 623:User-Authorization-Type
int 624:User-Data-Already-Available 629:Feature-List-ID 630:Feature-List 703:Data-Reference 1000:Bearer-Usage
int 1006:Event-Trigger 1009:Offline 1023:Bearer-Control-Mode 1024:Network-Request-Support 1027:IP-CAN-Type
int 1028:QoS-Class-Identifier 1032:RAT-Type 1040:APN-Aggregate-Max-Bitrate-UL 1041:APN-Aggregate-Max-Bitrate-DL
int 1046:Priority-Level 1047:Pre-emption-Capability 1048:Pre-emption-Vulnerability
int 1007:Metering-Method 1008:Reporting-Level
int 1010:Precedence 872:Reporting-Reason 1405:ULR-Flags 1406:ULA-Flags 1410:Number-Of-Requested-Vectors
int 1412:Immediate-Response-Preferred 1417:Network-Access-Mode 1419:Item-Number 1420:Cancellation-Type 1421:DSR-Flags
int 1422:DSA-Flags 1423:Context-Identifier 1424:Subscriber-Status 1425:Operator-Determined-Barring
int 1428:All-APN-Configurations-Included-Indicator 1432:VPLMN-Dynamic-Address-Allowed 1434:Alert-Reason
int 1438:PDN-GW-Allocation-Type 1441:IDA-Flags 1442:PUA-Flags 1443:NOR-Flags 1445:Equipment-Status 1456:PDN-Type
int 1457:Roaming-Restricted-Due-To-Unsupported-Feature 1490:IDR-Flags
int 1493:Homogeneous-Support-of-IMS-Voice-Over-PS-Sessions
int 1615:UE-SRVCC-Capability 1619:Subscribed-Periodic-RAU-TAU-Timer 1638:CLR-Flags 1635:PUR-Flags
group 512:Access-Network-Charging-Identifier 612:SIP-Auth-Data-Item 603:Server-Capabilities 618:Charging-Information
group 628:Supported-Features 700:User-Identity 873:Service-Information 874:PS-Information 1001:Charging-Rule-Install
group 1002:Charging-Rule-Remove 1003:Charging-Rule-Definition 1016:QoS-Information 1018:Charging-Rule-Report
group 1034:Allocation-Retention-Priority 1049:Default-EPS-Bearer-QoS 1058:Flow-Information 1400:Subscription-Data
group 1401:Terminal-Information 1408:Requested-EUTRAN-Authentication-Info 1409:Requested-UTRAN-GERAN-Authentication-Info
group 1413:Authentication-Info 1414:E-UTRAN-Vector 1415:UTRAN-Vector 1416:GERAN-Vector 1429:APN-Configuration-Profile
group 1430:APN-Configuration 1431:EPS-Subscribed-QoS-Profile 1435:AMBR 1439:MIP6-Agent-Info
"""),
}

# command code -> letters of the request and answer without their last, name (RFC 6733 3.1 and the applications above)
COMMANDS = {
    257: ("CE", "Capabilities-Exchange"), 258: ("RA", "Re-Auth"), 265: ("AA", "AA"), 268: ("DE", "Diameter-EAP"),
    271: ("AC", "Accounting"), 272: ("CC", "Credit-Control"), 274: ("AS", "Abort-Session"),
    275: ("ST", "Session-Termination"),
    280: ("DW", "Device-Watchdog"), 282: ("DP", "Disconnect-Peer"), 300: ("UA", "User-Authorization"),
    301: ("SA", "Server-Assignment"), 302: ("LI", "Location-Info"), 303: ("MA", "Multimedia-Auth"),
    304: ("RT", "Registration-Termination"), 305: ("PP", "Push-Profile"), 306: ("UD", "User-Data"),
    307: ("PU", "Profile-Update"), 308: ("SN", "Subscribe-Notifications"), 309: ("PN", "Push-Notification"),
    316: ("UL", "Update-Location"), 317: ("CL", "Cancel-Location"), 318: ("AI", "Authentication-Information"),
    319: ("ID", "Insert-Subscriber-Data"), 320: ("DS", "Delete-Subscriber-Data"), 321: ("PU", "Purge-UE"),
    322: ("RS", "Reset"),
    323: ("NO", "Notify"), 324: ("EC", "ME-Identity-Check"),
}

# RFC 6733 7.1; the base protocol's own number space
RESULTS = {
    1001: "DIAMETER_MULTI_ROUND_AUTH", 2001: "DIAMETER_SUCCESS", 2002: "DIAMETER_LIMITED_SUCCESS",
    3001: "DIAMETER_COMMAND_UNSUPPORTED", 3002: "DIAMETER_UNABLE_TO_DELIVER", 3003: "DIAMETER_REALM_NOT_SERVED",
    3004: "DIAMETER_TOO_BUSY", 3005: "DIAMETER_LOOP_DETECTED", 3006: "DIAMETER_REDIRECT_INDICATION",
    3007: "DIAMETER_APPLICATION_UNSUPPORTED", 3008: "DIAMETER_INVALID_HDR_BITS", 3009: "DIAMETER_INVALID_AVP_BITS",
    3010: "DIAMETER_UNKNOWN_PEER", 4001: "DIAMETER_AUTHENTICATION_REJECTED", 4002: "DIAMETER_OUT_OF_SPACE",
    4003: "ELECTION_LOST", 5001: "DIAMETER_AVP_UNSUPPORTED", 5002: "DIAMETER_UNKNOWN_SESSION_ID",
    5003: "DIAMETER_AUTHORIZATION_REJECTED", 5004: "DIAMETER_INVALID_AVP_VALUE", 5005: "DIAMETER_MISSING_AVP",
    5006: "DIAMETER_RESOURCES_EXCEEDED", 5007: "DIAMETER_CONTRADICTING_AVPS", 5008: "DIAMETER_AVP_NOT_ALLOWED",
    5009: "DIAMETER_AVP_OCCURS_TOO_MANY_TIMES", 5010: "DIAMETER_NO_COMMON_APPLICATION",
    5011: "DIAMETER_UNSUPPORTED_VERSION",
    5012: "DIAMETER_UNABLE_TO_COMPLY", 5013: "DIAMETER_INVALID_BIT_IN_HEADER", 5014: "DIAMETER_INVALID_AVP_LENGTH",
    5015: "DIAMETER_INVALID_MESSAGE_LENGTH", 5016: "DIAMETER_INVALID_AVP_BIT_COMBO",
    5017: "DIAMETER_NO_COMMON_SECURITY",
}

# TS 29.272 7.4: Experimental-Result-Code of vendor 10415, a number space of its own
EXPERIMENTAL = {
    4181: "DIAMETER_AUTHENTICATION_DATA_UNAVAILABLE", 4182: "DIAMETER_ERROR_CAMEL_SUBSCRIPTION_PRESENT",
    5001: "DIAMETER_ERROR_USER_UNKNOWN", 5004: "DIAMETER_ERROR_ROAMING_NOT_ALLOWED",
    5420: "DIAMETER_ERROR_UNKNOWN_EPS_SUBSCRIPTION", 5421: "DIAMETER_ERROR_RAT_NOT_ALLOWED",
    5422: "DIAMETER_ERROR_EQUIPMENT_UNKNOWN", 5423: "DIAMETER_ERROR_UNKOWN_SERVING_NODE",
}
