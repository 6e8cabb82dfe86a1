"""~/.ssh/config: for each name on a Host line, what ssh would find for it, by ssh's own rule that the first value counts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Final

from kfinstall.answers.inventory import roles, ssh_words
from kfinstall.answers.inventory.found import Found, Hop, Imported, Server, word
from kfinstall.answers.inventory.limits import LONGEST_LINE_CHARACTERS, MOST_JUMP_HOSTS, MOST_PATTERNS, MOST_SERVERS
from kfinstall.answers.inventory.nodes import imported

TITLE: Final = "an ssh_config"
NAME: Final = "ssh-config"
_SPELLED: Final = {one.lower(): one for one in ("HostName", "User", "Port", "IdentityFile", "ProxyJump", "ProxyCommand")}
_TAKEN: Final = frozenset(_SPELLED)
_NO_CHANGE_WORDS: Final = (
    "addkeystoagent batchmode compression connectionattempts connecttimeout controlmaster controlpath controlpersist escapechar forwardagent "
    "forwardx11 forwardx11trusted hashknownhosts identitiesonly ignoreunknown loglevel permitlocalcommand requesttty serveralivecountmax "
    "serveraliveinterval tcpkeepalive visualhostkey sendenv setenv usekeychain preferredauthentications gssapiauthentication "
    "gssapidelegatecredentials localforward remoteforward dynamicforward exitonforwardfailure"
)
_NO_CHANGE: Final = frozenset(_NO_CHANGE_WORDS.split())
"""What does not change who is reached, as whom, or by which key."""
_OTHER_SETTINGS: Final = (
    "stricthostkeychecking userknownhostsfile hostkeyalias hostkeyalgorithms certificatefile identityagent addressfamily bindaddress ciphers macs "
    "kexalgorithms pubkeyacceptedalgorithms pubkeyacceptedkeytypes pubkeyauthentication passwordauthentication remotecommand localcommand "
    "proxyusefdpass canonicalizehostname canonicaldomains"
)
_NO_SERVERS: Final = frozenset(
    {"github.com", "gitlab.com", "bitbucket.org", "ssh.github.com", "altssh.gitlab.com", "ssh.dev.azure.com", "codeberg.org"}
)
_SETTINGS: Final = _TAKEN | _NO_CHANGE | frozenset(_OTHER_SETTINGS.split())
_BLOCKS: Final = frozenset({"host", "match", "include"})
_HOST_LINE: Final = re.compile(r"(?im)^[ \t]*host(?:[ \t]+|[ \t]*=[ \t]*)[^\s:=]")
_KEY: Final = re.compile(r"[ \t]*([^\s=#]+)")
_TOKEN: Final = re.compile(r"%(.)")


@dataclass(slots=True)
class _Block:
    """From one Host or Match line to the next."""

    line: int
    patterns: tuple[str, ...] | None
    """Of a Host line, or of a Match line that asks for the host; None: never, since it can't be told."""
    is_match: bool = False
    of_address: bool = False
    """Match host: the patterns are for what HostName has made of the name by then."""
    settings: list[tuple[str, str, int]] = field(default_factory=list)

    def holds(self, host: str) -> bool:
        """Whether it counts for a host: one pattern fits and none with '!' does."""
        if self.patterns is None:
            return False
        fits = False
        for pattern in self.patterns:
            negated, plain = pattern.startswith("!"), pattern.removeprefix("!")
            if _fits(plain, host):
                if negated:
                    return False
                fits = True
        return fits


@dataclass(slots=True)
class _Values:
    """What counts for one host."""

    host: str
    first: dict[str, tuple[str, int]] = field(default_factory=dict)
    keys: list[tuple[str, int]] = field(default_factory=list)

    def get(self, key: str) -> str:
        return self.first.get(key, ("", 0))[0]


