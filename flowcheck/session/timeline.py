"""An observation as one ordered sequence of messages per device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from .. import model
from ..model import Device, Gap, Message, Opaque, Timeline
from ..shelf import together
from . import addresses, challenges, copies, cwmp, devices, losses, overruled, transactions

UNKNOWN = Device(model.UNKNOWN, {}, ())


def sequence(messages: Sequence[Message], taps: Sequence[int],
             gaps: Sequence[Gap] = (), until: int | None = None,
             spend: bool = False) -> tuple[list[Message], copies.Folded]:
    """Copies folded, requests paired with answers, CWMP sessions closed; and what the folding found out.

    `until` is when the capture ends, ns; its last message where that is not known. A list to `spend` is emptied, so that
    a message can go as soon as another one stands for it.
    """
    # RFC 6762: nobody's resolver
    folded = copies.fold([m for m in messages if m.protocol != "dns" or not m.fields.get("mdns")], taps)
    if spend:
        messages.clear()
    holes = frozenset(folded.streams.get(gap.stream, gap.stream) for gap in gaps if gap.stream is not None)
    paired = overruled.without(transactions.pair(folded.messages))
    folded.messages.clear()
    return challenges.fold(cwmp.sessions(paired, holes), until), folded


def _torn(messages: Sequence[Message], opaque: Sequence[Opaque]) -> frozenset[frozenset[str]]:
    """The pairs of hosts with a connection that was accepted, and of which nothing else is in the capture."""
    accepted = {m.stream: frozenset((m.src.address, m.dst.address)) for m in messages if m.kind == "tcp.syn_ack"}
    for message in messages:
        if message.kind not in ("tcp.syn", "tcp.syn_ack"):
            accepted.pop(message.stream, None)
    for item in opaque:
        accepted.pop(item.stream, None)
    return frozenset(accepted.values())


def _given_out(messages: Iterable[Message], whose: devices.Assignment, own: dict[str, list[Message]],
               nobodys: dict[str, set[str]]) -> Iterator[tuple[str, Message]]:
    """Puts each message to its owners, and says of each the first of them."""
    for message in messages:
        owners = whose.owners(message)
        for device in owners or (UNKNOWN,):
            own[device.id].append(message)
        if not owners and whose.shared:
            for address in whose.shared & {message.src.address, message.dst.address}:
                nobodys[address].add(message.protocol)
        yield (owners[0] if owners else UNKNOWN).id, message


def timelines(messages: Sequence[Message], opaque: Sequence[Opaque], gaps: Sequence[Gap],
              window: tuple[int, int] | None,
              taps: Sequence[int], fields: Mapping[str, tuple[str, ...]] | None = None,
              bindings: Mapping[str, str] | None = None, windows: Mapping[int, tuple[int, int]]
              | None = None, spend: bool = False) -> list[Timeline]:
    """One Timeline per device, in order of device id; traffic of nobody known comes last under `unknown`.

    `fields` and `bindings` of the site profile say how documents name a device. `windows` are those of the taps. With
    `spend` the list of messages is empty afterwards: what nobody needs any more can go on the way.
    """
    if window is None:
        return []
    ordered, folded = sequence(messages, taps, gaps, window[1], spend)
    lost = losses.lasting(losses.between(folded.sightings, gaps, taps, windows), ordered, taps) if windows else {}
    whose = devices.assign(ordered, folded.aliases, fields, bindings, opaque)
    links = frozenset(map(frozenset, {(item.src.address, item.dst.address) for item in (*ordered, *opaque)}))
    protocols = frozenset([m.protocol for m in {m.kind: m for m in ordered}.values()])
    torn = _torn(ordered, opaque)
    own: dict[str, list[Message]] = defaultdict(list)
    hidden: dict[str, list[Opaque]] = defaultdict(list)
    # address that devices share -> what they speak there, nobody knows who
    nobodys: dict[str, set[str]] = defaultdict(set)
    together(_given_out(ordered, whose, own, nobodys))
    for item in opaque:
        owners = whose.owners_of_opaque(item)
        for device in owners or (UNKNOWN,):
            hidden[device.id].append(item)
        if not owners:
            for address in whose.shared & {item.src.address, item.dst.address}:
                nobodys[address].add(item.kind)
    for address in whose.lookups_taken:
        nobodys[address].add("dns")
    holes: dict[int | None, list[int]] = defaultdict(list)                     # stream -> places in `gaps`
    for place, gap in enumerate(gaps):
        holes[folded.streams.get(gap.stream, gap.stream) if gap.stream is not None else None].append(place)
    # what was lost may have been of any device
    anybodys = {m.stream: {m.src.address, m.dst.address} for m in own[UNKNOWN.id] if m.stream in holes}
    found = []
    for device in (*whose.devices, UNKNOWN):
        messages = own.get(device.id, ())
        if messages or device is UNKNOWN and hidden.get(device.id):
            streams = {m.stream for m in messages}
            hosts = {end.address for m in messages for end in (m.src, m.dst)} if anybodys else set()
            streams |= {stream for stream, ends in anybodys.items() if ends & hosts}
            near = tuple(gaps[place] for place in sorted(place for stream in (None, *streams)
                                                         for place in holes.get(stream, ())))
            found.append(Timeline(device, addresses.with_changes(messages, device),
                                  tuple(hidden.get(device.id, ())),
                                  window, near, links, protocols, torn=torn, lost=lost,
                                  nobodys=frozenset(kind for address in device.shared
                                                    for kind in nobodys.get(address, ()))))
    return found
