"""What the tests of all forms stand on."""

from kfinstall.answers.inventory import forms


def short(found):
    """(name, address, roles ...) of each node."""
    return [(node["name"], node["address"], *node.get("roles", ())) for node in found.nodes]


def ssh(found, name):
    """What is special for one node's login."""
    return next(node for node in found.nodes if node["name"] == name).get("ssh", {})


def left(found, *words):
    """The lines of what was left that hold all these words."""
    return [line for line in found.left if all(word in line for word in words)]


read = forms.read
