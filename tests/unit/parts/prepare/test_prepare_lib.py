"""scripts/engine/lib.sh and the awk parts of the steps' scripts, run by bash on this machine with other paths in the place of the system's."""

import contextlib
import getpass
import grp
import hashlib
import http.server
import os
import shutil
import struct
import subprocess
import sys
import threading

import pytest

from kfinstall import resources
from kfinstall.engine.programs import failed
from kfinstall.engine.wanted import Directory, File, Unit, Wanted
from kfinstall.transport.base import Completed

BASH = shutil.which("bash") or ""
pytestmark = pytest.mark.skipif(sys.platform != "linux" or not BASH, reason="runs the nodes' scripts: needs Linux and bash")
OWNER = f"{getpass.getuser()}:{grp.getgrgid(os.getgid()).gr_name}"


class Machine:
    """A folder that stands for a node's root, and programs that stand for the node's."""

    def __init__(self, folder):
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()

    def program(self, name, text):
        path = self.bin / name
        path.write_text(f"#!{BASH}\n{text}\n")
        path.chmod(0o755)

    def run(self, body, **parameters):
        lib = resources.script("engine/lib")
        for path in (
            *("/var/lib/kfinstall", "/var/lib/apt", "/var/lib/dpkg", "/proc/locks"),
            *("/etc/apt", "/etc/modprobe.d", "/etc/systemd", "/lib/modules"),
        ):
            lib = lib.replace(path, f"{self.folder}{path}")
        text = f"{lib}\nPATH={self.bin}:$PATH\n{body.replace('root:root', OWNER)}"
        environment = {f"KF_{name}": str(value) for name, value in parameters.items()}
        done = subprocess.run(
            [BASH, "-c", text], capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=self.folder
        )
        return Completed(done.returncode, tuple(done.stdout.splitlines()))

    def step(self, name, **parameters):
        body = resources.script(resources.step_script(name))
        for path in ("/etc", "/run/sysctl.d", "/usr/local/lib", "/usr/lib"):
            body = body.replace(f" {path}", f" {self.folder}{path}").replace(f"({path}", f"({self.folder}{path}")
        return self.run(body, **parameters)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@contextlib.contextmanager
