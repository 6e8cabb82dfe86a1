"""How kf_put, kf_folder and kf_private fail: nothing is lost or left, and the cause is told by what it is."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys

import pytest

from kfinstall.engine.wanted import Directory, File, Wanted
from tests.unit.parts.prepare.test_prepare_lib import BASH, OWNER, Machine, error, mounted

pytestmark = pytest.mark.skipif(sys.platform != "linux" or not BASH, reason="runs the nodes' scripts: needs Linux and bash")
PUT = 'kf_put "$KF_P" 0644 root:root <<<new'
LONGEST_NAME = 255


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def undo(machine):
    """The record's entries, by the path they stand for."""
    folder = machine.folder / "var/lib/kfinstall/undo"
    if not folder.exists():
        return set()
    return {path.name.replace("%2F", "/").replace(f"{machine.folder}/", "") for path in folder.iterdir()}


def left(machine):
    """Files that are nobody's."""
    return [str(path) for path in machine.folder.rglob("*") if ".kf." in path.name]


@contextlib.contextmanager
def locked(path, how="i"):
    """Immutable, or append-only."""
    if not shutil.which("chattr") or subprocess.run(["chattr", f"+{how}", path], capture_output=True, check=False).returncode:
        pytest.skip("needs root and a file system with attributes")
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{how}", path], check=True)


def directory(path):
    path.mkdir()
    (path / "data").write_text("somebody's")


def listening(path):
    with socket.socket(socket.AF_UNIX) as sock, contextlib.chdir(path.parent):
        sock.bind(path.name)


class TestInTheWay:
    @pytest.mark.parametrize(("make", "expected"), [(directory, "directory"), (os.mkfifo, "fifo"), (listening, "socket")])
    def test_what_is_no_file_is_refused_before_anything_is_recorded(self, machine, make, expected):
        path = machine.folder / "there"
        make(path)
        done = machine.run("kf_wanted; echo went on", **Wanted(files=(File(str(path), "ours", owner=OWNER),)).parameters)
        assert done.status == 20
        assert f"{path} is there and is a {expected}" in error(done)
        assert f"ls -ld {path}" in error(done)
        assert (undo(machine), left(machine), done.lines[0].startswith("kf-error")) == (set(), [], True)

    @pytest.mark.skipif(sys.platform == "linux" and os.geteuid() != 0, reason="makes a device: needs root")
    def test_neither_is_a_device(self, machine):
        os.mknod(machine.folder / "there", 0o020600, os.makedev(1, 3))
        assert "is a character special file" in error(machine.run(PUT, P=machine.folder / "there"))
        assert (undo(machine), left(machine)) == (set(), [])

    def test_what_is_written_into_such_a_directory_later_outlives_a_reset(self, machine):
        path = machine.folder / "there"
        directory(path)
        assert machine.run(PUT, P=path).status == 20
        (path / "more").write_text("written later")
        machine.run("kf_undo_folder")
        assert machine.step("reset-files").status == 0
        assert {item.name: item.read_text() for item in path.iterdir()} == {"data": "somebody's", "more": "written later"}

    def test_a_directory_that_somebody_made_in_a_files_place_stays_too(self, machine):
        path = machine.folder / "there"
        path.write_text("old")
        assert machine.run(PUT, P=path).status == 0
        path.unlink()
        directory(path)
        done = machine.step("reset-files")
        assert done.status == 0
        assert (path / "data").read_text() == "somebody's"
        assert (machine.folder / "there.kfinstall-old").read_text() == "old"
        assert any("there.kfinstall-old" in line for line in done.lines)

    # As an older kfinstall left it when it met a directory.
    def test_a_reset_leaves_a_directory_that_is_still_there(self, machine):
        path = machine.folder / "there"
        directory(path)
        machine.run('kf_keep "$KF_P"', P=path)
        (path / "more").write_text("written later")
        done = machine.step("reset-files")
        assert done.status == 0
        assert any(f"{path} stays" in line for line in done.lines)
        assert {item.name for item in path.iterdir()} == {"data", "more"}

    def test_a_link_is_replaced_and_comes_back(self, machine):
        directory(machine.folder / "elsewhere")
        path = machine.folder / "link"
        path.symlink_to("elsewhere")
        assert machine.run(PUT, P=path).lines == (str(path),)
        assert path.read_text() == "new\n"
        assert not path.is_symlink()
        assert machine.step("reset-files").status == 0
        assert os.readlink(path) == "elsewhere"
        assert (machine.folder / "elsewhere" / "data").read_text() == "somebody's"


