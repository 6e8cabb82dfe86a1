"""What a node is like, line by line, and what of a difference a plan had announced."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from kfinstall.engine.step import Needed
from kfinstall.parts.registry import files as registry_files

# Left out: what only time changes, random keys, caches, kfinstall's own record of what was before, its lock, and what runs at a disk's first
# boot only.
SCRIPT = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
set -o pipefail
trees=(/etc /usr/local /opt /srv)
env=/var/lib/kfinstall/proxy.env
if [[ -e $env ]]; then trees+=("$env"); fi
seen() {
  find "${trees[@]}" -xdev ! -path '/etc/ssh/ssh_host_*' ! -path /etc/machine-id ! -path /etc/.pwd.lock ! -path /etc/ld.so.cache ! -path '/etc/*-' \
    ! -path /etc/mtab ! -path '/etc/chrony/chrony.keys' "$@"
}
seen -type f -print0 | xargs -0 -r stat -c $'mode\t%n\t%a %U:%G'
seen -type f -print0 | xargs -0 -r sha256sum | sed -E $'s/^([0-9a-f]+)  (.*)/content\t\\2\t\\1/'
seen -type l -printf 'link\t%p\t%l\n'
seen -type d -printf 'folder\t%p\t%m %u:%g\n'
sed -nE $'s,^(/(etc|usr/local|opt|srv)/.*),owned\t\\1\t,p' /var/lib/dpkg/info/*.list | sort -u
dpkg-query -W -f 'package\t${Package}\t${Version} ${db:Status-Status}\n'
apt-mark showmanual | sed $'s/^/manual\t/'
apt-mark showhold | sed $'s/^/held\t/'
tail -n +2 /proc/swaps | awk '{print "swap\t" $1}'
awk '{print "module\t" $1 "\t" $4}' /proc/modules
for name in @SYSCTLS@; do printf 'sysctl\t%s\t%s\n' "$name" "$(sysctl -n "$name" 2>/dev/null)"; done
systemctl list-units --no-legend --plain --no-pager --type service,socket,swap,timer |
  awk '$3 == "active" && $1 !~ /^(user|session|kf-|systemd-|run-|lab-|ldconfig)/ {print "active\t" $1}'
find / -xdev -name '*.kf.*' -printf 'left over\t%p\n'
{ ctr -n k8s.io images ls -q; docker image ls --digests --format '{{.Repository}}@{{.Digest}}'; } 2>/dev/null | sed $'s/^/image\t/;s/$/\t/' || true
find /var/lib/kfinstall/undo -name '%2F*' ! -name '*.tree' -printf 'own\t%f\n' 2>/dev/null || true
"""


@dataclass(frozen=True)
class Look:
    """A node at one moment."""

    lines: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Look:
        """Of what SCRIPT printed."""
        return cls(frozenset(line for line in text.splitlines() if line.count("\t")))

    def of_kind(self, kind: str) -> dict[str, str]:
        """Subject to its value."""
        split = (line.split("\t", 2) for line in self.lines)
        return {words[1]: "\t".join(words[2:]) for words in split if words[0] == kind}


def changed(before: Look, after: Look) -> list[tuple[str, str]]:
    """(kind, subject) of what is not as it was."""
    kinds = (
        "mode",
        "content",
        "link",
        "folder",
        "package",
        "manual",
        "held",
        "swap",
        "module",
        "sysctl",
        "active",
        "image",
        "left over",
    )
    found = []
    for kind in kinds:
        old, new = before.of_kind(kind), after.of_kind(kind)
        if kind == "module":  # who uses it is no property of it
            old, new = dict.fromkeys(old, ""), dict.fromkeys(new, "")
        found += [(kind, subject) for subject in sorted(old.keys() | new.keys()) if old.get(subject) != new.get(subject)]
    return found


def words(plan: Needed) -> set[str]:
    """All names in a plan."""
    return {part for word in " ".join(plan.changes).split() for part in word.strip(",;:").strip("'").split("=")}


def new_packages(before: Look, after: Look) -> list[str]:
    """Names of packages that were not there."""
    return sorted(after.of_kind("package").keys() - before.of_kind("package").keys())


def _of_swap(path: str) -> str:
    """The unit that systemd makes of a swap file."""
    return path.strip("/").replace("-", "\\x2d").replace("/", "-") + ".swap"


def _needed_by(module: str, announced: set[str], users: dict[str, str]) -> bool:
    """Whether a module came with one that the plan names."""
    names = users.get(module, "").strip(",-").split(",")
    return any(name in announced or (name and _needed_by(name, announced, users)) for name in names)


