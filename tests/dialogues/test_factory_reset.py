"""TS 32.583 5.4: the reset waits for the end of the session in which it was ordered, not of any session."""

import pytest
from dialogue import Line, asked_for, over, rpc, session
from packets import post, reply

RULE = "ts32.583-5.4-factory-reset"


def ordered(line):
    return asked_for(line).down(reply(rpc("FactoryReset"))).up(post(rpc("FactoryResetResponse")))


@pytest.mark.parametrize("ending, verdict", [(over, "pass"), (lambda connection: None, "inconclusive"),
                                             (lambda connection: connection.reset(), "fail")])
def test_a_later_session_is_not_the_end_of_this_one(ending, verdict, tmp_path):
    line = Line()
    ending(ordered(line))
    line.wait(30)
    over(session(line, "0 BOOTSTRAP", "1 BOOT", number="b1"))
    assert [found for rule, found, _ in line.verdicts(tmp_path) if rule == RULE] == [verdict]
