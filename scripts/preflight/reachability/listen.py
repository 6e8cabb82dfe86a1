"""KF_MODE listen: see listen.pl."""

MOST_CLIENTS, CHUNK, DATAGRAM_BYTES = 900, 1 << 20, 4 << 20
COUNTERS = ("IPReversePathFilter", "ListenOverflows")
got, half = {}, set()
look_at = {"last": 0, "longest": 0}


def plain(address):
    return re.sub(r"^::ffff:(?=\d+\.)", "", address)


def counters():
    names, found = [], {}
    for words in map(str.split, rows("/proc/net/netstat")):
        if words[1:] and words[1].lstrip("-").isdigit():
            found.update(zip(names, map(int, words[1:])))
        names = words[1:]
    return {name: found.get(name, 0) for name in COUNTERS}


def bound(protocol, port):
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    why = ""
    for where in ("::", "0.0.0.0", E.get("KF_ADDRESS", "")):
        if not where:
            continue
        family = socket.AF_INET6 if ":" in where else socket.AF_INET
        try:
            made = socket.socket(family, kind)
            if protocol == "tcp":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                roomy(made, DATAGRAM_BYTES)
            if where == "::":
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            made.bind((where, port))
            if protocol == "tcp":
                made.listen(512)
            made.setblocking(False)
            return made, ""
        except OSError as error:
            if why != "held":
                why = "held" if error.errno == errno.EADDRINUSE else (error.strerror or "error")
    return None, why


def datagrams(made, port):
    for _try in range(5000):
        try:
            text, source = made.recvfrom(65536)
        except OSError:
            return
        found = re.match(rb"(KF[rm]1) (\S+) (\S{1,63}) (\d+) ", text)
        if found and found.group(2) == TOKEN.encode():
            note(got, "udp", port, found.group(3).decode("ascii", "replace"))
            try:
                made.sendto(b"%s %s %s %s " % (found.group(1), TOKEN.encode(), found.group(4), NAME.encode()), source)
            except OSError:
                pass


def streamed(each):
    try:
        each["socket"].send(b"KFs1 %d %d\n" % (each["bytes"], (now() - each["since"]) * 1000))
    except OSError:
        pass


def hear(each):
    for _try in range(64):
        try:
            text = each["socket"].recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not text:
            if each["since"]:
                streamed(each)
            return False
        if each["since"]:
            each["bytes"] += len(text)
            continue
        each["text"] += text[:256]
        found = re.match(rb"KF([rs])1 (\S+) (\S{1,63})\n", each["text"])
        if found and found.group(2) == TOKEN.encode():
            note(got, "tcp", each["port"], found.group(3).decode("ascii", "replace"))
            if found.group(1) == b"r":
                try:
                    each["socket"].send(b"KFr1 %s %s\n" % (TOKEN.encode(), NAME.encode()))
                except OSError:
                    pass
                return False
            each["since"], each["bytes"] = now(), 0
        elif len(each["text"]) > 128:
            return False
    return True


def halves():
    moment = now()
    look_at["longest"] = max(look_at["longest"], moment - look_at["last"])
    look_at["last"] = moment
    for path, family in (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6)):
        for words in map(str.split, rows(path)):
            if len(words) > 3 and words[3] == "03":
                port, text = int(words[1].split(":")[1], 16), words[2].split(":")[0]
                raw = b"".join(struct.pack("I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8))
                if ("tcp", port) in watch and len(half) < MOST_KEYS:
                    half.add((plain(socket.inet_ntop(family, raw)), port))


def unheard(made):
    try:
        return struct.unpack("9I", made.getsockopt(socket.SOL_SOCKET, 55, 36))[8]
    except (OSError, struct.error):
        return 1


def report(asker, made, snoop, before):
    lines = ["saw %s %d" % item for item in sorted(seen.items())] + ["got %s %d" % item for item in sorted(got.items())]
    lines += ["half %s %d" % item for item in sorted(half)]
    lines += ["counter %s %d" % (name, number - before[name]) for name, number in counters().items()]
    lost = sum(unheard(one) for one, protocol, _port in made if protocol == "udp")
    missed = (uncaptured(snoop) if snoop is not None else 0) + unnoted[0]
    lines.append("whole %d %d %d" % (missed, lost, look_at["longest"] * 1000))
    asker.settimeout(5)
    asker.sendall("".join(line + "\n" for line in lines).encode())
    asker.close()


def taken(listener, clients):
    one, protocol, port = listener
    if protocol == "udp":
        datagrams(one, port)
        return
    while len(clients) < MOST_CLIENTS:
        try:
            each = one.accept()[0]
        except OSError:
            return
        each.setblocking(False)
        clients[each.fileno()] = {"socket": each, "port": port, "text": b"", "bytes": 0, "since": 0}


def heard_all(clients, numbers):
    for number in numbers:
        if not hear(clients[number]):
            clients.pop(number)["socket"].close()


def serve(made, snoop, control, until, before):
    clients, milliseconds = {}, int(E["KF_STREAM_MILLISECONDS"])
    what = {one.fileno(): (one, protocol, port) for one, protocol, port in made}
    look_at["last"] = now()
    while now() < until:
        wanted = [one for one in (snoop, control) if one is not None] + list(clients)
        if len(clients) < MOST_CLIENTS:
            wanted += list(what)
        ready = select.select(wanted, [], [], min(0.3, max(until - now(), 0)))[0]
        if now() - look_at["last"] > 0.3:
            halves()
        for number in [n for n, c in clients.items() if c["since"] and now() - c["since"] >= milliseconds / 1000]:
            streamed(clients[number])
            clients.pop(number)["socket"].close()
        if snoop is not None and snoop in ready:
            caught(snoop, 5000)
        for number in [n for n in ready if n in what]:
            taken(what[number], clients)
        heard_all(clients, [n for n in ready if n in clients])
        if control in ready:
            asker = control.accept()[0]
            halves()
            for _time in range(2):  # all that came before the question counts, also where this process was slow
                if snoop is not None:
                    caught(snoop, 200000)
                for listener in made:
                    taken(listener, clients)
                heard_all(clients, list(clients))
            report(asker, made, snoop, before)
            return


def start_listening():
    reports, made, before = [], [], counters()
    for line in E["KF_WATCH"].splitlines():
        protocol, _blank, port = line.partition(" ")
        watch.add((protocol, int(port)))
    snoop, reason = capture()
    for line in E["KF_PORTS"].splitlines():
        protocol, _blank, port = line.partition(" ")
        one, why = bound(protocol, int(port))
        if one is not None:
            made.append((one, protocol, int(port)))
        reports.append(
            "listen %s %s %s" % (protocol, port, "ours" if one is not None else "held" if why == "held" else "failed " + why)
        )
    reports.append("capture " + ("yes" if snoop is not None else "no " + reason))
    control = socket.socket(socket.AF_UNIX)
    control.bind(CONTROL)
    control.listen(4)
    sys.stdout.flush()
    if os.fork():
        out("\n".join(reports))
        return
    os.setsid()
    os.chdir("/")
    try:  # what ss shows of it
        with open("/proc/self/comm", "w") as file:
            file.write("kf-reach")
    except OSError:
        pass
    try:  # it waits most of the time; on a busy server it is to see what comes in time
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    except OSError:
        pass
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(E["KF_SECONDS"]) + 1)
    try:
        serve(made, snoop, control, now() + int(E["KF_SECONDS"]), before)
    finally:
        os._exit(0)


start_listening()
out("done")
