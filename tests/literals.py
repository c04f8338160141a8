"""Messages, rules and timelines as literals: what the tests of session/ and conform/ are written in.

Times are seconds, hosts are words: `message("dns.query", 1.5, "hnb", "dns", id=7)`. The frame number of a message is
its time in tenths of a second unless `frame` says otherwise, so that findings can be compared with what was written.
"""

from flowcheck.conform.judge import judge
from flowcheck.conform.matching import Matcher
from flowcheck.conform.scope import Host, Scope
from flowcheck.model import Device, Endpoint, FrameRef, Message, Opaque, Timeline
from flowcheck.rulebook import build, structure
from flowcheck.rulebook.mistakes import Mistakes
from flowcheck.rulebook.site import load_site
from flowcheck.rulebook.yamltree import read

SECOND = 1_000_000_000
ADDRESSES = {"hnb": "192.0.2.1", "inner": "10.0.0.1", "other": "192.0.2.2", "nat": "203.0.113.99",
             "dns": "198.51.100.53", "segw": "203.0.113.10", "acs": "198.51.100.80", "acs2": "198.51.100.81",
             "gw": "198.51.100.40"}
PORTS = {"dns": 53, "segw": 500, "acs": 7547, "acs2": 7547, "gw": 29169}
HNB = Device("hnb", {}, (ADDRESSES["hnb"], ADDRESSES["inner"]), outer=(ADDRESSES["hnb"],))
MADE_OF = frozenset(Message.__dataclass_fields__) - {"kind", "time", "frames", "src", "dst", "fields"}


def end(name, port=None):
    """`hnb`, `hnb:4500`, or an address."""
    name, _, given = name.partition(":")
    return Endpoint(ADDRESSES.get(name, name), int(given) if given else port or PORTS.get(name, 40000))


def message(kind, at=0.0, src="hnb", dst="acs", *, frame=None, capture=0, **values):
    """Names that Message has go there, all others into its fields; `__` stands for the dot of a field's name."""
    own = {name: value for name, value in values.items() if name in MADE_OF}
    fields = {name.replace("__", "."): value for name, value in values.items() if name not in MADE_OF}
    number = round(at * 10) if frame is None else frame
    return Message(kind, round(at * SECOND), (FrameRef(capture, number),), end(src), end(dst), fields=fields, **own)


def rule(text, procedure="x-1"):
    """A rule of the `steps:` given, and of `attempt:` and `roles:` where the text has them."""
    if "attempt:" not in text:
        text += "\nattempt: {opens_at: [a]}"
    if "roles:" not in text:
        text += "\nroles: {hnb: {kind: device}, acs: {kind: host}}"
    mistakes = Mistakes()
    spec = "{document: X, version: '1', clause: '1', status: mandatory}"
    data = read(f"procedure: {procedure}\ntitle: T\nspec: {spec}\ndescribe: d\n{text}\n", "rule.yaml", mistakes)
    if not mistakes:
        structure.check(data, "schema.json", "rule.yaml", mistakes)
    assert not mistakes, mistakes.lines()
    return build.rule(data, "rule.yaml", "")


def scope(known=None, device=HNB, site=None, remembered=None, resolved=None):
    """What a rule may refer to; `known` maps roles to hosts' names or addresses."""
    def host(value):
        return value if isinstance(value, Host) else Host(frozenset(), frozenset({ADDRESSES.get(value, value)}), "site")

    roles = {name: host(value) for name, value in (known or {}).items()}
    return Scope(site or load_site(), device, roles, remembered=remembered or {}, resolved=resolved or {})


def matcher(of, **more):
    return Matcher(of, scope(**more))


def timeline(*messages, device=HNB, opaque=(), gaps=(), begins=None, ends=None):
    """`begins` and `ends` are the capture's, in seconds; otherwise the first message and an hour after the last."""
    ordered = tuple(sorted(messages, key=lambda m: m.time))
    first = ordered[0].time if begins is None else round(begins * SECOND)
    last = ordered[-1].time + 3600 * SECOND if ends is None else round(ends * SECOND)
    return Timeline(device, ordered, tuple(opaque), (first, last), tuple(gaps))


def sealed(start, stop, kind="esp", src="hnb", dst="segw", **fields):
    return Opaque(kind, round(start * SECOND), round(stop * SECOND), end(src), end(dst), packets=9, size=999,
                  fields=fields)


def judged(of, *messages, site=None, expected=(), **more):
    """The attempts of the rule, or rules, on the timeline of these messages."""
    rules = of if isinstance(of, (list, tuple)) else (of,)
    return judge(rules, site or load_site(), timeline(*messages, **more), expected)


def codes(attempt, severities=("error", "warning")):
    """The findings of an attempt without the procedure's name."""
    return [f.code.partition("/")[2] for f in attempt.findings if f.severity in severities]


def states(attempt):
    return {step.step: step.state for step in attempt.steps}
