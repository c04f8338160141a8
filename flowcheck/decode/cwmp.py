"""CWMP, the SOAP messages of TR-069: every RPC of every namespace version, whatever prefixes and quirks a stack has.

The kind is `cwmp.` and the RPC element's local name; vendor RPCs keep theirs. Arguments stand under their TR-069 names,
members of a struct under a dotted one (`DeviceId.OUI`), arrays as lists, a ParameterList as {name: value}. An envelope
without an RPC, which only carries header flags, is `cwmp.empty`; one that cannot be read is `cwmp.malformed`. SOAP that
is not CWMP yields nothing.
"""

from __future__ import annotations

from sys import intern
from typing import Any

from ..model import Context, Message, Problem
from . import _cwmp_checks, _soap
from ._cwmp_rpcs import ARGUMENTS, ARRAYS, BOOLEANS, INTEGERS, KINDS as _RPC_KINDS, TRUTH
from ._soap import ARRAY_TYPE, XSI_TYPE, local, namespace, text

# The end of a session is no message on the wire; session/cwmp.py adds it, and to all the events of the session's
# Inform.
KINDS = {kind: (*fields, "session_events")
         for kind, fields in (_RPC_KINDS | {"cwmp.session_end": ("complete", "reason", "by", "owing", "waited")}).items()}
PAYLOADS = ("application/soap+xml",)

_NAMESPACE = "urn:dslforum-org:cwmp-1-"
_QUALIFIED = "{" + _NAMESPACE  # how a tag of it begins
_VERSIONS = {_NAMESPACE + minor: "1." + minor for minor in "01234"}
_TYPED = INTEGERS | BOOLEANS
_DEEPEST = 8                   # levels of structs within structs
_MOST_ITEMS = 100_000          # of one array


def decode(data: bytes, context: Context) -> list[Message]:
    """The messages of one HTTP body."""
    found: list[Message] = []
    for number, envelope in enumerate(_soap.envelopes(data, context.missing > 0)):
        problems = envelope.problems
        if number == 1:
            problems.append(Problem(0, "several envelopes in one HTTP message"))
        if envelope.root is None:
            if not envelope.cut and _NAMESPACE.encode() in data:
                found.append(context.message("cwmp.malformed", {}, tuple(problems)))
        elif local(envelope.root.tag) == "Envelope":
            _envelope(envelope, data, context, found)
    return found


def _envelope(envelope: _soap.Envelope, data: bytes, context: Context, found: list[Message]) -> None:
    root, problems = envelope.root, envelope.problems
    spoken = namespace(root.tag)
    header = body = None
    for child in root:
        name = local(child.tag)
        if name == "Header":
            header = child
        elif name == "Body":
            body = child
    version, flags = _header(header, problems)
    if body is None:
        if not envelope.cut and (version or _declared(root)):
            problems.append(Problem(0, "an envelope without a Body"))
            found.append(context.message("cwmp.malformed", flags | {"cwmp_version": version}, tuple(problems)))
        return
    children = body[:]
    calls = [child for child in children if _is_cwmp(child, version, root)]
    if not calls and children:
        return
    if spoken != _soap.SOAP_1_1:
        problems.append(Problem(0, "a SOAP 1.2 envelope; CWMP uses 1.1" if spoken == _soap.SOAP_1_2
                                else f"an envelope of the unknown namespace {spoken!r}"))
    if not calls:
        if not envelope.cut and (version or _declared(root)):
            flags["cwmp_version"] = _version(version or _declared(root), flags)
            found.append(context.message("cwmp.empty", flags, tuple(problems)))
        return
    if len(calls) > 1:
        problems.append(Problem(0, f"{len(calls)} RPCs in one Body"))
    for call in calls:
        name = local(call.tag)
        fields: dict[str, Any] = dict(flags)
        worse: list[Problem] = list(problems)
        if name == "Fault":
            own = _fault(call, fields, worse)
        else:
            own = namespace(call.tag)
            if not own.startswith(_NAMESPACE):
                worse.append(Problem(0, f"{name} is in {own!r}, which is no CWMP namespace"))
            _arguments(call, fields, worse, "")
        if envelope.cut:
            worse = list(problems)               # what is missing is no fault of the peer's
        fields["cwmp_version"] = _version(own if own in _VERSIONS else version or _declared(root), fields)
        if not envelope.cut:
            tags = [child.tag for child in call]
            worse += _cwmp_checks.problems(name, fields, tags, data, context.carrier.get("direction"))
        found.append(context.message("cwmp." + name, fields, tuple(worse), incomplete=envelope.cut))


