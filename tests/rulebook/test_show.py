from flowcheck.rulebook.loader import load_rule
from flowcheck.rulebook.show import filled, ladder, show
from flowcheck.rulebook.site import load_site

PROFILE = """site: lab-b
hosts:
  segw_initial: {name: segw1.lab.example, addresses: [192.0.2.10]}
timers: {dns: 4}
vendors:
  - when: {field: DeviceId.Manufacturer, equals: Example Femto}
    parameters: {location: ["*.X_EXAMPLE_Location.*"]}
"""


def both(discovery, kinds, tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(PROFILE)
    return load_rule(discovery, kinds), load_site(path), path


def test_values_stand_in_place_with_their_origin(discovery, kinds, tmp_path):
    rule, site, path = both(discovery, kinds, tmp_path)
    lines = filled(rule, site).splitlines()
    deadlines = [line.strip() for line in lines if "within: {" in line]
    assert f"within: {{after: ask-segw, seconds: 4, basis: engineering}}   # $site.timers.dns, {path}:4" in deadlines
    assert "within: {after: sa-init, seconds: 30, basis: engineering}   # $site.timers.ike, default" in deadlines
    segw = next(line for line in lines if "$site.hosts.segw_initial" in line)
    assert segw.startswith("    host: [{names: [segw1.lab.example], addresses: ['192.0.2.10']}, $device.segw]")
    assert segw.endswith(f"# $site.hosts.segw_initial, {path}:3")
    hms = next(line for line in lines if "$site.hosts.hms_initial" in line)
    assert "host: null}" in hms and hms.endswith("not in the profile, inferred from the traffic")
    assert not [line for line in lines if "$site." in line.partition("   # ")[0]]


def test_a_long_list_stands_below_its_key_and_names_the_vendor(discovery, kinds, tmp_path):
    rule, site, _ = both(discovery, kinds, tmp_path)
    lines = filled(rule, site).splitlines()
    start = next(number for number, line in enumerate(lines) if "$site.parameters.location" in line)
    assert lines[start].endswith("default, where DeviceId.Manufacturer equals Example Femto: also "
                                 "['*.X_EXAMPLE_Location.*']")
    assert lines[start + 1] == "          - '*.GPS.LockedLatitude'"
    assert lines[start + len(site.parameters["location"]) + 1] == "        at_least: 1"


def test_what_is_shown_is_still_yaml_and_says_the_same(discovery, kinds, tmp_path):
    """The site's values read back are the site's values; comments of the rule are kept."""
    from flowcheck.rulebook.mistakes import Mistakes
    from flowcheck.rulebook.yamltree import read

    rule, site, _ = both(discovery, kinds, tmp_path)
    text = filled(rule, site)
    mistakes = Mistakes()
    data = read(text, "shown", mistakes)
    assert not mistakes and "# EAP-AKA adds rounds" in text
    inform = next(item for item in data["steps"] if item.get("step") == "inform")
    assert inform["expect"][1]["parameters"] == list(site.parameters["location"])
    assert inform["expect"][3]["matches"] == site.bindings["msgin5g_path"]
    assert data["attempt"]["quiet"] == 300


def test_ladder(discovery, kinds, tmp_path):
    rule, site, _ = both(discovery, kinds, tmp_path)
    lines = ladder(rule, site).splitlines()
    assert lines[0] == f"ts32.583-5.1.1  {rule.title}  (3GPP TS 32.583 5.1.1, 18.0.0)"
    heads = lines[2]
    query = next(line for line in lines if line.startswith("2.1 "))
    answer = next(line for line in lines if line.startswith("2.2 "))
    assert "- dns.query -" in query and query.index(">") < query.index("ask-segw  (1 to 5 times)")
    assert "<-" in answer and answer.endswith("segw-address  (within 4 s of ask-segw)")
    for line in (query, answer):                       # both between the lifelines of their roles
        assert line.index("|") == heads.index("hnb") + 1
        assert abs(line.index("|", line.index("|") + 1) - (heads.index("dns_outer") + 4)) <= 1
    assert any("leave-initial:  (in any order; when hms_serving is another host than hms_initial and (set-values was "
               "seen or "
               "the name of hms_initial has to be looked up or $segw_initial.name = $segw_serving.name))" in line
               for line in lines), lines
    assert any("cannot be checked: LAN attachment" in line for line in lines)
    assert any("foreign-tool  (shall not occur; perhaps inside tls)" in line for line in lines)
    assert lines[-1].strip() == "then ts32.583-5.2.1"


def test_a_choice_of_messages_is_counted(broken, kinds):
    path, _ = broken("message: cwmp.session_end", "message: [cwmp.session_end, cwmp.Fault, cwmp.Inform]")
    assert "- cwmp.session_end or 2 others -" in ladder(load_rule(path, kinds), load_site())
    path, _ = broken("message: cwmp.session_end", "message: [cwmp.session_end, cwmp.Fault]")
    assert "- cwmp.session_end or cwmp.Fault -" in ladder(load_rule(path, kinds), load_site())


def test_labels_fit_between_their_roles(discovery, kinds, tmp_path):
    rule, site, _ = both(discovery, kinds, tmp_path)
    text = ladder(rule, site)
    for step in rule.steps():
        if step.messages and step.src and step.dst:
            assert f" {step.messages[0]} " in text
    assert show(rule, site).endswith("then ts32.583-5.2.1\n")
