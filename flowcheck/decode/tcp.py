"""What a TCP connection itself says (RFC 9293): opened, refused, closed, reset.

The segments are put in order by capture/tcp.py; the messages named here are made from its events, because a procedure
may stop at the connection, before any protocol on it has said a word.
"""

KINDS = {
    "tcp.syn": ("sequence", "midway"),
    "tcp.syn_ack": ("sequence",),
    "tcp.refused": ("sequence",),      # RST in answer to a SYN
    "tcp.fin": ("sequence",),
    "tcp.reset": ("sequence",),        # RST on an open connection
}
