"""An ApplyContext whose scripts are the simulator's effects and whose cluster is given."""

from kfinstall.engine.step import CLUSTER_TARGET
from kfinstall.secrets import Secret
from kfinstall.simulator.nodes.play import play
from kfinstall.transport.base import Completed


class FakeContext:
    def __init__(self, view, world=None, secrets=None, cluster=None):
        self.view = view
        self.world = world
        self.secrets = {} if secrets is None else secrets
        self.lines = []
        self.stdins = {}
        self.learned = []
        self._cluster = cluster

    def say(self, text):
        self.lines.append(text)

    def progress(self, label, done, total, waiting=(), *, part=""):
        self.counted = (label, done, total, tuple(waiting))

    def host(self, name):
        raise NotImplementedError

    async def cluster(self):
        return self._cluster

    async def secret(self, name):
        return Secret(self.secrets[name])

    async def next_value(self, name):
        return Secret(self.secrets.setdefault(f"{name}.next", f"next-{name}"))

    async def commit(self, name):
        if f"{name}.next" in self.secrets:
            self.secrets[name] = self.secrets.pop(f"{name}.next")

    def register(self, secret):
        self.learned.append(secret.reveal())
        return secret

    def _node(self, on):
        target = on or self.view.target
        return self.world.nodes[self.view.answers.first_control_plane.name if target == CLUSTER_TARGET else target]

    async def run_script(self, name, parameters, *, on="", stdin=None, timeout_seconds=None):
        payload = stdin.reveal() if stdin else ""
        self.stdins[name] = payload
        lines = tuple(play(self._node(on), name, parameters, payload, self.world))
        self.lines += lines
        return Completed(0, lines)

    async def ask_script(self, name, parameters, *, on="", stdin=None, timeout_seconds=60):
        payload = stdin.reveal() if stdin else ""
        return Completed(0, tuple(play(self._node(on), f"ask/{name}", parameters, payload, self.world)))
