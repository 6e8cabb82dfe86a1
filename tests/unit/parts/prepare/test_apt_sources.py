"""Sources of apt in every form that is found on servers: what kfinstall reads is what apt reads, and what it turns off is off for apt."""

import hashlib
import shutil
import subprocess

import pytest

from kfinstall.parts.preflight.apt_facts import TextFile
from kfinstall.parts.preflight.apt_sources import conflicts, judge, listed, sources, turned_off
from tests.unit.parts.prepare.test_prepare_lib import Machine, pytestmark  # noqa: F401

OLD = "https://apt.kubernetes.io/"
INLINE = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY0000\n -----END PGP PUBLIC KEY BLOCK-----\n"
STANZA = f"Types: deb\nURIs: {OLD}\nSuites: kubernetes-xenial\nComponents: main\n"
OTHER = "Types: deb\nURIs: https://download.docker.com/linux/debian\nSuites: bookworm\nComponents: stable\n"
# name: (content, how many places apt reads in it, how many of them once Kubernetes' are off)
FORMS = {
    "old.list": ("deb https://apt.kubernetes.io/ kubernetes-xenial main\n", 1, 0),
    "http.list": ("deb http://apt.kubernetes.io kubernetes-xenial main", 1, 0),
    "source.list": ("deb-src http://apt.kubernetes.io kubernetes-xenial main\ndeb http://apt.kubernetes.io kubernetes-xenial main\n", 1, 0),
    "options.list": ("deb [arch=amd64 signed-by=/usr/share/keyrings/k.gpg] https://apt.kubernetes.io/ kubernetes-xenial main\n", 1, 0),
    "google.list": ("deb https://packages.cloud.google.com/apt/ kubernetes-xenial main # the guide's\n", 1, 0),
    "google-others.list": ("deb https://packages.cloud.google.com/apt cloud-sdk main\ndeb https://packages.cloud.google.com/apt gcsfuse-jammy main\n", 2, 2),
    "crlf.list": ("# x\r\n  deb https://apt.kubernetes.io/ kubernetes-xenial main\r\ndeb http://deb.debian.org/debian bookworm main\r\n", 2, 1),
    "cached.list": ("deb http://cache.lan:3142/apt.kubernetes.io/ kubernetes-xenial main\n", 1, 0),
    "minor.list": ("deb [signed-by=/etc/apt/keyrings/kubernetes-1-29.gpg] https://pkgs.k8s.io/core:/stable:/v1.29/deb/ /\n", 1, 0),
    "cri-o.list": ("deb https://pkgs.k8s.io/addons:/cri-o:/stable:/v1.30/deb/ /\n", 1, 1),
    "mirror.list": ("deb https://mirrors.aliyun.com/kubernetes-new/core/stable/v1.29/deb/ /\ndeb https://mirrors.tuna.tsinghua.edu.cn/kubernetes/core:/stable:/v1.30/deb/ /\n", 2, 2),
    "off.list": ("# deb https://apt.kubernetes.io/ kubernetes-xenial main\n#deb http://apt.kubernetes.io/ kubernetes-xenial main\n", 0, 0),
    "kubernetes.sources": (STANZA, 1, 0),
    "modernized.sources": (f"# Modernized from /etc/apt/sources.list.d/kubernetes.list\n{STANZA}Signed-By: /etc/apt/keyrings/kubernetes.gpg\n", 1, 0),
    "ansible.sources": ("X-Repolib-Name: k8s\nComponents: main\nEnabled: yes\nSigned-By: /etc/apt/keyrings/k8s.asc\nSuites: kubernetes-xenial\nTypes: deb\nURIs: https://apt.kubernetes.io\n", 1, 0),
    "inline.sources": (f"{STANZA}{INLINE}\n{OTHER}{INLINE}", 2, 1),
    "between.sources": (f"{OTHER}\n\n# Kubernetes\n{STANZA}\n{OTHER.replace('bookworm', 'trixie')}", 3, 2),
    "off.sources": (f"Enabled: no\n{STANZA}\n{STANZA}enabled: WITHOUT\n", 0, 0),
    "folded.sources": ("Types: deb\n# where\nURIs:\n https://apt.kubernetes.io/\n# and\n http://cache.lan/apt.kubernetes.io/\nSuites:\n kubernetes-xenial\nComponents:\n main\n", 2, 0),
    "crlf.sources": ((STANZA + "\n" + OTHER).replace("\n", "\r\n"), 2, 1),
    "small.sources": (STANZA.replace("URIs", "uris").replace("Suites", "SUITES"), 1, 0),
    "mixed.sources": (STANZA.replace(OLD, f"{OLD} https://packages.example.org/debian"), 2, 2),
    "minors.sources": ("Types: deb\nURIs: https://pkgs.k8s.io/core:/stable:/v1.28/deb/ https://pkgs.k8s.io/core:/stable:/v1.29/deb/\nSuites: /\n", 2, 0),
    "no-end.sources": (STANZA.rstrip("\n"), 1, 0),
    "torn.sources": ("URIs: https://apt.kubernetes.io/\n\n\n\nTypes: deb\n", 0, 0),
}  # fmt: skip
APT = shutil.which("apt-get")
each = pytest.mark.parametrize("name", FORMS)


