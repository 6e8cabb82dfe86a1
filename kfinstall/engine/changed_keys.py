"""Host keys that changed in the course of one run: whoever meets one tells it here, and the whole run stops for all of them."""

from __future__ import annotations

from collections.abc import Callable

from kfinstall.errors import ChangedHostKeyError

Met = Callable[[ChangedHostKeyError], None]
"""Called at once when a changed key is met, from whatever task met it."""


class ChangedKeys:
    """What was met, by node. A run that holds one may do nothing more."""

    def __init__(self) -> None:
        """Nothing was met yet, and nobody listens."""
        self._met: dict[str, ChangedHostKeyError] = {}
        self._listeners: list[Met] = []

    def __bool__(self) -> bool:
        return bool(self._met)

    def of(self, node: str) -> ChangedHostKeyError | None:
        """What was met on the way to a node."""
        return self._met.get(node)

    def meet(self, error: ChangedHostKeyError) -> None:
        """Take a changed key in; `node` of the error says on the way to which node it was met."""
        first = error.node not in self._met
        self._met.setdefault(error.node, error)
        if first:
            for listener in tuple(self._listeners):
                listener(error)

    def subscribe(self, listener: Met) -> Callable[[], None]:
        """Hear of each at once; call the result to end it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def error(self) -> ChangedHostKeyError | None:
        """One error that tells of all of them; None where there is none."""
        return together(tuple(self._met.values())) if self._met else None

    def refuse(self) -> None:
        """Let nothing more be done.

        Raises:
            ChangedHostKeyError: at least one key changed; tells all.
        """
        error = self.error()
        if error is not None:
            raise error


def together(errors: tuple[ChangedHostKeyError, ...]) -> ChangedHostKeyError:
    """One error of one or several; a jump host that several nodes share is told once."""
    if len(errors) == 1:
        return errors[0]
    servers: dict[str, list[ChangedHostKeyError]] = {}
    for error in errors:
        servers.setdefault(error.server, []).append(error)
    by_server = {server: same[0] for server, same in servers.items()}
    ways = {server: ", ".join(error.node for error in same) for server, same in servers.items() if len(same) > 1}
    hint = "\n".join(dict.fromkeys(line for error in by_server.values() for line in error.hint.splitlines()))
    if len(by_server) == 1:
        server, error = next(iter(by_server.items()))
        why = f"{error.why}\nit is on the way to {ways[server]}"
        return ChangedHostKeyError(error.message, why=why, hint=hint, fingerprint=error.fingerprint, server=server)
    lines = []
    for server, error in by_server.items():
        lines += [
            f"{server}: {line}"
            for line in (*error.why.splitlines(), *([f"on the way to {ways[server]}"] if server in ways else []))
        ]
    return ChangedHostKeyError(
        f"the host keys of {', '.join(by_server)} have CHANGED; nothing was sent there", why="\n".join(lines), hint=hint
    )
