"""A rule file as typed objects: what the loader makes and conform/ judges by, in the words of docs/rule-language.md.

Values that start with `$` are references, kept as `Reference` until a site profile and an attempt give them a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Place(NamedTuple):
    """Where in a rule file something stands, 1-based."""

    path: str
    line: int
    column: int


class Reference(NamedTuple):
    """`$site.timers.dns`, `$segw_initial.name`, `$device.hnb_gw`: the dotted path after the `$`."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return "$" + ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of `where` or `expect`: a target and one test of it."""

    target: str                      # "field", "fields", "parameter", "parameters", "json"
    names: tuple[str, ...] | Reference
    test: str                        # "present", "equals", "in", "matches", "not", "at_least", "at_most"
    value: Any
    severity: str = "error"
    cite: str | None = None          # another document's clause, where the requirement comes from there
    hint: str = ""
    basis: str = "spec"              # "spec" or "engineering"
    side: str | None = None
    when: Condition | None = None    # judged only where this holds
    take: str | None = None          # what of the value is tested, as in Binding
    place: Place | None = None
    # as a function, which conform/checks.py makes once
    asked: Any = field(default=None, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """`{same_host: [a, b]}`, `{known: x}`, `{not: ..}`: true, false or unknown."""

    # same_host, is_name, needs_lookup, known, equals, all, any, not, seen, refused, past, expected, row, sooner
    test: str
    arguments: tuple[Any, ...]       # Conditions for all/any/not; names, literals or References otherwise
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Of `row`: an entry that the message reports, in a table whose rows say how entries of a kind are dealt with."""

    parameters: tuple[str, ...] | Reference          # the entries of the message
    table: Reference                                 # $device.<name>, kept with `each: true`
    # the columns that both have: a row is about the entries that agree with it
    by: tuple[str, ...]
    column: str                                      # of the table
    values: tuple[Any, ...]                          # one of which stands there
    since: str                                       # the entries' column that says when it happened

    def __str__(self) -> str:
        names = self.parameters
        return f"an entry of {names if isinstance(names, Reference) else ', '.join(names)}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A message by its kind, its ends and its content; used by refused_by, unless, evidence and infer."""

    messages: tuple[str, ...]
    src: str | None = None           # role names
    dst: str | None = None
    where: tuple[Check, ...] = ()
    hint: str = ""
    side: str | None = None
    place: Place | None = None
    # infer: the last such message before the first of that pattern; requires, unless: one that none of them precedes
    before: Pattern | None = None
    name_from: str | None = None     # infer: a field that holds the role's name (a DNS question)
    unless_known: tuple[str, ...] = ()   # infer: only while none of these roles is known


@dataclass(frozen=True, slots=True)
class Binding:
    """`bind` and `remember`: a value taken out of the matched message."""

    name: str                        # "segw_initial.address", "hnb_gw"
    # "field", "parameter", "value": one that stands in the rule, "time": the message's, ns
    source: str
    names: tuple[str, ...] | Reference
    take: str | None = None          # "host", "port", "path" of a URL, a member of the value; None: the value itself
    each: bool = False               # facts: kept for every parameter by its name
    value: Any = None                # where `source` is "value"


@dataclass(frozen=True, slots=True)
class Fact:
    """What such a message tells of the device from then on, whatever attempt it belongs to."""

    pattern: Pattern
    answered_by: Pattern | None = None   # it holds from this answer on; without such an answer it never does
    remember: tuple[Binding, ...] = ()
    forget: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deadline:
    after: str                       # a step
    seconds: float | Reference
    basis: str = "engineering"       # "spec": late is an error; "engineering": a warning


@dataclass(frozen=True, slots=True)
class Silence:
    """A time without the message, too long to be allowed; `unless` are messages from which it is counted anew."""

    longer_than: float | Reference                   # seconds; of several values the longest
    slack: float | Reference = 0.0                   # seconds on top, which are ours
    unless: tuple[Pattern, ...] = ()


@dataclass(frozen=True, slots=True)
class Repeat:
    minimum: int = 1
    maximum: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    step: str
    cite: str
    title: str = ""                                  # what the clause asks, in a few words
    messages: tuple[str, ...] = ()                   # kinds; empty where `unchecked`
    src: str | None = None                           # `from`
    dst: str | None = None                           # `to`
    where: tuple[Check, ...] = ()
    answers: str | None = None
    refused_by: tuple[Pattern, ...] = ()
    bind: tuple[Binding, ...] = ()
    remember: tuple[Binding, ...] = ()               # kept for the device beyond this attempt, as $device.<name>
    expect: tuple[Check, ...] = ()
    within: Deadline | None = None
    inside: str | None = None                        # "ipsec" or "tls": has to run inside that layer
    perhaps_inside: str | None = None                # may run inside that layer, and is then hidden with it
    should_be_inside: tuple[str, ...] = ()           # should run inside one of these layers; outside them is a warning
    optional: bool = False
    repeat: Repeat = Repeat()
    when: Condition | None = None
    severity: str = "error"
    hint: str = ""
    side: str | None = None                          # who should act when the step goes wrong
    unchecked: str | None = None
    evidence: tuple[Pattern, ...] = ()               # what may stand in for a step that cannot be seen
    wireshark: str | None = None                     # a display filter instead of `message`
    forbidden: bool = False                          # the message shall not occur here
    silence: Silence | None = None                   # with `forbidden`: it is the absence of the message that shall not
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class OneOfSeveral:
    shown_by: str                                    # the step that shows that another host did it
    when: Condition | None = None                    # unless this is false


@dataclass(frozen=True, slots=True)
class Group:
    group: str
    items: tuple[Step | Group, ...]
    order: str = "sequence"                          # "sequence", "any", "one_of"
    optional: bool = False
    repeat: Repeat = Repeat()
    when: Condition | None = None
    expect: tuple[Check, ...] = ()                   # judged over all messages the group matched
    forbidden: bool = False                          # its steps shall not all occur here, one after another
    cite: str = ""
    hint: str = ""
    place: Place | None = None
    one_of_several: OneOfSeveral | None = None       # gone through for each of several hosts, of which one is enough

    def steps(self) -> Iterator[Step]:
        """Every step in it, in the order of the file."""
        return _steps(self.items)


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    # device, dns_server, ike_responder, acs, file_server, sctp_server, host
    kind: str
    path: str | None = None                          # "direct" or "tunnel"
    hosts: tuple[Reference | str, ...] = ()          # `host:`, in order of preference
    infer: tuple[Pattern, ...] = ()                  # without a site profile: the end of such a message, best first
    title: str = ""                                  # as the ladder writes it: "SeGW (initial)"
    unless: tuple[Pattern, ...] = ()                 # of a device: such a message of it shows that it is another kind
    when: Condition | None = None                    # of a device: what decides where no message does
    # its interfaces have addresses of their own; every `infer` adds one
    several_hosts: bool = False
    perhaps_unseen: bool = False                     # it may be out of reach of the taps; its steps are then not judged


@dataclass(frozen=True, slots=True)
class Opening:
    """The `attempt:` section: when an attempt begins, goes on and ends."""

    opens_at: tuple[str, ...]
    resumes_at: tuple[str, ...] = ()
    quiet: float | Reference = 300.0
    unless: tuple[Pattern, ...] = ()                 # such a message in the attempt means another procedure is meant
    requires: tuple[Pattern, ...] = ()               # one of these must occur, else the traffic is no attempt of it
    key: str | None = None                           # a field whose value tells interleaved attempts apart
    given_up_by: tuple[Pattern, ...] = ()            # with such a message somebody ends the attempt
    unless_last: tuple[str, ...] = ()                # what gets no further than such a step is no attempt of it


@dataclass(frozen=True, slots=True)
class Sample:
    captures: tuple[str, ...]
    verdict: str
    findings: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    site: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    procedure: str
    title: str
    document: str                                    # "3GPP TS 32.583"
    version: str
    clause: str
    status: str                                      # mandatory, optional, conditional, described
    describe: str
    roles: tuple[Role, ...]
    attempt: Opening
    items: tuple[Step | Group, ...]
    facts: tuple[Fact, ...] = ()
    then: tuple[str, ...] = ()                       # procedures that normally follow
    samples: tuple[Sample, ...] = ()
    path: str = ""
    digest: str = ""                                 # sha256 of the file
    _steps: tuple[Step, ...] = field(init=False, repr=False, compare=False)
    _by_name: Mapping[str, Step] = field(init=False, repr=False, compare=False)
    _role_by_name: Mapping[str, Role] = field(init=False, repr=False, compare=False)
    # what is made of a rule is kept under it, and often asked for
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps = tuple(_steps(self.items))
        for name, value in (("_steps", steps), ("_by_name", {step.step: step for step in reversed(steps)}),
                            ("_role_by_name", {role.name: role for role in reversed(self.roles)}),
                            ("_hash", hash((self.procedure, self.digest)))):
            object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return self._hash

    @property
    def citation(self) -> str:
        return f"{self.document} {self.clause}"

    def role(self, name: str) -> Role | None:
        return self._role_by_name.get(name)

    def steps(self) -> tuple[Step, ...]:
        """Every step, in the order of the file."""
        return self._steps

    def groups(self) -> Iterator[Group]:
        """Every group, an outer one before those in it."""
        return _groups(self.items)

    def step(self, name: str) -> Step:
        return self._by_name[name]

    def is_reply(self, step: Step) -> bool:
        """Is it sent by who received what it `answers`? A client's Finished only goes with its own hello."""
        return step.answers is not None and self.step(step.answers).dst in (step.src, None)


def _steps(items: tuple[Step | Group, ...]) -> Iterator[Step]:
    for item in items:
        if isinstance(item, Step):
            yield item
        else:
            yield from _steps(item.items)


def _groups(items: tuple[Step | Group, ...]) -> Iterator[Group]:
    for item in items:
        if isinstance(item, Group):
            yield item
            yield from _groups(item.items)


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the site profile. Several names and addresses may be one host."""

    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """A site profile with the defaults filled in; what `$site.…` refers to."""

    name: str
    hosts: Mapping[str, Host]
    same_entity: tuple[tuple[str, ...], ...]
    ports: Mapping[str, tuple[int, ...]]
    timers: Mapping[str, float]                      # seconds
    parameters: Mapping[str, tuple[str, ...]]        # name -> data-model patterns; `*` is one or more path parts
    fields: Mapping[str, tuple[str, ...]]            # name -> JSON or XML field names with their aliases
    vendors: tuple[Vendor, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    capture_point: str | None = None
    deprovisioned: Mapping[str, Any] | None = None   # {"lifted_at": time}
    path: str = ""
    digest: str = ""
    # name -> regular expression; `matches: $site.bindings.x`
    bindings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vendor:
    """Parameter patterns that hold for devices matching `when` (a `field` check on the Inform)."""

    when: Check
    parameters: Mapping[str, tuple[str, ...]]
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Waiver:
    finding: str                                     # a finding code, `*` allowed
    reason: str
    until: str | None = None                         # ISO date; past it the waiver is itself a notice
