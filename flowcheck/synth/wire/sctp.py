"""SCTP chunks (RFC 9260), by scapy: an association and user messages on it."""

from __future__ import annotations

from typing import Any


class Association:
    """Side 0 is the client."""

    def __init__(self, net: Any, client: tuple[str, int], server: tuple[str, int]):
        self.net, self.ends = net, (client, server)
        self.tags = [net.random.getrandbits(32) | 1, net.random.getrandbits(32) | 1]
        self.tsn = [net.random.getrandbits(31), net.random.getrandbits(31)]
        self.sequence = [0, 0]
        self.offered = self.accepted = False

    def _packet(self, side: int, chunk: Any, tag: int | None = None) -> None:
        from scapy.layers.sctp import SCTP

        (src, sport), (dst, dport) = self.ends[side], self.ends[1 - side]
        data = bytes(SCTP(sport=sport, dport=dport, tag=self.tags[1 - side] if tag is None else tag) / chunk)
        self.net.send(src, dst, 132, data)

    def init(self) -> None:
        from scapy.layers.sctp import SCTPChunkInit

        self.offered = True
        self._packet(
            0,
            SCTPChunkInit(init_tag=self.tags[0], a_rwnd=65535, n_out_streams=2, n_in_streams=2, init_tsn=self.tsn[0]),
            tag=0,
        )

    def accept(self) -> None:
        from scapy.layers.sctp import (
            SCTPChunkCookieAck,
            SCTPChunkCookieEcho,
            SCTPChunkInitAck,
            SCTPChunkParamStateCookie,
        )

        cookie = bytes(range(32))
        self.accepted = True
        self._packet(
            1,
            SCTPChunkInitAck(
                init_tag=self.tags[1],
                a_rwnd=65535,
                n_out_streams=2,
                n_in_streams=2,
                init_tsn=self.tsn[1],
                params=[SCTPChunkParamStateCookie(cookie=cookie)],
            ),
        )
        self._packet(0, SCTPChunkCookieEcho(cookie=cookie))
        self._packet(1, SCTPChunkCookieAck())

    def abort(self, side: int) -> None:
        from scapy.layers.sctp import SCTPChunkAbort

        self._packet(side, SCTPChunkAbort())

    def open(self) -> None:
        if not self.offered:
            self.init()
        if not self.accepted:
            self.accept()

    def send(self, side: int, ppid: int, data: bytes, again: bool = False) -> None:
        """One DATA chunk; its receiver acknowledges it."""
        from scapy.layers.sctp import SCTPChunkData, SCTPChunkSACK

        self._packet(
            side,
            SCTPChunkData(
                beginning=1,
                ending=1,
                tsn=self.tsn[side],
                stream_id=0,
                stream_seq=self.sequence[side],
                proto_id=ppid,
                data=data,
            ),
        )
        self._packet(1 - side, SCTPChunkSACK(cumul_tsn_ack=self.tsn[side], a_rwnd=65535))
        self.tsn[side] = (self.tsn[side] + 1) & 0xFFFFFFFF
        self.sequence[side] += 1
