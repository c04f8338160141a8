"""What the rulebook's tests share: a whole rule, the message kinds it names, and a way to break it."""

from pathlib import Path

import pytest

KINDS = {
    "dns.query": ("id", "qname", "qtype"),
    "dns.response": ("id", "rcode", "qname", "answers"),
    "ike.sa_init.request": ("id", "notify"),
    "ike.sa_init.response": ("notify",),
    "ike.auth.request": ("notify",),
    "ike.auth.response": ("notify",),
    "ike.delete": ("notify", "spis"),
    "tls.client_hello": ("sni",),
    "tls.server_hello": ("version",),
    "tls.alert": ("level", "description"),
    "cwmp.Inform": ("id", "DeviceId.Manufacturer", "DeviceId.OUI", "DeviceId.ProductClass", "DeviceId.SerialNumber",
                    "Event",
                    "ParameterList"),
    "cwmp.InformResponse": ("id",),
    "cwmp.GetParameterValues": ("ParameterNames",),
    "cwmp.GetParameterValuesResponse": ("ParameterList",),
    "cwmp.SetParameterValues": ("ParameterList",),
    "cwmp.SetParameterValuesResponse": ("Status",),
    "cwmp.Fault": ("FaultCode",),
    "cwmp.session_end": ("reason",),
    "http.*": ("*",),
}


@pytest.fixture
def kinds():
    return KINDS


@pytest.fixture
def discovery():
    """The path of a rule that has nothing wrong."""
    return Path(__file__).with_name("discovery.yaml")


@pytest.fixture
def broken(discovery, tmp_path):
    """`broken(old, new)`: a copy of the rule in which the first `old` is `new`, as (path, text)."""
    def change(old, new, name="broken.yaml"):
        text = discovery.read_text()
        assert old in text, f"the rule has no {old!r}"
        path = tmp_path / name
        path.write_text(text.replace(old, new, 1))
        return path, path.read_text()
    return change
