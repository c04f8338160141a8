"""The parts of a run that transfer files otherwise than by HTTP: FTP, and SFTP inside SSH."""

from __future__ import annotations

from .cast import Web
from .plan import Act
from .streams import Streams
from .wire import ftp, ssh

DEVICE, SERVER = 0, 1  # sides of a connection
SOFTWARE = {DEVICE: "synth_1.0", SERVER: "synthd_1.0"}
FILE = 40_000  # octets of a transfer that nobody can read


class Transfers(Streams):
    # ---------------------------------------------------------------------------------------------- FTP

    def control(self, act: Act) -> ftp.Control:
        """The control connection between the act's hosts, greeted."""
        server, address = self.server(act), self.address(self.world.device, act)
        if (address, server) not in self.controls:
            self.controls[address, server] = ftp.Control(self.net, address, self.world.addresses[server])
        return self.controls[address, server]

    def ftp_command(self, act: Act) -> None:
        self.control(act).command(act.content["command"], act.content.get("argument", "cm.xml"))

    def ftp_reply(self, act: Act) -> None:
        self.control(act).reply(int(act.content["code"]))

    def ftp_data(self, act: Act) -> None:
        if act.sealed:
            self._keyed(self.web(act))
            self._transfer(self.web(act), act.content.get("direction") != "download")
        else:
            self.control(act).data(int(act.content.get("bytes") or 1000))

    # ---------------------------------------------------------------------------------------------- SSH

    def ssh_version(self, act: Act) -> None:
        self._greeted(self.web(act), self._side(act))

    def ssh_kexinit(self, act: Act) -> None:
        self._offered(self.web(act), self._side(act))

    def ssh_newkeys(self, act: Act) -> None:
        """The keys, and the file that goes by them."""
        web = self.web(act)
        self._keyed(web)
        self._transfer(web, upwards=False)

    def ssh_disconnect(self, act: Act) -> None:
        web, side = self.web(act), self._side(act)
        self._greeted(web, side)
        web.tcp.send(side, ssh.disconnect(self.net.random))
        web.tcp.close(side)

    def _side(self, act: Act) -> int:
        return DEVICE if act.src == self.world.device else SERVER

    def _once(self, web: Web, side: int, what: str, data: bytes) -> None:
        if (side, what) not in web.said:
            web.said.add((side, what))
            web.tcp.send(side, data)

    def _greeted(self, web: Web, *sides: int) -> None:
        web.tcp.open()
        for side in sides:
            self._once(web, side, "version", ssh.version(SOFTWARE[side]))

    def _offered(self, web: Web, last: int) -> None:
        """The offers of both sides up to that of the last one."""
        self._greeted(web, DEVICE, SERVER)
        for side in (1 - last, last):
            self._once(web, side, "kexinit", ssh.kexinit(self.net.random))

    def _keyed(self, web: Web) -> None:
        random = self.net.random
        self._offered(web, SERVER)
        self._once(web, DEVICE, "exchange", ssh.exchange(random))
        self._once(web, SERVER, "exchange", ssh.reply(random) + ssh.newkeys(random))
        self._once(web, DEVICE, "newkeys", ssh.newkeys(random))

    def _transfer(self, web: Web, upwards: bool) -> None:
        random = self.net.random
        for side, size in ((DEVICE, 400), (SERVER, 600), (DEVICE if upwards else SERVER, FILE), (DEVICE, 60)):
            for packet in ssh.sealed(random, size):
                web.tcp.send(side, packet)