def mounted(point, *options):
    done = subprocess.run(["mount", *options, str(point)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"can't mount here: {done.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


def error(done):
    found = failed("prepare.x", "n1", done)
    return f"{found.message} || {found.hint}"


def private(path):
    """Parameters of a step that wants this directory for root alone."""
    return Wanted(directories=(Directory(str(path), private=True, path_as="DIRECTORY"),)).parameters


def inherit(folder, *, named):
    """A default access list that grants everybody everything, as `setfacl -d` writes it; with a user of its own where `named`."""
    everybody = 0xFFFFFFFF
    entries = [(0x01, 7, everybody), *([(0x02, 7, 1000)] if named else []), (0x04, 7, everybody)]
    entries += [*([(0x10, 7, everybody)] if named else []), (0x20, 7, everybody)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(folder, "system.posix_acl_default", value)
    except OSError as error_:
        pytest.skip(f"this file system has no access lists: {error_}")


class TestPrivate:
    def test_what_is_made_is_the_owners_alone_and_recorded_and_what_is_there_keeps_its_mode(self, machine):
        (machine.folder / "srv").mkdir(mode=0o755)
        path = machine.folder / "srv" / "a" / "b"
        for _again in "12":
            assert machine.run('kf_private "$KF_P"; umask', P=path).lines == ("0022",)
        assert [(machine.folder / name).stat().st_mode & 0o777 for name in ("srv", "srv/a", "srv/a/b")] == [0o755, 0o700, 0o700]
        path.chmod(0o755)
        machine.run('kf_private "$KF_P"', P=path)
        assert path.stat().st_mode & 0o777 == 0o755
        kept = sorted(entry.name for entry in (machine.folder / "var/lib/kfinstall/undo").iterdir())
        assert sorted(name.rpartition("%2F")[2] for name in kept) == ["a.absent", "b.absent"]

    def test_it_is_private_from_its_first_moment(self, machine):
        machine.program("chmod", f"echo chmod $* >>{machine.folder}/calls")
        machine.run('kf_private "$KF_P"', P=machine.folder / "srv" / "a")
        assert not (machine.folder / "calls").exists()
        assert (machine.folder / "srv").stat().st_mode & 0o777 == 0o700

    def test_a_file_in_its_place_is_an_error(self, machine):
        (machine.folder / "a").write_text("")
        assert machine.run('kf_private "$KF_P/b"; echo went on', P=machine.folder / "a").status != 0

    @pytest.mark.parametrize("named", [False, True])
    def test_a_default_access_list_of_the_parent_opens_nothing(self, machine, named):
        parent = machine.folder / "acl"
        parent.mkdir()
        inherit(parent, named=named)
        (parent / "shown").mkdir()
        assert (parent / "shown").stat().st_mode & 0o777 == 0o777
        assert machine.run('kf_private "$KF_P"', P=parent / "nfs" / "vol").status == 0
        assert [(parent / name).stat().st_mode & 0o777 for name in ("nfs", "nfs/vol")] == [0o700, 0o700]

    def test_access_lists_are_dropped_where_the_node_can(self, machine):
        machine.program("setfacl", f'echo "$*" >>{machine.folder}/calls')
        assert machine.run('kf_private "$KF_P"', P=machine.folder / "a" / "b").status == 0
        made = [machine.folder / "a", machine.folder / "a" / "b"]
        assert (machine.folder / "calls").read_text().splitlines() == [f"-b -k -- {path}" for path in made]

    def test_what_is_not_closed_after_all_ends_it(self, machine):
        machine.program("mkdir", 'exec /bin/mkdir -m 0755 -- "${@: -1}"')
        done = machine.run('kf_private "$KF_P"; echo went on', P=machine.folder / "a")
        assert done.status == 20
        assert "mode 755" in error(done)

    def test_slashes_too_many_do_no_harm(self, machine):
        assert machine.run('kf_private "$KF_P"', P=f"{machine.folder}//srv//a/").status == 0
        assert (machine.folder / "srv" / "a").stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("script", ["storage-local-directory", "storage-nfs-server"])
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("dangling", "dangling is a symbolic link to /kf-not-mounted/x, which is not there"),
            ("dangling/below/it", "dangling is a symbolic link to /kf-not-mounted/x, which is not there"),
            ("loop", "loop is a symbolic link to loop, which is not there"),
            ("file/below", "file is there and is no directory"),
            ("to-file", "to-file is there and is no directory"),
        ],
    )
    def test_what_leads_nowhere_is_told_in_a_sentence_with_what_to_do(self, machine, script, name, expected):
        (machine.folder / "dangling").symlink_to("/kf-not-mounted/x")
        (machine.folder / "loop").symlink_to("loop")
        (machine.folder / "file").write_text("an administrator's")
        (machine.folder / "to-file").symlink_to("file")
        for program in ("apt-get", "dpkg", "dpkg-query"):
            machine.program(program, "echo installed 1" if program == "dpkg-query" else "")
        done = machine.step(script, **private(machine.folder / name))
        assert done.status == 20
        assert expected in error(done)
        assert "answers" in error(done)
        assert not (machine.folder / "var/lib/kfinstall/undo" / f"{name}.absent").exists()
        assert os.readlink(machine.folder / "dangling") == "/kf-not-mounted/x"

    @pytest.mark.parametrize(("script", "status"), [("storage-local-directory", 20), ("storage-nfs-server", 20)])
    def test_the_scripts_refuse_what_is_no_directory(self, machine, script, status):
        path = machine.folder / "taken"
        path.write_text("an administrator's")
        done = machine.step(script, **private(path))
        assert (done.status, path.read_text()) == (status, "an administrator's")
        assert "is no directory" in error(done)

    def test_local_volumes_find_their_directory(self, machine):
        path = machine.folder / "opt" / "volumes"
        assert machine.step("storage-local-directory", **private(path)).lines == (f"made {path}, for root alone",)
        assert machine.step("storage-local-directory", **private(path)).lines == ()
        assert path.stat().st_mode & 0o777 == 0o700


class TestPut:
    def test_writes_once_and_says_so(self, machine):
        body = 'printf "a\\n" | kf_put "$KF_P" 0640 root:root'
        path = machine.folder / "deep" / "er" / "file"
        assert machine.run(body, P=path).lines == (str(path),)
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("a\n", 0o640)
        assert machine.run(body, P=path).lines == ()

    def test_keeps_the_first_content_only(self, machine):
        path = machine.folder / "a%b c"
        path.write_text("administrator's")
        for text in ("one", "two"):
            machine.run('kf_put "$KF_P" 0644 root:root <<<"$KF_T"', P=path, T=text)
        kept = list((machine.folder / "var/lib/kfinstall/undo").iterdir())
        assert [entry.read_text() for entry in kept] == ["administrator's"]
        assert "%2F" in kept[0].name
        assert "%25b c" in kept[0].name

    def test_remembers_that_there_was_nothing(self, machine):
        machine.run('kf_put "$KF_P" 0644 root:root <<<x; kf_put "$KF_P" 0644 root:root <<<y', P=machine.folder / "new")
        assert [entry.name.endswith(".absent") for entry in (machine.folder / "var/lib/kfinstall/undo").iterdir()] == [True]

    # A run that was killed in the middle of a write.
    def test_clears_away_what_a_kill_left(self, machine):
        (machine.folder / ".kf.put.file.abcdEF1234").write_text("half")
        machine.run('kf_put "$KF_P" 0644 root:root <<<x', P=machine.folder / "file")
        assert sorted(entry.name for entry in machine.folder.iterdir()) == ["bin", "file", "var"]

    def test_a_wrong_mode_is_a_change(self, machine):
        path = machine.folder / "file"
        path.write_text("x\n")
        path.chmod(0o600)
        assert machine.run('kf_put "$KF_P" 0644 root:root <<<x', P=path).lines == (str(path),)

    # The message must reach the user even where the output is taken into a variable.
    def test_a_failure_inside_a_substitution_is_told(self, machine):
        (machine.folder / "file").write_text("not a directory")
        done = machine.run('x=$(kf_put "$KF_P" 0644 root:root <<<x); echo "went on $x"', P=machine.folder / "dir" / "x", T="")
        assert done.status == 0
        machine.program("mktemp", "echo 'mktemp: No space left on device' >&2; exit 1")
        done = machine.run('x=$(kf_put "$KF_P" 0644 root:root <<<x); echo "went on $x"', P=machine.folder / "y")
        assert done.status == 28
        assert "disk of this node is full" in error(done)
        assert not any("went on" in line for line in done.lines)


class TestDisk:
    def test_a_full_disk_is_recognised_whatever_failed(self, machine):
        machine.program("df", "echo ' Avail IFree'; echo ' 12 100'")
        done = machine.run("echo working; false")
        assert done.status == 1
        assert "the disk of this node is full" in error(done)

    def test_no_inodes_left(self, machine):
        machine.program("df", 'echo h; [[ $1 == --output=itotal ]] && echo 1000 || echo " 99999999 0"')
        assert "full" in error(machine.run("false"))

    # btrfs counts no inodes: 0 of 0.
    def test_a_file_system_without_inodes_is_not_full(self, machine):
        machine.program("df", 'echo h; [[ $1 == --output=itotal ]] && echo 0 || echo " 99999999 0"')
        assert "exit status 1" in error(machine.run("false"))

    def test_success_says_nothing(self, machine):
        machine.program("df", "echo h; echo ' 0 0'")
        assert machine.run("true").lines == ()


@pytest.fixture
def server(tmp_path):
    """Serves a folder; counts requests; /refuse answers 503 twice before it gives the file."""
    seen = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *given):
            super().__init__(*given, directory=str(tmp_path / "served"))

        def do_GET(self):
            seen.append(self.path)
            if seen.count(self.path) == 1 and self.path == "/once":
                self.send_error(503)
            else:
                super().do_GET()

        def log_message(self, *given):
            pass

    (tmp_path / "served").mkdir()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", tmp_path / "served", seen
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
class TestDownload:
    body = 'kf_download "$KF_URL" "$KF_SUM" "$KF_PATH"'

    def test_right_checksum_once(self, machine, server):
        url, served, seen = server
        (served / "tool v1.tgz").write_bytes(b"\x00tool")
        given = {"URL": f"{url}/tool%20v1.tgz", "SUM": hashlib.sha256(b"\x00tool").hexdigest(), "PATH": machine.folder / "c" / "t"}
        assert machine.run(self.body, **given).lines == ("downloaded tool%20v1.tgz",)
        assert machine.run(self.body, **given).lines == ()
        assert len(seen) == 1
        assert (machine.folder / "c" / "t").read_bytes() == b"\x00tool"

    def test_wrong_checksum_leaves_nothing(self, machine, server):
        url, served, _seen = server
        (served / "tool").write_text("<html>log in first</html>")
        done = machine.run(self.body, URL=f"{url}/tool", SUM="0" * 64, PATH=machine.folder / "t")
        assert done.status == 23
        assert "not the file it should be" in error(done)
        assert not list(machine.folder.glob("t*"))

    def test_not_found(self, machine, server):
        done = machine.run(self.body, URL=f"{server[0]}/none", SUM="0" * 64, PATH=machine.folder / "t")
        assert done.status == 22
        assert "proxy.https" in error(done)

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
    @pytest.mark.parametrize(
        ("options", "words"), [("ro", "the file system of {point} is read-only"), ("size=64k", "the disk of this node is full")]
    )
    def test_a_place_that_takes_no_file_is_no_fault_of_the_way(self, machine, server, options, words):
        """Reported: "can't be downloaded", with a proxy as the advice."""
        url, served, _seen = server
        (served / "tool").write_bytes(b"x" * 500_000)
        point = machine.folder / "tools"
        point.mkdir()
        with mounted(point, "-t", "tmpfs", "-o", options, "none"):
            done = machine.run(self.body, URL=f"{url}/tool", SUM="0" * 64, PATH=point / "t")
            assert words.format(point=point) in error(done)
            assert "proxy" not in error(done)
            assert not list(point.iterdir())

    def test_a_server_that_hiccups_is_asked_again(self, machine, server):
        url, served, seen = server
        (served / "once").write_text("x")
        done = machine.run(self.body, URL=f"{url}/once", SUM=hashlib.sha256(b"x").hexdigest(), PATH=machine.folder / "t")
        assert done.status == 0
        assert seen == ["/once", "/once"]