def looks_like(text: str) -> bool:
    """A line that begins a Host block, and settings; sentences and tables begin with the word too."""
    if not _HOST_LINE.search(text) or re.search(r"(?m)^\s*(hosts?|all)\s*:", text):
        return False
    keys = [found[1].lower() for found in map(_KEY.match, text.splitlines()) if found]
    blocks = [key for key in keys if key in _BLOCKS]
    settings = [key for key in keys if key in _SETTINGS]
    return len(blocks) == len(keys) or (bool(settings) and len(blocks) + len(settings) >= len(keys) / 2)


def read(text: str) -> Imported:
    """A server for each name on a Host line that is no pattern, but for those that are only gone through."""
    found = Found()
    config = _Config(found, text)
    names_there = config.names()
    if len(names_there) > MOST_SERVERS or config.patterns > MOST_PATTERNS:
        return Imported(left=(f"more than {MOST_SERVERS} servers, or {MOST_PATTERNS} patterns of them",), kind=TITLE, form=NAME)
    values = {name: config.values(name) for name, _line in names_there}
    through: set[str] = set()
    ways: dict[str, tuple[Hop, ...] | None] = {}
    for name, own in values.items():
        ways[name] = config.way(own, (name,), through)
    config.tell_unused()
    servers: dict[tuple[str, str], str] = {}
    for name, line in names_there:
        server = config.server(values[name], ways[name], line)
        if name in through:
            found.leave(
                f"{word(name)}: a jump host ({word(server.address)}), no node; if it is to be one too, add it by hand", line
            )
        elif server.user == "git" or server.address.lower() in _NO_SERVERS:
            found.leave(f"{word(name)}: keeps code, and is no server of a cluster", line)
        elif (server.address, server.port) in servers:
            found.leave(f"{word(name)}: another name of {word(servers[server.address, server.port])}", line)
        elif roles.of_name(name) == roles.BASTION:
            found.leave(f"{word(name)}: by its name a jump host, and no server here goes through it (ProxyJump); not taken", line)
        else:
            servers[server.address, server.port] = name
            found.add(server)
    return imported(found, TITLE, NAME)


