"""Captures made from rules: a conforming run of a procedure, and the same run with one thing wrong.

    rule ─► choices (which run) ─► plan (its messages) ─► mutants (one change each) ─► stage (packets, keys, site)

The encoders under wire/ are independent of flowcheck's decoders: they build their bytes themselves or with scapy,
pycrate, lxml and Python's ssl. So a capture that is judged otherwise than it was made shows a fault of the rule, the
engine or a decoder.
"""