class TestApt:
    def test_who_holds_the_lock(self, machine):
        lock = machine.folder / "var/lib/dpkg/lock-frontend"
        lock.parent.mkdir(parents=True)
        lock.touch()
        (machine.folder / "proc").mkdir()
        line = f"1: POSIX  ADVISORY  WRITE {os.getpid()} 08:02:{lock.stat().st_ino} 0 EOF\n"
        (machine.folder / "proc/locks").write_text(line)
        # Another file system's file of the same number is locked: it is not ours.
        assert machine.run("kf_lock_holder").lines == ()
        with lock.open("w"):
            assert machine.run("kf_lock_holder").lines[0].startswith(f"{os.getpid()} ")
            done = machine.run("kf_apt_wait_seconds=-1; kf_apt_free")
        assert done.lines[0].startswith(f"waiting for the package manager, which is held by process {os.getpid()} ")
        assert done.status == 16
        assert "unattended-upgrades" in error(done)
        (machine.folder / "proc/locks").write_text("")
        assert machine.run("kf_lock_holder; kf_apt_free").lines == ()

    def test_a_lock_that_is_taken_in_between_is_waited_for(self, machine):
        machine.program(
            "apt-get",
            '[[ -e taken ]] && { echo done; exit 0; }; : >taken; echo "E: Could not get lock /x. It is held by process 7"; exit 100',
        )
        machine.program("sleep", ":")
        assert machine.run("kf_apt update").lines[-1] == "done"

    @pytest.mark.parametrize(
        "message", ["cannot copy extracted data: No space left on device", "E: You don't have enough free space in /var."]
    )
    def test_a_full_disk_in_apts_words(self, machine, message):
        machine.program("apt-get", f"echo {message!r} >&2; exit 100")
        done = machine.run("kf_apt install x; echo went on")
        assert done.status == 28
        assert "disk of this node is full" in error(done)

    # The old guide's line fails every update, also one that a later step needs while the lists are young.
    def test_the_source_that_is_gone_is_turned_off_before_any_update(self, machine):
        machine.program("dpkg", "true")
        sources = machine.folder / "etc/apt/sources.list.d"
        sources.mkdir(parents=True)
        (sources / "k8s.list").write_text("deb http://apt.kubernetes.io/ kubernetes-xenial main\n")
        (sources / "ok.list").write_text("deb http://deb.debian.org/debian bookworm main\n")
        (sources.parent / "sources.list").write_text(
            "# x\ndeb [signed-by=/k] https://packages.cloud.google.com/apt kubernetes-xenial main\n"
            "deb https://packages.cloud.google.com/apt cloud-sdk main\n"
        )
        machine.program("apt-get", "grep -h ^deb etc/apt/sources.list etc/apt/sources.list.d/*")
        assert machine.run("kf_apt_update").lines[-2:] == (
            "deb https://packages.cloud.google.com/apt cloud-sdk main",
            "deb http://deb.debian.org/debian bookworm main",
        )
        assert (sources / "k8s.list").read_text().startswith("# kfinstall turned it off")

    # Lists that a killed update left half-read, or a power cut torn: apt takes them for whole until they are gone.
    def test_an_install_that_fails_reads_the_lists_anew(self, machine):
        machine.program("dpkg", "true")
        machine.program("dpkg-query", "exit 1")
        machine.program(
            "apt-get",
            '[[ $1 != -s ]] || exit 0; echo "${*: -2}" >>calls; [[ $* == *" update" && ! -e var/lib/apt/lists/a_Packages ]] && : >read; [[ $* == *" update" || -e read ]] || { echo "E: Unable to locate"; exit 100; }',
        )
        lists = machine.folder / "var/lib/apt/lists"
        (lists / "partial").mkdir(parents=True)
        for name in ("lock", "a_InRelease", "a_Packages"):
            (lists / name).touch()
        assert machine.run("kf_apt_install socat").status == 0
        assert {path.name for path in lists.iterdir()} == {"lock", "partial"}
        assert (machine.folder / "calls").read_text().splitlines() == ["install socat", "--error-on=any update", "install socat"]

    def test_never_removes(self, machine):
        machine.program("dpkg", "true")
        machine.program("dpkg-query", "exit 1")
        machine.program("apt-get", 'echo "$*" >>calls')
        machine.run("kf_apt_install docker.io")
        assert "--no-remove" in (machine.folder / "calls").read_text()

    def test_what_is_installed_is_left_alone(self, machine):
        machine.program("dpkg", "true")
        machine.program("dpkg-query", 'echo "installed 1.2"')
        machine.program("apt-get", "echo called; exit 1")
        assert machine.run("kf_apt_install a b=1.2") == Completed(0, ())

    def test_half_installed_packages_are_finished_first(self, machine):
        machine.program("dpkg", 'echo "$*" >>calls; [[ $1 != --audit ]] || echo "runc is half configured"')
        machine.program("dpkg-query", 'echo "installed 1"')
        machine.program("apt-get", 'echo "apt ${*: -3}" >>calls; [[ $* == *--no-remove* ]]')
        assert machine.run("kf_apt_install a").status == 0
        calls = (machine.folder / "calls").read_text()
        assert "--configure -a" in calls
        assert "--fix-broken install" in calls

    # Unattended upgrades at work look half-installed too, until they end.
    def test_what_somebody_else_is_installing_is_not_repaired(self, machine):
        machine.program("dpkg", 'echo "$*" >>calls; [[ $1 != --audit || -e over ]] || echo "runc is half configured"')
        assert machine.run("kf_apt_free() { : >over; }; kf_apt_repair").lines == ()
        assert set((machine.folder / "calls").read_text().splitlines()) == {"--audit"}

    def test_update_by_age(self, machine):
        machine.program("dpkg", "true")
        machine.program("apt-get", "echo read")
        lists = machine.folder / "var/lib/apt/lists"
        (lists / "partial").mkdir(parents=True)
        assert machine.run("kf_apt_update 60").lines == ("read",)  # there are none
        (lists / "deb_InRelease").touch()
        assert machine.run("kf_apt_update 60").lines == ()
        assert machine.run("kf_apt_update").lines == ("read",)
        for path in (lists / "deb_InRelease", lists / "partial", lists):
            os.utime(path, (1000, 1000))
        assert machine.run("kf_apt_update 60").lines == ("read",)
        assert machine.run("kf_apt_update 60").lines == ()  # nothing new was fetched, and they are fresh all the same


