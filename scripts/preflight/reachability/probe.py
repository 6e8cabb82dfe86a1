"""KF_MODE probe: see probe.pl."""

AT_ONCE, LEAST_SENT = 400, 8
CANDIDATES = tuple(
    map(
        int,
        "9216 9001 9000 8951 8950 8942 8900 4096 2044 1600 1550 1500 1492 1480 1476 1472 1468 1462 1460 1454 1450 1446 1442 1440 1430 1428"
        " 1422 1420 1414 1410 1408 1400 1390 1380 1376 1360 1350 1340 1320 1300 1280 1200 1000 576".split(),
    )
)
HELLO = b"KFr1 " + TOKEN.encode() + b" "


def measured(job, best):
    if not job.done:
        out("mtu %s %d %d" % (job.id, best, job.local))
    job.close()


def sizes(job):
    try:
        job.local = min(job.socket.getsockopt(socket.IPPROTO_IPV6 if job.six else 0, 24 if job.six else 14), 65535)
    except OSError:
        job.local = 1500
    # What a router once said of this way is in that figure too; the interface itself takes what can be sent.
    job.local = next((size for size in CANDIDATES if size > job.local and sized(job, size)), job.local)
    job.sizes = [job.local]


def echo(job, size, room):
    text = struct.pack("!BBHHH", 128 if job.six else 8, 0, 0, os.getpid() & 0xFFFF, size & 0xFFFF) + b"k" * room
    if not job.six:  # the kernel sums up those of version 6 only
        even = text + b"\0" * (len(text) % 2)
        total = sum(struct.unpack("!%dH" % (len(even) // 2), even))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        text = text[:2] + struct.pack("!H", ~total & 0xFFFF) + text[4:]
    return text


def sized(job, size):
    room = size - (48 if job.six else 28)
    if job.kind == "ping":
        text = echo(job, size, room)
    else:
        head = b"KFm1 %s %s %d " % (TOKEN.encode(), NAME.encode(), size)
        text = head + b"k" * (room - len(head))
    for _try in range(3):  # what a router said about an earlier packet is told once, in the place of the next one
        try:
            job.socket.send(text)
            return True
        except BlockingIOError:
            return True
        except OSError:
            continue
    return False


def due(job):
    if now() < job.next:
        return
    job.next = now() + 0.2
    job.sent += 1
    if job.kind == "udp":
        try:
            job.socket.send(HELLO + b"%s 0 " % NAME.encode())
        except BlockingIOError:
            pass
        except OSError as error:
            job.failed(error.errno or errno.EIO, FAR)
        return
    # Large ones first: where a smaller one is answered, a larger one of the same volley is late no more, but lost.
    if job.tries < (3 if job.round else 2):
        job.tries += 1
        for size in job.sizes:
            if size > job.best:
                sized(job, size)
        return
    closer(job)


def closer(job):
    """The interface's own size alone; where that does not arrive, the usual ones; then those next to the largest that arrived."""
    job.tries, job.round = 0, job.round + 1
    if job.round == 1:
        job.sizes = [job.local, *(size for size in CANDIDATES if size < job.local)]
        return
    above = min((size for size in job.sizes if size > job.best), default=0)
    if job.round == 3 or not job.best or above - job.best < 2:
        measured(job, job.best)
        return
    job.sizes = list(range(above - 1, job.best, -((above - job.best) // 24 or 1)))


def connected(job):
    error = job.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        job.failed(error, FAR)
        return
    job.connected = True
    info = job.socket.getsockopt(socket.IPPROTO_TCP, 11, 104)
    job.rtt = struct.unpack("16I", info[8:72])[15] if len(info) >= 72 else 0
    if not job.hello:
        job.ended("open")
        return
    try:
        job.socket.send(HELLO + NAME.encode() + b"\n")
    except OSError:
        pass


def spoken(job):
    try:
        text = job.socket.recv(256)
    except (BlockingIOError, InterruptedError):
        return
    except OSError:
        text = b""
    found = re.match(re.escape(HELLO) + rb"(\S{1,63})\n", text)
    if found:
        job.ended("ok", found.group(1).decode("ascii", "replace"))
    else:
        job.ended("other" if text else "silent")


def answered(job):
    if job.kind == "tcp":
        spoken(job)
        return
    for _try in range(200):
        try:
            text = job.socket.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            if job.kind == "udp":
                job.failed(error.errno or errno.EIO, FAR)
                return
            continue
        if job.kind == "ping":
            text = text if job.six else text[(text[0] & 15) * 4 :]
            kind, mark, size = text[0], *struct.unpack("!HH", text[4:8])
            if kind in (0, 129) and mark == os.getpid() & 0xFFFF and size in job.sizes:
                job.best = max(job.best, size)
        else:
            found = re.match(rb"KF[rm]1 (\S+) (\d+) (\S{1,63}) ", text)
            if not found or found.group(1) != TOKEN.encode():
                continue
            if job.kind == "udp":
                job.ended("ok", found.group(3).decode("ascii", "replace"))
                return
            job.best = max(job.best, int(found.group(2)))
        if job.best >= job.local:
            measured(job, job.best)
            return


def overdue(job, patience):
    age = now() - job.began
    if job.kind in ("mtu", "ping"):
        if age >= 2 * patience:
            measured(job, 0)  # not all sizes were tried
        return
    # Where this server was slow, it has not asked often enough yet.
    if job.kind == "udp" and job.hello and job.sent < LEAST_SENT:
        return
    if age < (0.6 if job.kind == "udp" and not job.hello else patience):
        return
    if job.connected:
        job.ended("silent" if job.hello else "open")
        return
    nearest, word = hop(job.address)
    if word == "silent":
        job.ended("neighbour", nearest)
    else:
        job.ended("timeout", "hop-known" if word == "known" else "")


def probe():
    waiting, running, patience = targets(), [], int(E["KF_WAIT_MILLISECONDS"]) / 1000
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            job = waiting.pop(0)
            job.begin()
            if not job.done and job.kind in ("mtu", "ping"):
                sizes(job)
            if not job.done:
                running.append(job)
        for job in running:
            if job.kind != "tcp":
                due(job)
        live = {job.socket: job for job in running if not job.done}
        read = [one for one, job in live.items() if job.kind != "tcp" or job.connected]
        write = [one for one, job in live.items() if job.kind == "tcp" and not job.connected]
        ready = select.select(read, write, [], 0.05) if live else ([], [], [])
        for one in ready[0]:
            answered(live[one])
        for one in ready[1]:
            connected(live[one])
        for job in live.values():
            if not job.done:
                overdue(job, patience)
        running = [job for job in running if not job.done]


probe()
out("done")