class _Config:
    def __init__(self, found: Found, text: str) -> None:
        self._found = found
        self._blocks = [_Block(0, ("*",))]
        self._by_name: dict[str, list[int]] = {}
        self._by_pattern: list[int] = []
        self.patterns = 0
        self._used: set[int] = set()
        for number, raw in enumerate(text.splitlines(), 1):
            if len(raw) > LONGEST_LINE_CHARACTERS:
                found.leave(f"is longer than {LONGEST_LINE_CHARACTERS} characters", number)
                continue
            key, value = _pair(raw)
            if key == "host":
                self._blocks.append(_Block(number, tuple(_words(value))))
            elif key == "match":
                criteria = [part.lower() for part in _words(value)[:1]]
                self._blocks.append(_Block(number, self._match(value, number), is_match=True, of_address=criteria == ["host"]))
            elif key == "include":
                found.leave(f"Include {word(value)}: that file is not read; import it too", number)
            elif key and not value:
                found.leave(f"{word(key)} has no value", number)
            elif key:
                self._blocks[-1].settings.append((key, value, number))
                if key not in _TAKEN:
                    hint = (
                        ssh_words.NO_PLACE
                        if key in _NO_CHANGE
                        else "ssh: {useSshConfig: true} has ssh's own configuration read for it"
                    )
                    found.unused(re.split(r"[\s=]", raw.strip(), maxsplit=1)[0], number, hint)

        self._index()

    def _match(self, value: str, number: int) -> tuple[str, ...] | None:
        """The patterns of a Match line that only asks for the host; others are told."""
        words = _words(value)
        conditions = [part.lower() for part in words[::2]]
        if [part.lower() for part in words] in (["all"], ["final", "all"]):
            return ("*",)
        if len(words) == 2 and conditions[0] in ("host", "originalhost"):
            return tuple(words[1].split(","))
        kind = "exec" if any(part.lower().lstrip("!").startswith("exec") for part in words) else word(words[0] if words else "")
        why = (
            "would run a command, which an import never does" if kind == "exec" else "depends on what is only known while ssh runs"
        )
        self._found.leave(f"Match {kind}: {why}; its settings are not taken", number)
        return None

    def names(self) -> list[tuple[str, int]]:
        """The names on Host lines that are no patterns, each once, and the line of the first."""
        seen: dict[str, int] = {}
        for block in self._blocks[1:]:
            for pattern in block.patterns or () if not block.is_match else ():
                if not any(mark in pattern for mark in "*?!"):
                    seen.setdefault(pattern, block.line)
                elif not pattern.startswith("!"):
                    self._found.alike(
                        f"{word(pattern)}: a pattern names no server; what it sets counts for those that it fits", block.line
                    )
        return list(seen.items())

    def _index(self) -> None:
        """Which blocks a name has to be tried on: those of that very name, and all with patterns."""
        for number, block in enumerate(self._blocks):
            plain = not block.of_address and not any(mark in one for one in block.patterns or () for mark in "*?!")
            if plain:
                for one in block.patterns or ():
                    self._by_name.setdefault(one, []).append(number)
            else:
                self._by_pattern.append(number)
                self.patterns += len(block.patterns or ())

    def values(self, host: str) -> _Values:
        """What ssh would take for a name; the first value counts, of IdentityFile all."""
        values = _Values(host)
        for number in sorted({*self._by_name.get(host, ()), *self._by_pattern}):
            block = self._blocks[number]
            if block.holds(self._address(values, tell=False) if block.of_address else host):
                for key, value, line in block.settings:
                    if key == "identityfile":
                        values.keys.append((value, line))
                        self._used.add(line)
                    elif key in ("proxyjump", "proxycommand") and ("proxyjump" in values.first or "proxycommand" in values.first):
                        continue  # ssh takes whichever of the two comes first
                    elif values.first.setdefault(key, (value, line)) == (value, line):
                        self._used.add(line)
        return values

    def tell_unused(self) -> None:
        """Name the settings of logins and ways that count for nobody: another one comes first, or no name here fits."""
        for block in self._blocks:
            for key, _value, line in block.settings if block.patterns is not None else ():
                if key in _TAKEN and line not in self._used:
                    self._found.alike(f"{_SPELLED[key]}: counts for no server here, as ssh reads it", line)

    def server(self, values: _Values, way: tuple[Hop, ...] | None, line: int) -> Server:
        """A name as a server."""
        return Server(
            values.host,
            self._address(values),
            line,
            user=self._filled(values, "user"),
            port=values.get("port"),
            keys=self._keys(values),
            hops=way,
            alias=values.host if self._hangs_on_name(values) else "",
        )

    def _hangs_on_name(self, values: _Values) -> bool:
        """Whether ssh would find other settings by the address than by the name, of those that the answers have no key for."""
        address = self._address(values, tell=False)
        if address == values.host:
            return False
        return _beyond(values) != _beyond(self.values(address))

    def _address(self, values: _Values, *, tell: bool = True) -> str:
        text, line = values.first.get("hostname", (values.host, 0))
        if not tell:
            return text.replace("%h", values.host)
        return self._tokens(text, {"h": values.host, "n": values.host}, line, "HostName")

    def _filled(self, values: _Values, key: str) -> str:
        text, line = values.first.get(key, ("", 0))
        return (
            self._tokens(text, {"h": self._address(values), "n": values.host, "p": values.get("port") or "22"}, line, key)
            if text
            else ""
        )

    def _keys(self, values: _Values) -> tuple[str, ...]:
        found = []
        for text, line in values.keys:
            if text.lower() == "none":
                continue
            tokens = {
                "d": "~",
                "h": self._address(values),
                "n": values.host,
                "p": values.get("port") or "22",
                "r": values.get("user"),
            }
            key = self._tokens(text, {name: value for name, value in tokens.items() if value}, line, "IdentityFile")
            if "${" in key:
                self._found.alike("IdentityFile: an environment variable in a path, which is not filled in; write ssh.keys", line)
            elif key:
                found.append(key)
        return tuple(found)

    def _tokens(self, text: str, known: dict[str, str], line: int, key: str) -> str:
        """A value with its %-tokens filled in; empty where it has one that can't be, which is told."""
        unknown: list[str] = []

        def value(match: re.Match[str]) -> str:
            if match[1] == "%":
                return "%"
            if match[1] not in known:
                unknown.append(match[0])
            return known.get(match[1], "")

        filled = _TOKEN.sub(value, text)
        if unknown:
            self._found.alike(f"{key}: {word(unknown[0])} can't be filled in here", line)
            return ""
        return filled

    def way(self, values: _Values, seen: tuple[str, ...], through: set[str]) -> tuple[Hop, ...] | None:
        """The jump hosts on the way to a name, those of the first of them included; the names that are gone through are put into `through`."""
        if "proxyjump" in values.first:
            text, line = values.first["proxyjump"]
            text = self._tokens(
                text,
                {"h": self._address(values), "n": values.host, "p": values.get("port") or "22", "r": values.get("user")},
                line,
                "ProxyJump",
            )
            read = ssh_words.jumps
        elif "proxycommand" in values.first:
            text, line = values.first["proxycommand"]
            read = ssh_words.proxy_command
        else:
            return None
        if not text:
            return None
        try:
            hops = read(text)
        except ssh_words.NotUnderstoodError as error:
            self._found.alike(f"{error}; write ssh.jumpHosts, or ssh: {{useSshConfig: true}}", line)
            return None
        if read is ssh_words.proxy_command and hops:
            self._found.alike(f"ProxyCommand: taken as the jump host {word(hops[-1].address)}", line)
        return tuple(self._chain(hops, seen, through, line))

    def _chain(self, hops: tuple[Hop, ...], seen: tuple[str, ...], through: set[str], line: int) -> Iterator[Hop]:
        for number, hop in enumerate(hops):
            if hop.address in seen or len(seen) > MOST_JUMP_HOSTS:
                self._found.alike(f"ProxyJump: {word(hop.address)} is gone through to reach itself", line)
                continue
            through.add(hop.address)
            values = self.values(hop.address)
            if number == 0:
                yield from self.way(values, (*seen, hop.address), through) or ()
            own = self.server(values, None, line)
            yield Hop(own.address, hop.user or own.user, hop.port or own.port, hop.keys or own.keys)