def file(folder, name):
    path = folder / "etc/apt/sources.list.d" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(FORMS[name][0].encode())
    return path


def text_of(path):
    data = path.read_bytes()
    return TextFile(str(path), hashlib.sha256(data).hexdigest(), tuple(data.decode().splitlines()))


def places(*paths):
    return sorted({place for source in sources(text_of(path) for path in paths) if source.enabled for place in source.places})


def apts(path):
    """What apt itself reads in a file."""
    words = [APT, "-o", f"Dir::Etc::sourcelist={path}", "-o", "Dir::Etc::sourceparts=-", "indextargets", "--no-release-info"]
    done = subprocess.run(
        [*words, "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"], capture_output=True, text=True, check=False
    )
    rows = (line.partition(" ") for line in done.stdout.splitlines())
    return sorted({(uri.rstrip("/"), release or "/") for uri, _blank, release in rows})


# Of a torn file apt reads nothing at all, and says so.
@pytest.mark.skipif(APT is None, reason="needs apt-get")
@pytest.mark.parametrize("name", [name for name in FORMS if name != "torn.sources"])
def test_what_is_read_is_what_apt_reads(tmp_path, name):
    path = file(tmp_path, name)
    assert places(path) == apts(path)
    assert len(apts(path)) == FORMS[name][1]


@each
def test_every_other_line_stays_and_what_is_off_is_off_for_apt_too(tmp_path, name):
    machine = Machine(tmp_path)
    path = file(tmp_path, name)
    before = path.read_bytes()
    judged = judge(sources([text_of(path)]))
    found = listed([text_of(path)], [source for source, _why in judged.off])
    done = machine.run('kf_sources_off <<<"$KF_OFF"; kf_apt_gone', OFF=found)
    assert done.status == 0, done
    after = path.read_bytes()
    assert len(places(path)) == FORMS[name][2]
    if APT and name != "torn.sources":
        assert len(apts(path)) == FORMS[name][2]
    # Nothing of anybody else's is another byte.
    ending = b"\r" if b"\r\n" in before else b""
    kept = [line for line in after.split(b"\n") if not line.startswith((b"# kfinstall turned it off", b"Enabled: no" + ending))]
    lost = [line for line in before.split(b"\n") if line not in kept]
    assert all(line.lower().startswith((b"enabled", b"deb", b"  deb")) for line in lost), lost
    # Once is enough, and what was is kept.
    assert machine.run("kf_apt_gone").lines == ()
    undo = list((tmp_path / "var/lib/kfinstall/undo").glob("*")) if before != after else []
    assert [entry.read_bytes() for entry in undo] == ([before] if before != after else [])
    # The simulator makes the same of it.
    if before != after and not ending:
        meant = [source.line for source, _why in judged.off]
        path.write_bytes(before)
        assert turned_off(text_of(path), meant).encode().rstrip(b"\n") == after.rstrip(b"\n")