_SIGNED = "sign a server certificate"
# What the maintainer scripts of Debian's packages write, beside the files that their packages hold.
_MAINTAINERS = re.compile(
    r"/etc/(passwd|group|shadow|gshadow|subuid|subgid|ssl/certs(/.*)?|ca-certificates.conf|alternatives/.*|rc.\.d/.*|init\.d/.*"
    r"|systemd/(system|user)/(.*\.(wants|requires)(/.*)?|[^/]+\.(service|target|socket))"
    r"|inputrc|exports|idmapd\.conf|nfs\.conf|python3(/debian_config)?)|/usr/local/lib/python3\.\d+(/dist-packages)?"
)
# What containerd makes by itself when it starts, and the empty folder that its configuration leads to.
_STARTED = re.compile(r"/etc/cni(/net\.d)?|/opt/containerd(/bin|/lib)?|/etc/containerd/certs\.d")
# Where a registry keeps what is pushed to it.
_PUSHED = re.compile(r"/srv/.*/docker(/registry(/v2(/.*)?)?)?")


def unannounced(plan: Needed, before: Look, after: Look) -> list[tuple[str, str]]:
    """What changed and the plan does not say.

    All that kfinstall itself writes must be there by name. What else changes must be, too, unless packages came that the plan
    names: their own files, units, modules and dependencies are theirs.
    """
    announced = words(plan)
    announced |= {_of_swap(word) for word in announced if word.startswith("/")}
    if any(change.startswith(_SIGNED) for change in plan.changes):
        announced |= {f"{registry_files.FOLDER}/{name}" for name in ("ca.crt", "ca.key", "server.crt", "server.key")}
    own = {unquote(name).removesuffix(".absent") for name in after.of_kind("own")}
    came = bool(new_packages(before, after))
    pushes, pulls = (any(change.startswith(verb) for change in plan.changes) for verb in ("push ", "pull "))
    users, packages = after.of_kind("module"), after.of_kind("owned")

    def follows(kind: str, subject: str) -> bool:
        """Whether it is what a push keeps, or a pulled image's configuration, which containerd lists beside it."""
        if kind == "image":
            return pulls and subject.startswith("sha256:")
        return pushes and _PUSHED.fullmatch(subject) is not None

    def known(kind: str, subject: str) -> bool:
        name = subject.rpartition("/")[2]
        if {subject, name, name.removesuffix(".service")} & announced:
            return True
        if kind == "sysctl":  # the module brings its settings along
            return subject.startswith("net.bridge.") and "br_netfilter" in announced
        if kind == "module" and ("mount" in announced or _needed_by(subject, announced, users)):
            return True
        if kind == "folder" and any(word.startswith(f"{subject}/") for word in announced):
            return True
        if not came or subject in own or kind == "image":
            return follows(kind, subject)
        if kind in ("mode", "content", "link", "folder"):
            return subject in packages or bool(
                _MAINTAINERS.fullmatch(subject) or (kind == "folder" and _STARTED.fullmatch(subject))
            )
        return kind in ("module", "active", "package")

    return [(kind, subject) for kind, subject in changed(before, after) if not known(kind, subject)]


# How a plan's words are seen on a node: what they name must have changed there.
_SEEN = tuple(
    re.compile(text)
    for text in (
        r"install \S+ \S+ as (/\S+)",
        r"(?:apt-get )?install ([^/]+)",
        r"write ([^\s:]+)",
        r"(?:set|add|turn) .+ in (/\S+?),?(?: |$)",
        r"add \S+ to (/[^,\s]+)",
        r"swapoff (\S+)",
        r"comment out in ([^:]+):",
        r"turn off in (/[^ ,]+)",
        r"sysctl ([^=]+)=",
        r"systemctl mask (.+)",
        r"modprobe (?:what[^:]*: )?(.+)",
        r"apt-mark hold (.+)",
        r"(?:systemctl enable --now|systemctl enable|start) (\S+)",
        r"turn (\S+) on",
        r"make (/[^\s,]+)",
        r"merge .* into (\S+)",
    )
)
# Done and gone: only the step's own check tells of them afterwards.
_UNSEEN = ("apt-get update", "mount ", "try ", "exportfs", "restart ")


def _subjects(change: str) -> list[str]:
    """What a line of a plan names. Raises: ValueError where no pattern knows how to look for it."""
    if change.startswith(_SIGNED):
        return [registry_files.CERTIFICATE]
    if change.startswith(_UNSEEN):
        return []
    if match := re.match(r"push [^/]+/(\S+):(\S+)$", change):
        return [f"repositories/{match[1]}/_manifests/tags/{match[2]}"]
    if change.startswith("pull "):
        return [change.removeprefix("pull ")]
    for pattern in _SEEN:
        if match := pattern.match(change):
            # Names are written as a shell takes them.
            return [word.strip("'") for word in re.split(r"[ ,]+", match[1]) if not re.match(r"[0-9(]", word)]
    raise ValueError(f"nothing says how this is seen on a node: {change}")


def unkept(plan: Needed, before: Look, after: Look) -> list[str]:
    """What the plan says and did not come to be. Raises: ValueError for words that are not known here."""
    happened = {subject for _kind, subject in changed(before, after)}

    def seen(name: str) -> bool:
        words = (name, f"{name}.service", name.replace("-", "_"))
        return any(subject in words or subject.endswith(tuple(f"/{word}" for word in words)) for subject in happened)

    return [f"{change}: {name}" for change in plan.changes for name in _subjects(change) if not seen(name)]
