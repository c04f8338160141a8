from pathlib import Path

import pytest

from flowcheck.errors import SiteError
from flowcheck.rulebook.rule import Host
from flowcheck.rulebook.site import effective, known_names, load_site, origins

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "captures"


@pytest.fixture
def profile(tmp_path):
    def write(text):
        path = tmp_path / "site.yaml"
        path.write_text(text)
        return path
    return write


def test_defaults_alone():
    site = load_site()
    assert (site.name, site.path, site.hosts) == ("defaults", "", {})
    timers = {name: site.timers[name] for name in (
        "dns", "ike", "tls", "cwmp", "sctp", "file_transfer", "address_change", "active_alarm", "quiet")}
    assert timers == {"dns": 5, "ike": 30, "tls": 10, "cwmp": 30, "sctp": 10, "file_transfer": 60, "address_change": 30,
                      "active_alarm": 60, "quiet": 300}
    assert site.ports["iuh"] == (29169,) and site.fields["server_service_ids"][0] == "serverServiceIds"


def test_a_site_is_stronger_list_by_list(profile):
    site = load_site(profile("""
site: lab-b
hosts:
  segw_initial: {name: segw1.lab.example, addresses: [192.0.2.10, "2001:db8::1"]}
  somebody: {names: [a.example, b.example]}
  same_entity: [[a.example, b.example]]
timers: {dns: 2.5}
ports: {cwmp: 8080}
parameters: {location: "*.Here", our_own: ["*.X"]}
capture_point: hms
waive:
  - {finding: ts32.583-5.1.1/hms-address/late, reason: slow resolver, until: 2027-01-31}
deprovisioned: {lifted_at: 2026-05-01T12:00:00Z}
"""))
    assert site.hosts == {"segw_initial": Host(("segw1.lab.example",), ("192.0.2.10", "2001:db8::1")),
                          "somebody": Host(("a.example", "b.example"), ())}
    assert site.same_entity == (("a.example", "b.example"),)
    assert (site.timers["dns"], site.timers["ike"]) == (2.5, 30) and site.ports["cwmp"] == (8080,)
    assert site.parameters["location"] == ("*.Here",) and site.parameters["our_own"] == ("*.X",)
    assert site.parameters["hms_serving"] == ("*.ManagementServer.URL",)
    assert site.waivers[0].until == "2027-01-31" and site.deprovisioned == {"lifted_at": "2026-05-01T12:00:00Z"}
    assert (site.name, site.capture_point, len(site.digest)) == ("lab-b", "hms", 64)
    assert "somebody" in known_names(site)["hosts"] and "our_own" in known_names(site)["parameters"]


@pytest.mark.parametrize("inform, fits", [
    ({"DeviceId.Manufacturer": "Example Femto"}, True),
    ({"DeviceId": {"Manufacturer": "Example Femto"}}, True),
    ({"DeviceId": {"Manufacturer": "Other"}}, False),
    ({}, False),
])
@pytest.mark.parametrize("test", ["equals: Example Femto", "in: [A, Example Femto]", "matches: '^Example'",
                                  "not: Other"])
def test_vendor_patterns_are_added_or_replace(profile, inform, fits, test):
    vendors = f"""
parameters: {{location: ["*.Here"]}}
vendors:
  - when: {{field: DeviceId.Manufacturer, {test}}}
    parameters: {{location: ["*.X_EXAMPLE_Location.*"], hnb_gw: "*.X_GW"}}
"""
    added = effective(load_site(profile(vendors)), inform)
    assert added.parameters["location"] == (("*.Here", "*.X_EXAMPLE_Location.*") if fits else ("*.Here",))
    replaced = effective(load_site(profile(vendors + "    replace: true\n")), inform)
    assert (replaced.parameters["hnb_gw"] == ("*.X_GW",)) is fits
    assert replaced.timers == added.timers and replaced.name == added.name and replaced.bindings == added.bindings


def test_origins_name_the_line(profile):
    path = profile("site: a\ntimers:\n  dns: 4\nhosts: {mme: {name: m.example}}\n")
    found = origins(load_site(path))
    assert (found["timers.dns"], found["timers.ike"], found["hosts.mme"]) == (f"{path}:3", "default", f"{path}:4")


@pytest.mark.parametrize("text, says", [
    ("hosts: {segw_initial: {nam: a}}", "1:23: 'segw_initial' has no 'name' (and a key 'nam' nobody reads)"),
    ("hosts: {segw_initial: {name: a, names: [b]}}", "1:33: 'name' and 'names' exclude each other"),
    ("hosts: {mme: {addresses: [mme.example]}}",
     "1:27: host 'mme': 'mme.example' is no IPv4 or IPv6 address; a name belongs under 'names'"),
    ("hosts: {mme: {addresses: 192.0.2.1}}", "1:15: 'addresses' must be a list, not '192.0.2.1'"),
    ("timer: {dns: 5}", "1:1: unknown key 'timer' (did you mean 'timers'?)"),
    ("timers: {dns: soon}", "1:10: 'dns' must be a number, not 'soon'"),
    ("timers: {dns: 0}", "1:10: 'dns: 0': must be more than 0"),
    ("ports: {cwmp: 70000}", "1:9: 'cwmp: 70000': must be at most 65535"),
    ("capture_point: wann", "1:1: 'capture_point: wann': must be wan, segw-inside or hms (did you mean 'wan'?)"),
    ("waive: [{finding: x}]", "1:9: an entry of 'waive' has no 'reason'"),
    ("waive: [{finding: x, reason: y, until: 31.1.2027}]", "1:33: 'until: 31.1.2027': a date is written 2027-01-31"),
    ("waive: [{finding: x, reason: y, until: 2027-02-30}]", "1:33: 'until: 2027-02-30': there is no such day"),
    ("deprovisioned: {lifted_at: 2026-13-01}", "1:17: 'lifted_at: 2026-13-01': there is no such time"),
    ("bindings: {mcim_status_path: '('}", "1:12: 'mcim_status_path: (' is not a regular expression"),
    ("vendors: [{when: {field: a}, parameters: {b: c}}]", "1:18: 'when' needs one of equals, in, matches, not"),
    ("- a", "1:1: a site profile is a mapping that begins with 'site:'"),
    ("site: a\nsite: b", "2:1: 'site' is given twice; the first stands in line 1"),
])
def test_mistakes(profile, text, says):
    path = profile(text)
    with pytest.raises(SiteError) as caught:
        load_site(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 and lines[0].startswith(f"{path}:{says}")


def test_all_mistakes_at_once(profile):
    with pytest.raises(SiteError) as caught:
        load_site(profile("timers: {dns: x, ike: 0}\nhosts: {mme: {}}\n"))
    assert len(str(caught.value).splitlines()) == 3


def test_an_absent_file_and_an_empty_one(profile, tmp_path):
    with pytest.raises(SiteError, match="No such file"):
        load_site(tmp_path / "absent.yaml")
    assert load_site(profile("# nothing yet\n")).timers["dns"] == 5


@pytest.mark.skipif(not CAPTURES.is_dir(), reason="the shared captures are not beside this checkout")
def test_profiles_of_the_shared_captures_load():
    paths = sorted(CAPTURES.glob("*/*/site.yaml"))
    assert paths and all(load_site(path).hosts for path in paths)