class TestNotRenamed:
    def test_an_immutable_file_is_told_and_nothing_is_left(self, machine):
        path = machine.folder / "file"
        path.write_text("an administrator's")
        with locked(path):
            done = machine.run(PUT, P=path)
        assert done.status == 20
        assert f"{path} is locked (chattr +i)" in error(done)
        assert f"chattr -i {path}" in error(done)
        assert (undo(machine), left(machine), path.read_text()) == (set(), [], "an administrator's")

    def test_one_that_is_as_wanted_may_be_immutable(self, machine):
        path = machine.folder / "file"
        path.write_text("new\n")
        with locked(path):
            assert machine.run(PUT, P=path) == machine.run("true")

    @pytest.mark.parametrize("how", ["i", "a"])
    def test_a_locked_directory_is_told_as_that(self, machine, how):
        folder = machine.folder / "folder"
        folder.mkdir()
        with locked(folder, how):
            done = machine.run(PUT, P=folder / "file")
        assert done.status == 20
        assert f"{folder} is locked (chattr +{how})" in error(done)
        assert "full" not in error(done)
        assert (undo(machine), left(machine)) == (set(), [])

    def test_a_file_that_something_is_mounted_at_is_told_and_nothing_is_left(self, machine):
        path = machine.folder / "a b"
        path.write_text("below")
        (machine.folder / "other").write_text("mounted")
        with mounted(path, "--bind", str(machine.folder / "other")):
            done = machine.run(PUT, P=path)
            assert done.status == 20
            assert f"something is mounted at {path}" in error(done)
            assert (undo(machine), left(machine), path.read_text()) == (set(), [], "mounted")

    @pytest.mark.parametrize("old", ["an administrator's", ""])
    def test_a_rename_that_fails_takes_back_what_this_call_recorded(self, machine, old):
        path = machine.folder / "file"
        if old:
            path.write_text(old)
        machine.program("mv", '[[ ${!#} != */file ]] || { echo "mv: cannot move: Strange error" >&2; exit 1; }; exec /bin/mv "$@"')
        done = machine.run(f"{PUT}; echo went on", P=path)
        assert (done.status, "went on" in done.lines) == (29, False)
        assert "Strange error" in error(done)
        assert "not known yet" in error(done)
        assert (undo(machine), left(machine)) == (set(), [])
        assert (path.read_text() if old else path.exists()) == (old or False)

    def test_but_not_what_an_earlier_one_recorded(self, machine):
        path = machine.folder / "file"
        path.write_text("first")
        assert machine.run(PUT, P=path).status == 0
        machine.program("mv", '[[ ${!#} != */file ]] || exit 1; exec /bin/mv "$@"')
        assert machine.run('kf_put "$KF_P" 0644 root:root <<<newer', P=path).status == 29
        assert undo(machine) == {"file"}
        (machine.bin / "mv").unlink()
        assert machine.step("reset-files").status == 0
        assert path.read_text() == "first"

    # The record is there before the change: what is killed between them comes back by a reset as it was.
    @pytest.mark.parametrize("old", ["an administrator's", ""])
    def test_a_kill_before_the_rename_leaves_the_record(self, machine, old):
        path = machine.folder / "file"
        if old:
            path.write_text(old)
        machine.program("mv", '[[ ${!#} != */file ]] || kill -KILL $PPID; exec /bin/mv "$@"')
        # A shell of its own is what is killed, with its mv still to come.
        assert machine.run(PUT, P=path).status != 0
        assert undo(machine) == {"file" if old else "file.absent"}
        (machine.bin / "mv").unlink()
        assert machine.run(PUT, P=path).status == 0
        assert left(machine) == []
        assert machine.step("reset-files").status == 0
        assert (path.read_text() if old else path.exists()) == (old or False)


class TestTemporaryNames:
    def test_an_administrators_copies_stay(self, machine):
        path = machine.folder / "f"
        copies = [machine.folder / f"f.kf.{end}" for end in ("backup", "backup2", "back", "mask", "abcdef")]
        for copy in copies:
            copy.write_text("an administrator's")
        path.write_text("old")
        assert machine.run(PUT, P=path).status == 0
        assert machine.step("reset-files").status == 0
        assert path.read_text() == "old"
        assert {copy.read_text() for copy in copies if copy.exists()} == {"an administrator's"}
        assert all(copy.exists() for copy in copies)

    def test_what_a_kill_left_of_this_file_goes_and_of_no_other(self, machine):
        for name in ("file", "other"):
            (machine.folder / f".kf.put.{name}.ABCdef1234").write_text("half")
        assert machine.run(PUT, P=machine.folder / "file").status == 0
        assert left(machine) == [f"{machine.folder}/.kf.put.other.ABCdef1234"]