def _beyond(values: _Values) -> dict[str, str]:
    """What holds for a host besides what the answers can say."""
    known = _TAKEN - {"proxycommand"} | _NO_CHANGE
    return {key: value for key, (value, _line) in values.first.items() if key not in known and not _is_way(key, value)}


def _is_way(key: str, value: str) -> bool:
    """Whether it is a ProxyCommand that can be written down as jump hosts."""
    try:
        return key == "proxycommand" and ssh_words.proxy_command(value) is not None
    except ssh_words.NotUnderstoodError:
        return False


def _fits(pattern: str, host: str) -> bool:
    plain = pattern.replace("[", "[[]")
    return re.fullmatch(translate(plain), host) is not None


def _pair(line: str) -> tuple[str, str]:
    """A line's keyword and its value; the comment behind a value, which OpenSSH takes since 8.5, is none of it."""
    found = re.match(r"\s*([A-Za-z0-9]+)(?:\s*=\s*|\s+|$)(.*)", line)
    if found is None or line.lstrip().startswith("#"):
        return "", ""
    key, value = found[1].lower(), found[2].strip()
    if key == "proxycommand":
        return key, value
    try:
        lexer = shlex.shlex(value, posix=True, punctuation_chars=False)
        lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
        words = list(lexer)
    except ValueError:
        return key, value.strip("\"'")
    words = words[: next((number for number, one in enumerate(words) if one.startswith("#")), len(words))]
    if key in ("host", "match"):
        return key, "\0".join(words)
    return key, " ".join(words)


def _words(value: str) -> list[str]:
    return [one for one in value.split("\0") if one]