def test_the_proxy_reaches_the_scripts_downloads(machine):
    folder = machine.folder / "var/lib/kfinstall"
    folder.mkdir(parents=True)
    (folder / "proxy.env").write_text("export https_proxy='http://p:1/$(x)'\n")
    assert machine.run('echo "$https_proxy"').lines == ("http://p:1/$(x)",)


SYSTEMD = """
case $1 in
is-enabled) [[ -e on.${!#} ]] ;;
is-active) [[ -e runs.${!#} ]] ;;
enable) : >"on.${!#}" ;;
start) : >"runs.${!#}" ;;
show) if [[ -e stale ]]; then echo yes; else echo no; fi ;;
daemon-reload) rm -f stale; echo reloaded >>calls ;;
esac
"""


class TestWanted:
    def given(self, machine, wanted, call="kf_wanted"):
        machine.program("systemctl", SYSTEMD)
        machine.program("dpkg", "true")
        machine.program("dpkg-query", "[[ -e have.${!#} ]] && echo 'installed 1'")
        machine.program("apt-get", 'echo "apt-get ${*: -2}" >>calls; for p in "${@: -2}"; do : >"have.$p"; done')
        machine.program("sysctl", 'if [[ $1 == -n ]]; then cat "sysctl.$2"; else printf %s "${3#*=}" >"sysctl.${3%%=*}"; fi')
        (machine.folder / "sysctl.a.b").touch()
        return machine.run(call, **wanted.parameters)

    def everything(self, machine):
        return Wanted(
            packages=("one", "two"),
            directories=(Directory(f"{machine.folder}/new/private", private=True), Directory(f"{machine.folder}/open")),
            sysctls=(("a.b", "1 2"),),
            files=(
                File(f"{machine.folder}/etc/a.conf", "a\n\n", 0o640, OWNER),
                File(f"{machine.folder}/etc/b", "no end", owner=OWNER, content_as="B"),
            ),
            units=(Unit("one.service"),),
        )

    def undo(self, machine):
        folder = machine.folder / "var/lib/kfinstall/undo"
        return {path.name.replace("%2F", "/").replace(f"{machine.folder}/", ""): path for path in folder.iterdir()}

    def test_all_of_it_once_recorded_and_then_nothing(self, machine):
        wanted = self.everything(machine)
        (machine.folder / "sysctl.a.b").write_text("7")
        (machine.folder / "stale").touch()
        done = self.given(machine, wanted)
        assert done.status == 0, done
        root = machine.folder
        assert done.lines == (
            f"made {root}/new/private, for root alone",
            f"made {root}/open",
            f"{root}/etc/a.conf",
            f"{root}/etc/b",
            "enabled one.service",
            "started one.service",
        )
        assert (root / "etc/a.conf").read_text() == "a\n\n"
        assert (root / "etc/b").read_text() == "no end"
        modes = {name: (root / name).stat().st_mode & 0o777 for name in ("new", "new/private", "open", "etc/a.conf", "etc/b")}
        assert modes == {"new": 0o700, "new/private": 0o700, "open": 0o755, "etc/a.conf": 0o640, "etc/b": 0o644}
        assert (root / "calls").read_text().splitlines()[-1] == "reloaded"
        record = self.undo(machine)
        assert {"new.absent", "new/private.absent", "open.absent", "etc/a.conf.absent", "etc/b.absent"} <= record.keys()
        assert record["units"].read_text() == "one.service not-found inactive\n"
        assert {"one.service", "a.b"} == {record[name].read_text().split()[0] for name in ("units", "sysctls")}
        (root / "calls").unlink()
        assert self.given(machine, wanted).lines == ()
        assert not (root / "calls").exists()

    def test_a_file_whose_old_form_can_not_be_kept_stays(self, machine):
        old = machine.folder / "etc/b"
        old.parent.mkdir()
        old.write_text("somebody's")
        machine.program("mv", '[[ ${!#} == */undo/* ]] || exec /bin/mv "$@"; echo "mv: no"; exit 1')
        done = self.given(machine, Wanted(files=(File(str(old), "ours", owner=OWNER),)))
        assert done.status != 0
        assert old.read_text() == "somebody's"

    @pytest.mark.parametrize(("call", "made"), [("kf_wanted file", "ab"), ("kf_wanted B", "b"), ("kf_wanted directory unit", "")])
    def test_a_part_of_it_by_kind_or_by_parameter(self, machine, call, made):
        done = self.given(machine, self.everything(machine), call)
        assert done.status == 0
        assert "".join(name for name in "ab" if (machine.folder / f"etc/{name}{'.conf' if name == 'a' else ''}").exists()) == made
        assert not (machine.folder / "calls").exists()
        assert (machine.folder / "open").exists() == ("directory" in call)

    def test_a_failure_ends_the_script_with_its_reason_wherever_it_is_called(self, machine):
        (machine.folder / "file").touch()
        wanted = Wanted(files=(File(f"{machine.folder}/file/x", "x", owner=OWNER),))
        done = self.given(machine, wanted, "if said=$(kf_wanted); then echo went on; fi; exit 3")
        assert "is there and is no directory" in error(done)
        assert done.status == 3
        assert "went on" not in done.lines
        assert self.given(machine, wanted, "kf_wanted; echo went on").status == 20

    def test_a_refused_kernel_parameter_is_named(self, machine):
        wanted = Wanted(sysctls=(("a.b", "1"),))
        machine.program("sysctl", "exit 1")
        done = machine.run("kf_wanted", **wanted.parameters)
        assert done.status == 11
        assert "refuses the parameter a.b = 1" in error(done)


