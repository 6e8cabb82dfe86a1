"""Whom to try, and how a try begins and ends: see targets.pl."""

# What this server's own routing says at once. Later the same errors are what others say by ICMP.
LOCAL = {error: "noroute" for error in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EINVAL)}
LOCAL[errno.EPERM] = "denied"
FAR = {
    errno.ECONNREFUSED: "refused",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EACCES: "unreachable",
    errno.EPERM: "denied",
}
hops = {}


def said_by(*words):
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode("ascii", "replace")
    except OSError:
        return ""


def hop(address):
    """(address, known|silent|unsure) of whom a packet goes to next: whether it answers for its hardware address."""
    if address not in hops:
        route = said_by("ip", "-o", "route", "get", address)
        via, device = re.search(r" via (?:inet6? )?(\S+)", route), re.search(r" dev (\S+)", route)
        nearest = via.group(1) if via else address
        said = said_by("ip", "neigh", "show", "to", nearest, "dev", device.group(1)) if device else ""
        known = re.search(r"REACHABLE|STALE|DELAY|PROBE|PERMANENT|NOARP", said)
        hops[address] = (nearest, "silent" if re.search(r"FAILED|INCOMPLETE", said) else "known" if known else "unsure")
    return hops[address]


class Job:
    def __init__(self, words, found):
        self.id, self.kind, self.port, self.hello = words[0], words[1], int(words[3]), words[4] == "hello"
        self.six, self.address = found[0] == socket.AF_INET6, found[4][0]
        self.socket, self.done, self.connected, self.rtt, self.next, self.sent = None, False, False, 0, 0, 0
        self.best = self.local = self.tries = self.round = 0
        self.sizes = []

    def close(self):
        self.done = True
        if self.socket is not None:
            self.socket.close()

    def ended(self, state, detail=""):
        if not self.done:
            out("result %s %s %d %s" % (self.id, state, self.rtt, detail or "-"))
        self.close()

    def failed(self, error, states):
        state = states.get(error, "error")
        if state == "unreachable":
            nearest, word = hop(self.address)
            if word == "silent":
                self.ended("neighbour", nearest)
                return
        self.ended(state, os.strerror(error))

    def begin(self):
        self.began = now()
        sized = self.kind in ("mtu", "ping")
        kind = socket.SOCK_STREAM if self.kind == "tcp" else socket.SOCK_RAW if self.kind == "ping" else socket.SOCK_DGRAM
        protocol = (58 if self.six else 1) if self.kind == "ping" else 0
        try:
            self.socket = socket.socket(socket.AF_INET6 if self.six else socket.AF_INET, kind, protocol)
        except OSError as error:
            self.failed(error.errno or errno.EIO, {})
            return
        try:
            self.socket.setblocking(False)
            if sized:  # DF, and what the kernel believes to know of the way does not count
                self.socket.setsockopt(socket.IPPROTO_IPV6 if self.six else 0, 23 if self.six else 10, 3)
            self.socket.connect((self.address, self.port))
        except BlockingIOError:
            pass
        except OSError as error:
            self.failed(error.errno or errno.EIO, LOCAL)


def targets():
    jobs, names = [], {}
    for line in E["KF_PROBES"].splitlines():
        words = line.split(" ")
        if words[2] not in names:
            try:
                found = socket.getaddrinfo(words[2], None, type=socket.SOCK_STREAM)
                names[words[2]] = ([one for one in found if one[0] == socket.AF_INET] or found)[0]
            except OSError as error:
                names[words[2]] = error
        found = names[words[2]]
        if isinstance(found, OSError):
            out("result %s name 0 %s" % (words[0], found.strerror))
        else:
            jobs.append(Job(words, found))
            if found[4][0] != words[2]:
                out("address %s %s" % (words[0], found[4][0]))
    return jobs