class TestTold:
    @pytest.mark.parametrize(
        "call", [PUT, 'kf_folder "$KF_P"', 'kf_private "$KF_P"', 'kf_put "$KF_P/deep/file" 0644 root:root <<<x'], ids=str
    )
    def test_a_read_only_file_system(self, machine, call):
        point = machine.folder / "disk"
        point.mkdir()
        with mounted(point, "-t", "tmpfs", "-o", "ro", "none"):
            done = machine.run(f"{call}; echo went on", P=point / "x")
        assert (done.status, "went on" in done.lines) == (29, False)
        assert f"the file system of {point} is read-only" in error(done)
        assert "findmnt" in error(done)
        assert "full" not in error(done)
        assert undo(machine) == set()

    def test_a_private_directory_that_fails_ends_the_script_wherever_it_is_called(self, machine):
        point = machine.folder / "disk"
        point.mkdir()
        wanted = Wanted(directories=(Directory(f"{point}/x", private=True),))
        with mounted(point, "-t", "tmpfs", "-o", "ro", "none"):
            done = machine.run("if said=$(kf_wanted); then echo went on; fi; exit 3", **wanted.parameters)
        assert "is read-only" in error(done)
        assert not any(line.startswith(("went on", "made")) for line in done.lines)

    @pytest.mark.parametrize("call", ["kf_folder", "kf_private"])
    def test_a_directory_in_a_locked_one(self, machine, call):
        folder = machine.folder / "folder"
        folder.mkdir()
        with locked(folder):
            done = machine.run(f'{call} "$KF_P"', P=folder / "a" / "b")
        assert done.status == 20
        assert f"{folder} is locked (chattr +i)" in error(done)
        assert undo(machine) == set()

    def test_a_full_disk_is_still_that(self, machine):
        point = machine.folder / "disk"
        point.mkdir()
        with mounted(point, "-t", "tmpfs", "-o", "size=64k", "none"):
            done = machine.run('head -c 200000 /dev/zero | kf_put "$KF_P" 0644 root:root', P=point / "x")
            assert left(machine) == []
        assert done.status == 28
        assert "the disk of this node is full" in error(done)

    @pytest.mark.parametrize("owner", ["kf-nobody:root", "root:kf-nobody", "kf-nobody:kf-nobody"])
    def test_an_owner_that_is_not_there(self, machine, owner):
        done = machine.run(f'kf_put "$KF_P" 0644 {owner.replace("root", "0")} <<<x', P=machine.folder / "x")
        assert done.status == 29
        assert "this node has no such user or group" in error(done)
        assert "kf-nobody" in error(done)
        assert "full" not in error(done)
        assert (undo(machine), left(machine)) == (set(), [])

    def test_a_long_name_whose_record_is_too_long_is_told(self, machine):
        for call in ("kf_put", "kf_folder", "kf_private"):
            path = machine.folder / ("n" * 250)
            done = machine.run(f'{call} "$KF_P" 0644 root:root <<<x; echo went on', P=path)
            assert (done.status, "went on" in done.lines) == (20, False), call
            assert "too long" in error(done)
            assert "full" not in error(done)
            assert (undo(machine), left(machine), path.exists()) == (set(), [], False)

    def test_so_is_a_deep_path_with_none_of_it_recorded(self, machine):
        path = machine.folder.joinpath(*["d" * 20] * 14, "file")
        for call in ("kf_put", "kf_folder", "kf_private"):
            done = machine.run(f'{call} "$KF_P" 0644 root:root <<<x', P=path)
            assert done.status == 20, call
            assert "too long" in error(done)
            assert not (machine.folder / ("d" * 20)).exists()
            assert undo(machine) == set()

    def test_a_name_that_no_file_system_takes(self, machine):
        done = machine.run(PUT, P=machine.folder / ("n" * (LONGEST_NAME + 1)))
        assert (done.status, "too long" in error(done)) == (20, True)

    def test_a_longer_name_than_temporary_ones_take_is_written(self, machine):
        (machine.folder / "var/lib/kfinstall/proofs").mkdir(parents=True)  # of these nothing is recorded
        done = machine.run('kf_done "$KF_N" <<<x', N="n" * 246)
        assert done.status == 0, done
        assert (machine.folder / "var/lib/kfinstall/proofs" / f"{'n' * 246}.json").read_text() == "x\n"

    def test_what_can_not_be_named_is_told_in_the_tools_own_words(self, machine):
        machine.program("mktemp", "echo 'mktemp: failed to create file: Operation not supported' >&2; exit 1")
        done = machine.run(PUT, P=machine.folder / "x")
        assert done.status == 29
        assert "Operation not supported" in error(done)
        assert "not known yet" in error(done)

    def test_a_record_that_can_not_be_written_is_told_as_that(self, machine):
        (machine.folder / "var/lib").mkdir(parents=True)
        (machine.folder / "var/lib/kfinstall").write_text("in the way")
        (machine.folder / "old").write_text("old")
        done = machine.run(PUT, P=machine.folder / "old")
        assert done.status == 29
        assert f"{machine.folder}/var/lib/kfinstall/undo" in error(done)
        assert ((machine.folder / "old").read_text(), left(machine)) == ("old", [])

    @pytest.mark.parametrize("call", ["kf_folder rel/x", "kf_private rel/x", "kf_put rel/x 0644 root:root <<<x", "kf_folder ''"])
    def test_a_relative_path_is_refused(self, machine, call):
        done = machine.run(f"{call}; echo went on")
        assert (done.status, "went on" in done.lines) == (64, False)
        assert "no absolute path" in error(done)
        assert not (machine.folder / "rel").exists()

    def test_a_unit_can_not_be_masked_where_a_directory_is(self, machine):
        units = machine.folder / "etc/systemd/system"
        units.mkdir(parents=True)
        directory(units / "x.service")
        assert "is a directory" in error(machine.run("kf_mask x.service"))
        assert (undo(machine), left(machine)) == (set(), [])
        (units / "y.service").write_text("an administrator's")
        with locked(units / "y.service"):
            assert "is locked" in error(machine.run("kf_mask y.service"))
        assert (undo(machine), left(machine)) == (set(), [])
        assert machine.run("kf_mask y.service").lines == ("masked y.service",)
        assert os.readlink(units / "y.service") == "/dev/null"
        assert undo(machine) == {"etc/systemd/system/y.service"}