def _is_cwmp(call: Any, version: str, root: Any) -> bool:
    """Is this child of a Body an RPC, and not one of some other SOAP application?"""
    tag = call.tag
    if tag.startswith(_QUALIFIED):
        return True
    spoken, name = namespace(tag), local(tag)
    if name == "Fault":
        return bool(version or _declared(root) or any(namespace(e.tag).startswith(_NAMESPACE) for e in call.iter()))
    return name in ARGUMENTS and (not spoken or spoken == namespace(root.tag) or "dslforum" in spoken) \
        or bool(version) and name.startswith("X_")


def _declared(root: Any) -> str:
    """A CWMP namespace that the envelope declares, used or not."""
    return next((uri for uri in root.nsmap.values() if uri and uri.startswith(_NAMESPACE)), "")


def _header(header: Any, problems: list[Problem]) -> tuple[str, dict[str, Any]]:
    """(CWMP namespace, fields) of the Header."""
    spoken, fields = "", {"id": None}
    for element in header if header is not None else ():
        tag = element.tag
        name = local(tag)
        if tag.startswith(_QUALIFIED):
            spoken = namespace(tag)
        if name == "ID":
            fields["id"] = element.text or ""
        elif name == "SupportedCWMPVersions":
            fields[name] = [v.strip() for v in text(element).split(",") if v.strip()]
        elif name in ("HoldRequests", "NoMoreRequests", "SessionTimeout", "UseCWMPVersion"):
            fields[name] = _leaf(name, text(element), problems)
    return spoken, fields


def _version(spoken: str, fields: dict[str, Any]) -> str | None:
    """1.2, 1.3 and 1.4 share a namespace; their headers tell them apart."""
    if fields.get("UseCWMPVersion"):
        return fields["UseCWMPVersion"]
    offered = fields.get("SupportedCWMPVersions")
    if offered:
        return max(offered, key=lambda v: [int(part) if part.isdigit() else 0 for part in v.split(".")])
    if "SessionTimeout" in fields:
        return "1.3"
    return _VERSIONS.get(spoken)


# ---------------------------------------------------------------------------------------------------- arguments

def _arguments(call: Any, fields: dict[str, Any], problems: list[Problem], prefix: str, depth: int = 0) -> None:
    """The children of an RPC or a struct, each under its name."""
    for element in call:
        name = element.tag
        if name[0] == "{":
            name = local(name)
        if name == "ParameterList":
            fields[prefix + name] = _parameters(element, problems)
        elif name in ARRAYS or element.get(ARRAY_TYPE) is not None:
            _array(element, name, prefix, fields, problems, depth)
        elif len(element) and depth < _DEEPEST:
            _arguments(element, fields, problems, f"{prefix}{name}.", depth + 1)
        else:
            value = (element.text or "").strip()
            fields[prefix + name] = _leaf(name, value, problems) if name in _TYPED else value


