"""Messages and contexts: sealed, compared by value, made anew with `but`."""

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from flowcheck.model import Context, Endpoint, FrameRef, Message

CLIENT, SERVER = Endpoint("192.0.2.1", 40000), Endpoint("198.51.100.1", 53)
QUERY = Message("dns.query", 5, (FrameRef(0, 1),), CLIENT, SERVER, 7, ("ip", "udp"), {"qname": "a.example"})
PLACE = Context(5, (FrameRef(0, 1),), CLIENT, SERVER, ("ip", "udp"), 7)


@pytest.mark.parametrize("thing", [QUERY, PLACE])
def test_nothing_of_it_can_be_changed(thing):
    for field in fields(thing):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, field.name, None)
        with pytest.raises(FrozenInstanceError):
            delattr(thing, field.name)
    with pytest.raises(AttributeError):
        thing.another = 1


def test_but_is_replace_and_leaves_the_first_as_it_was():
    again = QUERY.but(transaction=3, fields={})
    assert again == replace(QUERY, transaction=3, fields={}) != QUERY
    assert (again.transaction, again.kind, type(again)) == (3, "dns.query", Message)
    assert QUERY.transaction is None and QUERY.fields == {"qname": "a.example"}
    with pytest.raises(AttributeError):
        QUERY.but(nonsense=1)


def test_equal_by_value_and_only_to_its_own_kind():
    assert QUERY == QUERY.but() and QUERY is not QUERY.but()
    assert QUERY != PLACE
    assert repr(QUERY).startswith("Message(kind='dns.query', time=5, ")


@pytest.mark.parametrize("thing", [QUERY, PLACE])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_it_can_be_copied_and_sent_to_another_process(thing, copied):
    assert copied(thing) == thing and type(copied(thing)) is type(thing)


def test_each_has_containers_of_its_own():
    one, other = (Message("a.b", 0, (), CLIENT, SERVER) for _ in range(2))
    assert one.fields == {} and one.fields is not other.fields


def test_a_layer_further_in():
    inside = PLACE.within("tls", missing=3)
    assert (inside.layers, inside.missing, inside.stream) == (("ip", "udp", "tls"), 3, 7)
    assert inside.message("tls.alert", {}).protocol == "tls"
