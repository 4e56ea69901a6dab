"""Small recordings of events, written byte by byte as the cameras' formats have them."""

from __future__ import annotations

import struct

import numpy as np

EVENTS = np.zeros(60, [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
EVENTS["t"] = np.arange(60) * 37
EVENTS["x"] = np.arange(60) * 7 % 100
EVENTS["y"] = np.arange(60) * 5 % 100
EVENTS["p"] = np.arange(60) % 3 == 0

STREAM = """<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">
<node name="0" path="/mainloop/Recorder/outInfo/0/">
<attr key="compression" type="string">NONE</attr>
<attr key="typeIdentifier" type="string">EVTS</attr>
<node name="info" path="/mainloop/Recorder/outInfo/0/info/"><attr key="sizeX" type="int">100</attr>
<attr key="sizeY" type="int">100</attr></node></node></node></dv>"""


def aedat4() -> bytes:
    """AEDAT 4 without compression: a header and one packet, both tables of FlatBuffers."""
    text = STREAM.encode()
    header = bytes.fromhex(
        "18000000 494f4845 000000000000 0a00 1400 0400 0c00 0800 0a00 0000"
        "00000000 0c000000 ffffffffffffffff"
    )
    header += struct.pack("<I", len(text)) + text + b"\0"
    header += bytes(-len(header) % 4)
    packet = struct.pack("<I4sHHHxxiI4xI", 16, b"EVTS", 6, 8, 4, 8, 8, len(EVENTS))
    for t, x, y, p in EVENTS.tolist():
        packet += struct.pack("<qhhB3x", t, x, y, p)
    packet = struct.pack("<I", len(packet)) + packet
    size = struct.pack("<I", len(header))
    return b"#!AER-DAT4.0\r\n" + size + header + struct.pack("<iI", 0, len(packet)) + packet


def aedat2() -> bytes:
    """AEDAT 2 of a DVS128."""
    address = EVENTS["y"].astype(">u4") << 8 | EVENTS["x"].astype(">u4") << 1 | EVENTS["p"]
    words = np.stack([address, EVENTS["t"]], 1).astype(">u4")
    return b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n" + words.tobytes()


def nmnist() -> bytes:
    """N-MNIST: x, y, and polarity above 23 bits of time."""
    columns = np.zeros((len(EVENTS), 5), np.uint8)
    columns[:, 0], columns[:, 1] = EVENTS["x"], EVENTS["y"]
    columns[:, 2], columns[:, 3], columns[:, 4] = EVENTS["p"] << 7, EVENTS["t"] >> 8, EVENTS["t"]
    return columns.tobytes()


def dat() -> bytes:
    """Prophesee's DAT: 32 bits of time, then polarity, row and column."""
    place = EVENTS["p"].astype("<u4") << 28 | EVENTS["y"].astype("<u4") << 14 | EVENTS["x"]
    words = np.stack([EVENTS["t"], place], 1).astype("<u4")
    return b"% Version 2\n% Height 100\n% Width 100\n\x00\x08" + words.tobytes()


def evt2() -> bytes:
    """EVT2: words of 32 bits; 8 is the time's high part, 0 and 1 are events."""
    words, high = [], None
    for t, x, y, p in EVENTS.tolist():
        if t >> 6 != high:
            high = t >> 6
            words.append(8 << 28 | high)
        words.append(p << 28 | (t & 63) << 22 | x << 11 | y)
    return b"% evt 2.0\n" + np.array(words, "<u4").tobytes()


def evt3() -> bytes:
    """EVT3: words of 16 bits; a row, times, single events, and a vector of eight."""
    words = [8 << 12]
    for t, x, y, p in EVENTS.tolist():
        words += [6 << 12 | t & 4095, y, 2 << 12 | p << 11 | x]
    words += [3 << 12 | 1 << 11 | 10, 5 << 12 | 0b10101010, 4 << 12 | 0b111]
    return b"% evt 3.0\n" + np.array(words, "<u2").tobytes()
