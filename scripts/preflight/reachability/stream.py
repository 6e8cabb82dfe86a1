"""KF_MODE stream: see stream.pl."""

for job in targets():
    job.begin()
    if job.done:
        continue
    chunk, text, rest = b"k" * 262144, b"", b"KFs1 %s %s\n" % (TOKEN.encode(), NAME.encode())
    until = now() + int(E["KF_STREAM_MILLISECONDS"]) / 1000 + 3
    while now() < until and b"\n" not in text:
        read, write, _none = select.select([job.socket], [job.socket], [], max(until - now(), 0))
        try:
            if read:
                more = job.socket.recv(256)
                if not more:
                    break
                text += more
            if write:
                rest = rest[job.socket.send(rest) :] or chunk
        except (BlockingIOError, InterruptedError):
            continue
        except OSError:
            break
    found = re.match(rb"KFs1 (\d+) (\d+)\n", text)
    if found:
        out("streamed %s %d %d" % (job.id, int(found.group(1)), int(found.group(2))))
out("done")