class TestModules:
    def given(self, machine, *required, **more):
        (machine.folder / "etc/modprobe.d").mkdir(parents=True, exist_ok=True)
        (machine.folder / "out").mkdir()
        machine.program("modprobe", "exit 1")
        values = {"REQUIRED": " ".join(required), "OPTIONAL": "", "FILE": machine.folder / "out/kf.conf", "HEAD": "# head"}
        return machine.step("prepare-modules", **{**values, **Wanted(modules=required).parameters, **more})

    def test_an_optional_one_that_is_missing_is_said_and_not_written(self, machine):
        done = self.given(machine, OPTIONAL="no_such_module")
        assert done.status == 0
        assert "this kernel has no module no_such_module" in done.lines[0]
        assert (machine.folder / "out/kf.conf").read_text() == "# head\n"

    def test_a_needed_one_that_is_missing_fails_with_a_fix(self, machine):
        done = self.given(machine, "no_such_module")
        assert done.status == 11
        assert "linux-modules-extra" in error(done)

    # CIS hardening: install overlay /bin/false
    def test_a_forbidden_one_names_the_file(self, machine):
        (machine.folder / "etc/modprobe.d").mkdir(parents=True)
        (machine.folder / "etc/modprobe.d/hard.conf").write_text("install no-such-module /bin/false\n")
        assert "hard.conf forbids it" in error(self.given(machine, "no_such_module"))


