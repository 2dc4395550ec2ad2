"""A network that delivers one segment twice, the second time seconds late.

    python3 -m captures.lab.late_copy INTERFACE PORT SECONDS

Waits for the first segment with data that leaves INTERFACE from or to the TCP port PORT, and sends
it out there again later: the same bytes, but for the checksum that the kernel leaves to the card.
"""

import socket
import sys
import time

OUTGOING = 4  # PACKET_OUTGOING
ETHERNET = 14


def ones_complement(data: bytes) -> int:
    """The internet checksum (RFC 1071) of some bytes."""
    if len(data) % 2:
        data += b"\0"
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def with_checksum(frame: bytes) -> bytes:
    """An Ethernet frame of TCP over IPv4, its TCP checksum filled in."""
    packet = frame[ETHERNET:]
    start = (packet[0] & 15) * 4
    segment = bytearray(packet[start : int.from_bytes(packet[2:4], "big")])
    segment[16:18] = b"\0\0"
    pseudo = packet[12:20] + b"\0\x06" + len(segment).to_bytes(2, "big")
    segment[16:18] = ones_complement(pseudo + segment).to_bytes(2, "big")
    return frame[: ETHERNET + start] + bytes(segment)


def carries(frame: bytes, port: int) -> bool:
    """Whether it is a TCP segment with data from or to that port."""
    packet = frame[ETHERNET:]
    if frame[12:14] != b"\x08\x00" or packet[9] != socket.IPPROTO_TCP:
        return False
    start = (packet[0] & 15) * 4
    tcp = packet[start : int.from_bytes(packet[2:4], "big")]
    ports = int.from_bytes(tcp[:2], "big"), int.from_bytes(tcp[2:4], "big")
    return port in ports and len(tcp) > (tcp[12] >> 4) * 4


def main() -> None:
    """Wait for the segment, and send it again."""
    interface, port, late = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
        wire.bind((interface, 0))
        wire.settimeout(20)
        while True:
            frame, address = wire.recvfrom(65535)
            if address[2] == OUTGOING and carries(frame, port):
                break
        time.sleep(late)
        wire.send(with_checksum(frame))


if __name__ == "__main__":
    main()
