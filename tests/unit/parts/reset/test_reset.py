"""Checks of the way back: whose node it is, what is recorded, what is data."""

import pytest

from kfinstall import releases, resources
from kfinstall.answers.load import load
from kfinstall.engine import plan
from kfinstall.engine.options import Options
from kfinstall.engine.state import ClusterState
from kfinstall.engine.step import Conflict, Danger, Needed, Satisfied
from kfinstall.errors import StateError, UsageError
from kfinstall.facts.lines import SectionError
from kfinstall.facts.model import Facts, FileFact
from kfinstall.parts.preflight import membership
from kfinstall.parts.reset import record as reset_record
from kfinstall.parts.reset.data import ResetData
from kfinstall.parts.reset.facts import UndoRecord
from kfinstall.parts.reset.files import ResetFiles
from kfinstall.parts.reset.leave_first import ResetLeaveFirst
from kfinstall.parts.reset.packages import ResetPackages
from kfinstall.parts.reset.services import ResetServices
from kfinstall.text import sha256
from kfinstall.workflows import installation, reset, runs
from kfinstall.workflows.install import INSTALL
from kfinstall.workflows.reset import RESET

RECORD = (
    "file\t/etc/fstab\nabsent\t/etc/containerd/config.toml\ngone\t/etc/apt/keyrings\ntree\t/etc/kubernetes\n"
    "packages\tcontainerd\npackages\trunc\nheld\tkubelet\nupgraded\tiptables 1.8.9-2\nunits\tcontainerd.service not-found inactive\n"
    "sysctls\tnet.ipv4.ip_forward 0\nswaps\t/swap.img\n"
)


@pytest.fixture
def answers():
    return load(resources.root() / "examples" / "three-nodes.yaml")


def view(answers, **facts):
    name = answers.first_control_plane.name
    return plan.Situation(answers, releases.load(answers.cluster.release), {name: Facts(node=name, **facts)}).view(name)


def owned(content):
    return {membership.OWNER_FILE: FileFact("file", 0o644, "root:root", len(content), sha256(content))}


def test_a_member_leaves_and_a_half_made_one_too(answers):
    plain = view(answers)
    assert isinstance(ResetLeaveFirst().check(plain), Satisfied)
    for owner in (membership.owner_begun(plain), membership.owner_done(plain)):
        assert isinstance(ResetLeaveFirst().check(view(answers, files=owned(owner))), Needed)


def test_another_clusters_member_is_never_touched(answers):
    other = "# Written by kfinstall\ncluster=another\nnode=x\nstate=done\n"
    check = ResetLeaveFirst().check(view(answers, files=owned(other)))
    assert isinstance(check, Conflict)
    assert not check.warning
    assert membership.OWNER_FILE in check.hint


def test_every_kind_of_record_is_a_change(answers):
    found = view(answers, sections={UndoRecord: UndoRecord.parse(RECORD.splitlines())})
    assert ResetServices().check(found) == Needed(("containerd.service: back to not-found and inactive",))
    assert ResetPackages().check(found) == Needed(
        ("apt-get purge containerd runc", "apt-mark unhold kubelet", "leave upgraded: iptables")
    )
    check = ResetFiles().check(found)
    assert isinstance(check, Needed)
    assert check.changes == (
        "restore /etc/fstab",
        "remove /etc/containerd/config.toml",
        "remove all of /etc/kubernetes",
        "sysctl net.ipv4.ip_forward 0",
        "swapon /swap.img",
    )


def test_what_a_killed_step_left_off_hold_is_held_again(answers):
    found = view(answers, sections={UndoRecord: UndoRecord.parse(["loose\tkubernetes-cni", "loose\tcri-tools"])})
    assert ResetPackages().check(found) == Needed(("apt-mark hold kubernetes-cni cri-tools",))


def test_a_record_of_what_is_gone_is_dropped_and_none_is_satisfied(answers):
    assert isinstance(ResetFiles().check(view(answers, sections={UndoRecord: UndoRecord(gone=("/etc/x",))})), Needed)
    for step in (ResetServices(), ResetPackages(), ResetFiles()):
        assert isinstance(step.check(view(answers)), Satisfied)


def test_a_record_that_cant_be_understood_is_refused_and_an_empty_line_of_it_tells_nothing(answers):
    for line in ("/etc/fstab", "secrets\t/etc/shadow"):
        with pytest.raises(SectionError, match="undo"):
            UndoRecord.parse(["file\t/etc/fstab", line])
    empty = UndoRecord.parse(["units\t ", "packages\t", "swaps\t"])
    for step in (ResetServices(), ResetPackages(), ResetFiles()):
        assert isinstance(step.check(view(answers, sections={UndoRecord: empty})), Satisfied)


def test_data_is_what_holds_volumes_and_images(answers):
    name = answers.first_control_plane.name
    paths = reset_record.data_directories(answers, name)
    assert paths == (answers.storage.nfs.path,)
    assert reset_record.data_directories(answers, answers.registry_node.name) == (answers.registry.directory,)
    there = {path: FileFact("directory", 0o755, "root:root", 0) for path in paths}
    assert isinstance(ResetData().check(view(answers, files=there)), Needed)
    assert isinstance(ResetData().check(view(answers)), Satisfied)
    text = "\n".join(paths) + "\n"
    went = there | {reset_record.DATA_PROOF: FileFact("file", 0o600, "root:root", len(text), sha256(text))}
    assert isinstance(ResetData().check(view(answers, files=went)), Satisfied)


def test_data_goes_only_where_that_is_asked_for():
    kept, gone = RESET.phases(Options(RESET)), RESET.phases(Options(RESET, delete_data=True))
    assert ResetData not in kept[-1].steps
    assert ResetData in gone[-1].steps
    assert [phase.id for phase in gone] == ["connect", "reset"]
    assert INSTALL.phases(Options(INSTALL)) == installation.PHASES
    with pytest.raises(UsageError):
        INSTALL.phases(Options(INSTALL, only="reset"))


def test_leaving_and_deleting_are_points_of_no_return():
    marked = {kind for kind in reset.PHASE.steps if kind.danger is Danger.POINT_OF_NO_RETURN}
    assert {kind.id for kind in marked} == {
        "reset.leave-workers",
        "reset.leave-control-planes",
        "reset.leave-first",
        "reset.data",
    }


def test_what_a_reset_ended_is_history(tmp_path):
    state = ClusterState(tmp_path, "one")
    first = state.new_run("install", exit_code=0)
    assert [record.id for record in runs.installations(state)] == [first.id]
    state.new_run("reset", exit_code=20)
    assert [record.id for record in runs.installations(state)] == [first.id], "a reset that did not end well ended nothing"
    done = state.new_run("reset", exit_code=0)
    assert runs.installations(state) == []
    state.journal_path.write_text("{}\n")
    state.archive(done.id)
    assert not state.journal_path.exists()
    assert (state.run_directory(done.id) / "journal.jsonl").read_text() == "{}\n"
    state.archive(done.id)  # nothing is left to move


def test_a_journal_that_cannot_be_moved_is_told(tmp_path):
    state = ClusterState(tmp_path, "one")
    state.journal_path.write_text("{}\n")
    with pytest.raises(StateError, match="can't be moved"):
        state.archive("no-such-run")
