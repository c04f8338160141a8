"""What the readers of all formats share: the account they give of a file, and the piece of it that is in memory."""

from __future__ import annotations

from dataclasses import dataclass

from .compression import Source
from .lanes import Scanner

_MOST_REMARKS = 20      # about damage; the rest is counted
RECORDING = "flowcheck recording "        # in the description of an evidence capture's interface, in front of a number


@dataclass(slots=True)
class Interface:
    """One interface of a capture. `drops` are packets it lost as the file itself says, None where it does not say."""

    name: str
    link: int
    snaplen: int
    drops: int | None = None
    description: str = ""

    @property
    def recording(self) -> int | None:
        """The number of the tap whose packets these are, in an evidence capture; None in any other."""
        number = self.description.removeprefix(RECORDING).partition(":")[0]
        return int(number) if self.description.startswith(RECORDING) and number.isascii() and number.isdigit() and len(number) < 5 else None


class Account:
    """What is learned of a file besides its packets. The attributes grow while it is read and are final at its end."""

    def __init__(self) -> None:
        self.format = ""
        self.interfaces: list[Interface] = []
        self.secrets: list[tuple[int, bytes]] = []       # secrets type and octets, as in the file
        self.names: list[tuple[str, str]] = []           # address and name, from name resolution blocks
        self.truncated = False                           # ends in the middle of a packet, or was damaged
        self.packets = 0                                 # read so far
        self.cut = 0                                     # of them shortened by the snap length
        self.scanner: Scanner | None = None              # passes what need not be looked at; may be set at any time
        self._notes: list[str] = []
        self._damages = 0
        self._counts: dict[str, int] = {}

    @property
    def drops(self) -> int | None:
        """Packets lost by the capturing system as the file says, None where it does not say."""
        known = [interface.drops for interface in self.interfaces if interface.drops is not None]
        return sum(known) if known else None

    @property
    def remarks(self) -> list[str]:
        """One sentence for each thing that limits what this file can show."""
        notes = self._notes + [text.format(count) for text, count in self._counts.items()]
        if self._damages > _MOST_REMARKS:
            notes.append(f"damaged in {self._damages - _MOST_REMARKS} more places")
        if self.cut:
            notes.append(f"{self.cut} packets were cut by the snap length; what they held beyond it is not known")
        if self.drops:
            notes.append(f"the capturing system dropped {self.drops} packets, as the file's statistics say")
        return notes

    # What the format readers report.

    def describe(self, name: str, order: str, compression: str) -> None:
        self.format = ", ".join(filter(None, (name + (" big-endian" if order == ">" else ""), compression)))

    def add_interface(self, name: str, link: int, snaplen: int, description: str = "") -> None:
        self.interfaces.append(Interface(name, link, snaplen, description=description))

    def remark(self, text: str) -> None:
        if len(self._notes) < 2 * _MOST_REMARKS:
            self._notes.append(text)

    def damaged(self, text: str) -> None:
        """Something of the file is lost."""
        self.truncated = True
        self._damages += 1
        if self._damages <= _MOST_REMARKS:
            self._notes.append(text)

    def cut_off(self, number: int, offset: int) -> None:
        self.truncated = True
        self._notes.append(f"cut in the middle of packet {number} at byte {offset}: all whole packets before it are read")

    def count(self, text: str) -> None:
        """One more of something; `text` holds {} for the number."""
        self._counts[text] = self._counts.get(text, 0) + 1


class Pieces:
    """The part of the (decompressed) file that is in memory: `block`, of which `at` is read; `base` is its offset in the file."""

    def __init__(self, source: Source, block: bytes):
        self.source, self.block = source, block
        self.at = self.base = 0

    def more(self) -> bool:
        """Reads on, forgetting what is before `at`; False at the end of the file. A long rest is doubled, so that a search
        through many pieces copies each octet a few times only."""
        rest = self.block[self.at:]
        pieces, size = [rest], 0
        while (piece := self.source.read()):
            pieces.append(piece)
            size += len(piece)
            if size >= len(rest):
                break
        if not size:
            return False
        self.base += self.at
        self.block = b"".join(pieces)
        self.at = 0
        return True