class TestWantedNames:
    def given(self, machine, call):
        wanted = Wanted(files=(File(f"{machine.folder}/a", "a", owner=OWNER, content_as="A"),))
        return machine.run(call, **wanted.parameters)

    @pytest.mark.parametrize("name", ["TYPO", "files", "a", "WANTED"])
    def test_a_name_that_nothing_has_is_refused(self, machine, name):
        done = self.given(machine, f"kf_wanted A {name}; echo went on")
        assert (done.status, "went on" in done.lines) == (64, False)
        assert f"nothing is called {name}" in error(done)
        assert not (machine.folder / "a").exists()

    def test_a_kind_of_which_there_is_nothing_is_no_mistake(self, machine):
        assert self.given(machine, "kf_wanted unit").lines == ()
        assert self.given(machine, "kf_wanted A unit").lines == (f"{machine.folder}/a",)

    def test_a_content_that_was_not_sent_is_no_empty_file(self, machine):
        done = self.given(machine, "unset KF_A; kf_wanted; echo went on")
        assert (done.status, "went on" in done.lines) == (64, False)
        assert not (machine.folder / "a").exists()


class TestKernel:
    def test_a_modules_name_is_the_same_with_either_dash(self, machine):
        loaded = sorted(name for name in os.listdir("/sys/module") if "_" in name)
        if not loaded:
            pytest.skip("no module with such a name is loaded")
        machine.program("modprobe", "echo called; exit 1")
        for name in (loaded[0], loaded[0].replace("_", "-")):
            assert machine.run(f"kf_module {name}").lines == ()

    def test_so_it_is_of_one_that_is_built_in_and_one_that_is_forbidden(self, machine):
        machine.program("modprobe", "exit 1")
        folder = machine.folder / "etc/modprobe.d"
        folder.mkdir(parents=True)
        (folder / "hard.conf").write_text("install no_such_module /bin/false\n")
        assert "hard.conf forbids it" in error(machine.run("kf_module no-such-module"))
        builtin = machine.folder / "lib/modules/6.1/modules.builtin"
        builtin.parent.mkdir(parents=True)
        builtin.write_text("kernel/net/dns_resolver/kf-no_such.ko\n")
        machine.program("uname", "echo 6.1")
        for name in ("kf-no-such", "kf_no_such", "kf-no_such"):
            assert machine.run(f"kf_module {name}").status == 0

    @pytest.mark.parametrize("now", ["4096\t87380\t6291456", "4096 87380 6291456", "4096\t87380  6291456 "])
    def test_white_space_in_a_kernel_parameter_does_not_count(self, machine, now):
        machine.program("sysctl", f"[[ $1 == -n ]] && printf '%s\\n' '{now}' || echo called")
        wanted = Wanted(sysctls=(("net.ipv4.tcp_rmem", "4096 87380 6291456"),))
        assert machine.run("kf_wanted", **wanted.parameters).lines == ()
        assert undo(machine) == set()

    def test_another_value_does(self, machine):
        machine.program("sysctl", "[[ $1 == -n ]] && printf '4096\\t87380\\t1\\n' || echo \"set $3\"")
        wanted = Wanted(sysctls=(("net.ipv4.tcp_rmem", "4096 87380 6291456"),))
        assert machine.run("kf_wanted", **wanted.parameters).lines == ("set net.ipv4.tcp_rmem=4096 87380 6291456",)
