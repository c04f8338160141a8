import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowcheck.rulebook.patterns import any_matches, matches, select
from flowcheck.rulebook.site import load_site


@pytest.mark.parametrize("pattern, name, wanted", [
    ("*.ManagementServer.URL", "Device.ManagementServer.URL", True),
    ("*.ManagementServer.URL", "ManagementServer.URL", False),          # one part or more
    ("*.ManagementServer.URL", "Device.ManagementServer.URL.X", False),
    ("*.ManagementServer.URL", "Device.managementserver.url", False),
    ("Device.*.URL", "Device.A.B.URL", True),
    ("*.FAPService.*.REM.*", "Device.Services.FAPService.1.REM.WCDMAFDD.Cell.1.BCCH.CellID", True),
    ("*.FAPService.*.REM.*", "Device.Services.FAPService.1.REM.", False),
    ("*.ExpeditedEvent", "Device.FaultMgmt.ExpeditedEvent.", True),      # a partial path
    ("*.X_*_Location.*", "Device.X_EXAMPLE-COM_Location.Latitude", True),
    ("*.X_*_Location.*", "Device.X_A.B_Location.Latitude", False),       # within one part
    ("*.IKESA.*.IPAddress", "Device.FAP.Tunnel.IKESA.[cpe-1].IPAddress", True),
    ("*.*.a", "x.a", False), ("*.*.a", "x.y.a", True), ("*.*.a", "x.y.z.a", True),
    ("*", "a.b.c", True), ("a", "a", True), ("a", "ab", False), ("a.b", "aXb", False),
    ("*.URL", "Device.URL\n", False),
])
def test_matches(pattern, name, wanted):
    assert matches(pattern, name) is wanted


def by_definition(pattern, name):
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(by_definition(pattern[1:], name[taken:]) for taken in range(1, len(name) + 1))
    return bool(name) and pattern[0] == name[0] and by_definition(pattern[1:], name[1:])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from("ab*"), min_size=1, max_size=6),
       st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
def test_matches_what_the_definition_says(pattern, name):
    assert matches(".".join(pattern), ".".join(name)) is by_definition(pattern, name)


def test_hostile_names_take_linear_time():
    name = "a." * 50_000 + "a"
    begin = time.process_time()
    assert not any_matches(("*.a.*.a.*.a.*.b", "*.a.a.*.a.a.*.c.*.d"), name)
    assert time.process_time() - begin < 1


def test_select_keeps_the_order_of_the_names():
    assert select(("*.B", "*.A"), ["D.A", "D.C", "D.B"]) == ["D.A", "D.B"] and select((), ["D.A"]) == []


V1, V2 = "InternetGatewayDevice.Services.FAPService.1.", "Device.Services.FAPService.1."


@pytest.mark.parametrize("meaning, name", [
    ("location", V1 + "GPS.LockedLatitude"), ("location", "Device.FAP.GPS.LockedLatitude"),
    ("location", "InternetGatewayDevice.FAP.GPS.ContinuousGPSStatus.Longitude"),
    ("location", V1 + "REM.WCDMAFDD.Cell.1.BCCH.CellID"),
    ("location", V2 + "REM.UMTS.WCDMA.Cell.1.RF.PrimaryScramblingCode"),
    ("location", V2 + "REM.LTE.Cell.1.BCCH.PLMNList.1.PLMNID"), ("location", "Device.FAPService.1.REM.GSM.Cell.2.CI"),
    ("location", "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.ExternalIPAddress"),
    ("segw_serving", V1 + "FAPControl.UMTS.Gateway.SecGWServer1"),
    ("segw_serving", V2 + "FAPControl.LTE.Gateway.SecGWServer3"),
    ("segw_serving", "Device.FAP.FAPControl.UMTS.Gateway.SecGWServer1"),
    ("hms_serving", "Device.ManagementServer.URL"), ("hms_serving", "InternetGatewayDevice.ManagementServer.URL"),
    ("hnb_gw", V1 + "FAPControl.UMTS.Gateway.FAPGWServer2"),
    ("s1_far_end", V2 + "FAPControl.LTE.Gateway.S1SigLinkServerList"),
    ("inner_address", V1 + "Transport.Tunnel.IKESA.1.IPAddress"),
    ("inner_address", "Device.FAP.Tunnel.IKESA.1.IPAddress"),
    ("inner_address", "Device.IPsec.IKEv2SA.1.LocalAddress"),
    ("cwmp_in_tunnel", V1 + "Transport.Tunnel.UseForCWMP"), ("cwmp_in_tunnel", "Device.FAP.Tunnel.UseForCWMP"),
    ("ipsec_indicator", V2 + "CellConfig.LTE.Tunnel.1.Enable"),
    ("pm_enable", V1 + "PerfMgmt.FileMgmt.PeriodicUploadEnable"), ("pm_enable", "Device.FAP.PerfMgmt.Config.1.Enable"),
    ("pm_url", V1 + "PerfMgmt.FileMgmt.URL"), ("pm_interval", "Device.FAP.PerfMgmt.Config.1.PeriodicUploadInterval"),
    ("alarm_mechanism", V1 + "FaultMgmt.SupportedAlarm.4.ReportingMechanism"),
    ("alarm_mechanism", "Device.FaultMgmt.SupportedAlarm.4.ReportingMechanism"),
    ("alarm_event", V1 + "FaultMgmt.QueuedEvent.1.EventTime"), ("alarm_tables", "Device.FaultMgmt.ExpeditedEvent."),
    ("admin_state", V1 + "FAPControl.AdminState"), ("admin_state", V2 + "FAPControl.UMTS.AdminState"),
])
def test_default_patterns_know_all_mounts_and_versions(meaning, name):
    assert any_matches(load_site().parameters[meaning], name)


@pytest.mark.parametrize("meaning, name", [
    ("location", "Device.DeviceInfo.SoftwareVersion"), ("location", V2 + "REM.UMTS.WCDMA.ScanStatus"),
    ("hms_serving", "Device.ManagementServer.ConnectionRequestURL"),
    ("hms_serving", "Device.FAP.PerfMgmt.Config.1.URL"),
    ("hnb_gw", V2 + "FAPControl.UMTS.Gateway.FAPGWPort"), ("segw_serving", V2 + "FAPControl.UMTS.Gateway.FAPGWServer1"),
    ("pm_enable", V2 + "CellConfig.LTE.Tunnel.1.Enable"),
    ("alarm_event", "Device.FaultMgmt.SupportedAlarm.1.ReportingMechanism"),
])
def test_default_patterns_do_not_reach_too_far(meaning, name):
    assert not any_matches(load_site().parameters[meaning], name)
