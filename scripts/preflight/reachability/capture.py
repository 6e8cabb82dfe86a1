"""What the listener sees of packets that open or refuse a connection, before any filter of this server, and after it for what it sends."""

MOST_KEYS, MAGIC, CAPTURE_BYTES = 20000, 0x4B467231, 8 << 20
YES, NO = 32, 33
FILTER = (  # what each line says: capture.pl
    (0x30, 0, 0, 0),
    (0x54, 0, 0, 0xF0),
    (0x15, 4, 3, 0x40),
    (0x15, 18, NO, 0x60),
    (0x30, 0, 0, 9),
    (0x15, 8, 6, 6),
    (0x15, 11, 7, 17),
    (0x15, 14, NO, 1),
    (0xB1, 0, 0, 0),
    (0x50, 0, 0, 13),
    (0x45, YES, NO, 6),
    (0xB1, 0, 0, 0),
    (0x40, 0, 0, 8),
    (0x15, YES, NO, MAGIC),
    (0xB1, 0, 0, 0),
    (0x50, 0, 0, 0),
    (0x15, YES, NO, 3),
    (0x06, 0, 0, 0),
    (0x30, 0, 0, 6),
    (0x15, 22, 20, 6),
    (0x15, 24, 21, 17),
    (0x15, 26, NO, 58),
    (0x30, 0, 0, 53),
    (0x45, YES, NO, 6),
    (0x20, 0, 0, 48),
    (0x15, YES, NO, MAGIC),
    (0x30, 0, 0, 40),
    (0x15, YES, NO, 1),
    *(((0x06, 0, 0, 0),) * 4),
    (0x06, 0, 0, 256),
    (0x06, 0, 0, 0),
)
seen, watch, unnoted = {}, set(), [0]


def note(into, *words):
    key = " ".join(str(word) for word in words)
    if key in into or len(into) < MOST_KEYS:
        into[key] = into.get(key, 0) + 1
    else:
        unnoted[0] += 1


def capture():
    try:
        import ctypes

        code = []
        for at, (op, true, false, k) in enumerate(FILTER):
            code.append(struct.pack("HBBI", op, true - at - 1 if true else 0, false - at - 1 if false else 0, k))
        buffer = ctypes.create_string_buffer(b"".join(code))
        made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        made.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HP", len(code), ctypes.addressof(buffer)))
        roomy(made, CAPTURE_BYTES)
        made.setblocking(False)
    except (OSError, AttributeError, ImportError) as error:
        return None, str(error)
    try:  # what came before the filter was there is not ours, nor is what was lost meanwhile
        while True:
            made.recv(256)
    except OSError:
        uncaptured(made)
    return made, ""


def roomy(made, size):
    try:
        made.setsockopt(socket.SOL_SOCKET, 33, size)
    except OSError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def uncaptured(made):
    """Packets that were lost since it was asked last."""
    try:
        return struct.unpack("II", made.getsockopt(263, 6, 8))[1]
    except (OSError, struct.error):
        return 1


def caught(made, most):
    for _try in range(most):
        try:
            packet, source = made.recvfrom(256)
        except OSError:
            return
        look(packet, source)


def layers(packet):
    if len(packet) < 28:
        return None
    if packet[0] >> 4 == 6:
        if len(packet) < 48:
            return None
        return (
            packet[6],
            socket.inet_ntop(socket.AF_INET6, packet[8:24]),
            socket.inet_ntop(socket.AF_INET6, packet[24:40]),
            packet[40:],
        )
    head = (packet[0] & 15) * 4
    return packet[9], socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]), packet[head:]


def look(packet, source):
    if source[3] == 772:  # loopback
        return
    way, found = "out" if source[2] == 4 else "in", layers(packet)
    if found is None or len(found[3]) < 8:
        return
    protocol, sender, target, rest = found
    sport, dport = struct.unpack("!HH", rest[:4])
    if protocol == 6:
        flags = rest[13] if len(rest) > 13 else 0
        kind, port = ("rst", sport) if flags & 4 else ("synack", sport) if flags & 16 else ("syn", dport)
        if ("tcp", port) in watch:
            note(seen, way, kind, sender, target, port)
    elif protocol == 17:
        if ("udp", dport) in watch:
            note(seen, way, "udp", sender, target, dport)
        elif ("udp", sport) in watch:
            note(seen, way, "answer", sender, target, sport)
    else:
        inner = layers(rest[8:])
        if inner is None or len(inner[3]) < 4:
            return
        word, port = "tcp" if inner[0] == 6 else "udp", struct.unpack("!HH", inner[3][:4])[1]
        if (word, port) in watch:
            note(seen, way, "unreachable", sender, inner[1], inner[2], word, port, rest[1])