def test_a_later_sysctl_file_can_not_win_at_boot(machine):
    machine.program("sysctl", "true")
    folder = machine.folder / "etc/sysctl.d"
    folder.mkdir(parents=True)
    (machine.folder / "etc/sysctl.conf").write_text(
        "net/ipv4/ip_forward=0\nvm.swappiness = 10\n-fs.inotify.max_user_watches = 9999999\n"
    )
    (folder / "99-sysctl.conf").symlink_to("../sysctl.conf")
    (folder / "10-first.conf").write_text("net.ipv4.ip_forward = 0\n")
    content = "net.ipv4.ip_forward = 1\nfs.inotify.max_user_watches = 1255360\n"
    file = File(str(folder / "90-kfinstall.conf"), content, owner=OWNER, path_as="FILE", content_as="CONTENT")
    values = (("net.ipv4.ip_forward", "1"), ("fs.inotify.max_user_watches", "1255360"))
    wanted = Wanted(sysctls=values, files=(file,))
    done = machine.step("prepare-sysctl", **wanted.parameters)
    assert done.status == 0, done
    assert (folder / "90-kfinstall.conf").read_text() == content
    assert (machine.folder / "etc/sysctl.conf").read_text() == (
        "# kfinstall turned it off: net/ipv4/ip_forward=0\nvm.swappiness = 10\n-fs.inotify.max_user_watches = 9999999\n"
    )
    assert (folder / "99-sysctl.conf").is_symlink()
    assert (folder / "10-first.conf").read_text() == "net.ipv4.ip_forward = 0\n"
    assert machine.step("prepare-sysctl", **wanted.parameters).lines == ()


