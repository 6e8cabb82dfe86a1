"""What a node is like, line by line, and what of a difference a plan had announced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from kfinstall.step import Needed

# Left out: what only time changes, random keys, caches, kfinstall's own record of what was before, and its lock.
SCRIPT = r"""
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
set -o pipefail
trees=(/etc /usr/local /opt /srv)
seen() {
  find "${trees[@]}" -xdev ! -path '/etc/ssh/ssh_host_*' ! -path /etc/machine-id ! -path /etc/.pwd.lock ! -path /etc/ld.so.cache ! -path '/etc/*-' \
    ! -path /etc/mtab ! -path '/etc/chrony/chrony.keys' "$@"
}
seen -type f -print0 | xargs -0 -r stat -c $'mode\t%n\t%a %U:%G'
seen -type f -print0 | xargs -0 -r sha256sum | sed -E $'s/^([0-9a-f]+)  (.*)/content\t\\2\t\\1/'
seen -type l -printf 'link\t%p\t%l\n'
dpkg-query -W -f 'package\t${Package}\t${Version} ${db:Status-Status}\n'
apt-mark showmanual | sed $'s/^/manual\t/'
apt-mark showhold | sed $'s/^/held\t/'
tail -n +2 /proc/swaps | awk '{print "swap\t" $1}'
awk '{print "module\t" $1 "\t" $4}' /proc/modules
for name in @SYSCTLS@; do printf 'sysctl\t%s\t%s\n' "$name" "$(sysctl -n "$name" 2>/dev/null)"; done
systemctl list-units --no-legend --plain --no-pager --type service,socket,swap,timer |
  awk '$3 == "active" && $1 !~ /^(user|session|kf-|systemd-|run-)/ {print "active\t" $1}'
find / -xdev -name '*.kf.*' -printf 'left over\t%p\n'
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
    kinds = ("mode", "content", "link", "package", "manual", "held", "swap", "module", "sysctl", "active", "left over")
    found = []
    for kind in kinds:
        old, new = before.of_kind(kind), after.of_kind(kind)
        if kind == "module":  # who uses it is no property of it
            old, new = dict.fromkeys(old, ""), dict.fromkeys(new, "")
        found += [(kind, subject) for subject in sorted(old.keys() | new.keys()) if old.get(subject) != new.get(subject)]
    return found


def words(plan: Needed) -> set[str]:
    """All names in a plan."""
    return {part for word in " ".join(plan.changes).split() for part in word.strip(",;:").split("=")}


def new_packages(before: Look, after: Look) -> list[str]:
    """Names of packages that were not there."""
    return sorted(after.of_kind("package").keys() - before.of_kind("package").keys())


def _of_swap(path: str) -> str:
    """The unit that systemd makes of a swap file."""
    return path.strip("/").replace("-", "\\x2d").replace("/", "-") + ".swap"


def _needed_by(module: str, told: set[str], users: dict[str, str]) -> bool:
    """Whether a module came with one that the plan names."""
    names = users.get(module, "").strip(",-").split(",")
    return any(name in told or (name and _needed_by(name, told, users)) for name in names)


def unannounced(plan: Needed, before: Look, after: Look) -> list[tuple[str, str]]:
    """What changed and the plan does not say.

    All that kfinstall itself writes must be there by name. What else changes must be, too, unless packages came that the plan
    names: their own files, units, modules and dependencies are theirs.
    """
    told = words(plan)
    told |= {_of_swap(word) for word in told if word.startswith("/")}
    own = {unquote(name).removesuffix(".absent") for name in after.of_kind("own")}
    came = bool(new_packages(before, after))
    users = after.of_kind("module")

    def known(kind: str, subject: str) -> bool:
        name = subject.rpartition("/")[2]
        if {subject, name, name.removesuffix(".service")} & told:
            return True
        if kind == "sysctl":  # the module brings its settings along
            return subject.startswith("net.bridge.") and "br_netfilter" in told
        if kind == "module" and ("mount" in told or _needed_by(subject, told, users)):
            return True
        return came and kind in ("mode", "content", "link", "module", "active", "package") and subject not in own

    return [(kind, subject) for kind, subject in changed(before, after) if not known(kind, subject)]


def unkept(plan: Needed, before: Look, after: Look) -> list[str]:
    """What the plan says and did not come to be."""
    happened = {subject for _kind, subject in changed(before, after)}
    lacking = []
    for change in plan.changes:
        verb, _, rest = change.partition(" ")
        names: Sequence[str] = rest.replace(",", " ").split()
        if verb == "apt-get" and names[:1] == ["install"]:
            wanted = [name for name in names[1:] if re.fullmatch(r"[a-z][a-z0-9.+-]+", name)]
        elif verb in ("write", "swapoff"):
            wanted = list(names[:1])
        elif verb == "sysctl":
            wanted = [names[0].partition("=")[0]]
        elif change.startswith("systemctl mask"):
            wanted = list(names[1:])
        else:
            continue
        lacking += [f"{change}: {name}" for name in wanted if name not in happened]
    return lacking