@pytest.mark.parametrize("name", ["kubernetes.sources", "old.list", "between.sources", "crlf.sources"])
def test_a_step_that_only_reads_the_lists_turns_off_what_is_gone(tmp_path, name):
    path = file(tmp_path, name)
    machine = Machine(tmp_path)
    assert str(path) in machine.run("kf_apt_gone").lines
    assert len(places(path)) == FORMS[name][2]


def test_a_file_that_has_changed_since_it_was_looked_at_is_left_alone(tmp_path):
    path = file(tmp_path, "minor.list")
    found = listed([text_of(path)], sources([text_of(path)]))
    path.write_text("deb https://example.org/ / \n" + path.read_text())
    done = Machine(tmp_path).run('kf_sources_off <<<"$KF_OFF"', OFF=found)
    assert "is not as it was when it was looked at" in done.lines[0]
    assert path.read_text().count("\ndeb [signed-by") == 1


def test_the_mode_and_owner_of_a_file_stay(tmp_path):
    path = file(tmp_path, "old.list")
    path.chmod(0o640)
    Machine(tmp_path).run("kf_apt_gone")
    assert path.stat().st_mode & 0o777 == 0o640


def text(path, *lines):
    return TextFile(path, "0", lines)


OWN = "/etc/apt/sources.list.d/kubernetes.list"


def test_ours_stays_and_a_guest_in_its_file_is_told():
    ours = "deb [signed-by=/k.gpg] https://pkgs.k8s.io/core:/stable:/v1.34/deb/ /"
    assert judge(sources([text(OWN, ours)])) == judge([])
    judged = judge(sources([text(OWN, ours, "deb https://baltocdn.com/helm/stable/debian/ all main")]))
    assert [source.uris for source in judged.guests] == [("https://baltocdn.com/helm/stable/debian/",)]
    mirror = "deb [signed-by=/k.gpg] https://mirrors.aliyun.com/kubernetes/apt/ kubernetes-xenial main"
    assert judge(sources([text(OWN, mirror)])).guests == ()


def test_the_same_repository_with_another_key():
    files = [
        text("/a.list", "deb [arch=amd64 signed-by=/a.gpg] https://download.docker.com/linux/debian/ bookworm stable"),
        text("/b.sources", *OTHER.splitlines(), "Signed-By: /b.asc"),
        text("/c.list", "deb http://deb.debian.org/debian bookworm main", "deb http://deb.debian.org/debian bookworm contrib"),
    ]
    assert [(one.path, other.path) for one, other in conflicts(sources(files))] == [("/a.list", "/b.sources")]
    assert conflicts(sources([files[0], text("/d.list", files[0].lines[0])])) == ()
    nokey = text("/e.list", "deb https://download.docker.com/linux/debian bookworm stable")
    assert [(one.path, other.path) for one, other in conflicts(sources([files[0], nokey]))] == [("/a.list", "/e.list")]


@pytest.mark.parametrize("option", ['signed-by="/k.gpg"', '"signed-by=/k.gpg"', 'arch="amd64,arm64" signed-by="/k.gpg"'])
def test_quotes_are_no_part_of_a_keys_path(option):
    found = sources([text("/a.list", f"deb [{option}] https://x.example/debian y main")])
    assert [source.signed_by for source in found] == [("/k.gpg",)]
    assert conflicts([*found, *sources([text("/b.list", "deb [signed-by=/k.gpg] https://x.example/debian y main")])]) == ()


def test_a_keys_path_in_quotes_may_have_a_space():
    found = sources([text("/a.list", 'deb [ signed-by="/key rings/k.gpg" arch=amd64 ] https://x.example/debian y main')])
    assert [source.signed_by for source in found] == [("/key rings/k.gpg",)]


@pytest.mark.skipif(APT is None, reason="needs apt-get")
def test_apt_means_the_same_by_a_conflict(tmp_path):
    path = tmp_path / "x.list"
    path.write_text("deb [signed-by=/a.gpg] https://x.example/debian/ y main\ndeb http://x.example/debian y main\n")
    assert apts(path) == []
    assert len(conflicts(sources([text_of(path)]))) == 1