# swap


def swap_off(machine, swapoff="true"):
    body = resources.script(resources.step_script("prepare-swap-off"))
    for path in ("/etc/fstab", "/proc/swaps", "/etc/init.d", "/dev/zram*", "/etc/systemd/system/*"):
        body = body.replace(path, f"{machine.folder}{path}")
    for path in ("{/etc,/usr/lib,/lib}/", "{/run,/usr/lib}/", "/run/systemd/generator{"):
        body = body.replace(path, f"{machine.folder}{path}")
    (machine.folder / "proc").mkdir()
    (machine.folder / "proc" / "swaps").write_text("Filename Type Size Used Priority\n/var/swap file 102396 0 -2\n")
    machine.program("systemctl", "case $1 in is-enabled) echo enabled ;; is-active) echo active ;; esac")
    machine.program("swapoff", f"{swapoff} && echo Filename >{machine.folder}/proc/swaps")
    return machine.run(body)


@pytest.mark.parametrize("unit", ["dphys-swapfile.service", "swapspace.service", "zramswap.service"])
def test_a_service_that_makes_swap_is_masked_with_a_record_for_undo(machine, unit):
    units = machine.folder / "usr" / "lib" / "systemd" / "system"
    units.mkdir(parents=True)
    (units / unit).write_text("[Service]\nExecStart=/bin/true\n")
    (machine.folder / "etc" / "systemd" / "system").mkdir(parents=True)
    done = swap_off(machine)
    assert done.status == 0
    assert os.readlink(machine.folder / "etc" / "systemd" / "system" / unit) == "/dev/null"
    recorded = [path.read_text() for path in (machine.folder / "var").rglob("units")]
    assert recorded == [f"{unit} enabled active\n"]


@pytest.mark.parametrize(
    ("words", "told", "not_told"),
    [
        ("swapoff: /dev/dm-1: swapoff failed: Operation not permitted", "in a container the swap is the host's", "memory"),
        ("swapoff: Not superuser.", "in a container the swap is the host's", "memory"),
        ("swapoff: /var/swap: swapoff failed: Cannot allocate memory", "not enough free memory", "container"),
        ("swapoff: /var/swap: swapoff failed: Input/output error", "Input/output error", "memory"),
    ],
)
def test_why_swap_can_t_be_turned_off_is_told_by_its_own_words(machine, words, told, not_told):
    found = error(swap_off(machine, f"echo '{words}' >&2; false"))
    assert told in found
    assert not_told not in found