def _parameters(parameters: Any, problems: list[Problem]) -> dict[str, Any]:
    """{name: value}, {name: writable} or {name: {attribute: value}}, by what the structs hold."""
    found: dict[str, Any] = {}
    twice = None
    count = 0
    for struct in parameters:
        count += 1
        members = struct[:]
        if len(members) == 2:                      # nearly always a ParameterValueStruct
            first, second = members
            if second.tag == "Value" and first.tag == "Name" and not len(second):
                name, value = first.text, second.text
                name = intern(name.strip()) if name else ""       # every device has the same ones
                if name in found:
                    twice = name
                found[name] = value.strip() if value else ""
                continue
        members = {local(member.tag): member for member in struct}
        if "Name" not in members:
            if len(struct) or text(struct):
                problems.append(Problem(0, "an entry of ParameterList without a Name"))
            continue
        name = text(members.pop("Name"))
        if name in found:
            twice = name
        if "Value" in members:
            found[name] = "".join(members["Value"].itertext()).strip()
        elif set(members) == {"Writable"}:
            found[name] = _leaf("Writable", text(members["Writable"]), problems)
        elif members:
            inner: dict[str, Any] = {}
            _arguments(members.values(), inner, problems, "", _DEEPEST - 1)
            found[name] = inner
    _count(parameters, count, problems)
    if twice is not None:
        problems.append(Problem(0, f"{twice} is twice in ParameterList"))
    return found


def _array(element: Any, name: str, prefix: str, fields: dict[str, Any], problems: list[Problem], depth: int) -> None:
    """A list of texts or structs; what the structs hold is also listed by member, for rules that look at one."""
    items = element[:_MOST_ITEMS]
    _count(element, len(items), problems)
    sizes = list(map(len, items))
    repeated = name in ("SetParameterValuesFault", "Results")     # by the schema, and by some stacks for other structs
    if not all(sizes) and (repeated or len({item.tag for item in items}) > 1):
        items, sizes = [element], [len(element)]
    found: list[Any] = fields.setdefault(prefix + name, [])
    for item, size in zip(items, sizes):
        if not size:
            found.append(text(item))
            continue
        inner: dict[str, Any] = {}
        kind = item.get(XSI_TYPE)
        if name == "Operations":
            inner["type"] = kind.rpartition(":")[2] if kind else local(item.tag)
        if depth < _DEEPEST:
            _arguments(item, inner, problems, "", depth + 1)
        found.append(inner)
        if prefix == "":
            for member, value in inner.items():
                fields.setdefault(f"{name}.{member}", []).append(value)


def _count(element: Any, count: int, problems: list[Problem]) -> None:
    """SOAP 1.1 5.4.2: the size in an arrayType is that of the array. Stacks often get it wrong."""
    said = element.get(ARRAY_TYPE)
    if said and said.endswith("]"):
        size = said[said.rfind("[") + 1:-1].strip()
        if size.isascii() and size.isdigit() and int(size[:9]) != count:
            problems.append(Problem(0, f"{local(element.tag)} says arrayType {said!r} and has {count} entries"))


def _leaf(name: str, value: str, problems: list[Problem]) -> Any:
    """The value as the schema types it; as text, with a Problem, where it is not of that type."""
    if name in INTEGERS:
        digits = value[1:] if value[:1] in ("-", "+") else value
        if digits.isascii() and digits.isdigit() and len(digits) < 20:
            return int(value)
        problems.append(Problem(0, f"{name} {value[:40]!r} is no number"))
    elif name in BOOLEANS:
        if value in TRUTH:
            return TRUTH[value]
        problems.append(Problem(0, f"{name} {value[:40]!r} is no boolean"))
    return value


def _fault(fault: Any, fields: dict[str, Any], problems: list[Problem]) -> str:
    """SOAP 1.1 4.4 with the CWMP detail; the namespace of the detail is returned."""
    spoken = ""
    for element in fault:
        name = local(element.tag)
        if name in ("faultcode", "faultstring"):
            fields[name] = text(element)
        elif name in ("detail", "Detail"):
            for detail in element:
                if local(detail.tag) == "Fault":
                    spoken = namespace(detail.tag)
                    _arguments(detail, fields, problems, "")
        elif name in ("FaultCode", "FaultString", "SetParameterValuesFault"):    # the detail left out around them
            _arguments([element], fields, problems, "")
    return spoken
