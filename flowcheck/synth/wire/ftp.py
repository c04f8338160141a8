"""An FTP session in passive mode (RFC 959): the control connection, with the login it needs, and a data connection."""

from __future__ import annotations

from typing import Any

from ..packets import Tcp

TEXTS = {
    150: "Opening data connection",
    226: "Transfer complete",
    230: "Logged in",
    530: "Login incorrect",
    550: "No such file",
}
TRANSFERS = ("RETR", "STOR", "STOU", "APPE")
DATA_PORT = 50021


class Control:
    def __init__(self, net: Any, client: str, server: str):
        self.net, self.client, self.server = net, client, server
        self.tcp = Tcp(net, (client, 41000 + net.random.randrange(1000)), (server, 21))
        self.logged_in = self.transferred = False
        self.last = ""

    def _line(self, side: int, text: str) -> None:
        self.tcp.send(side, (text + "\r\n").encode())

    def _open(self) -> None:
        if not self.tcp.accepted:
            self.tcp.open()
            self._line(1, "220 FTP server ready")

    def _login(self) -> None:
        self._line(0, "USER femto")
        self._line(1, "331 Password required")
        self._line(0, "PASS secret")
        self._line(1, "230 Logged in")
        self.logged_in = True

    def command(self, word: str, argument: str) -> None:
        """A command of the device; what has to come before it is done first."""
        self._open()
        if word == "PASS":
            self._line(0, "USER femto")
            self._line(1, "331 Password required")
        elif word != "USER" and not self.logged_in:
            self._login()
        if word in TRANSFERS:
            self._line(0, "PASV")
            numbers = ",".join((*self.server.split("."), str(DATA_PORT >> 8), str(DATA_PORT & 255)))
            self._line(1, f"227 Entering Passive Mode ({numbers})")
            self.transferred = False
        self._line(0, f"{word} {'femto' if word in ('USER', 'PASS') else argument}")
        self.last = word

    def data(self, size: int) -> None:
        """The transfer that was asked for."""
        self._line(1, "150 Opening data connection")
        connection = Tcp(self.net, (self.client, 42000 + self.net.random.randrange(1000)), (self.server, DATA_PORT))
        side = 1 if self.last == "RETR" else 0
        connection.open()
        connection.send(side, bytes(size))
        connection.close(side)
        self.transferred = True

    def reply(self, code: int) -> None:
        """A reply of the server, to the last command or, without one, when the device connects (5.4)."""
        if not self.last:
            self._open()
            return
        if code == 230 and self.last == "USER":
            self._line(1, "331 Password required")
            self._line(0, "PASS secret")
        if code in (226, 250) and not self.transferred:
            self.data(1000)
        self.logged_in |= code == 230
        self._line(1, f"{code} {TEXTS.get(code, 'Reply')}")

    def quit(self) -> None:
        if self.tcp.accepted:
            self.tcp.close(0)
