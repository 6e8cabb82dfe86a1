"""The table of screens: name to class. Adding a screen is one module, one line here, and its place on the rail in screens.parts."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from screens.base import BaseScreen

SCREENS: Final = {
    "welcome": "screens.welcome:WelcomeScreen",
    "prerequisites": "screens.prerequisites:PrerequisitesScreen",
    "nodes": "screens.nodes:NodesScreen",
    "storage": "screens.storage:StorageScreen",
    "registry": "screens.registry_part:RegistryScreen",
    "kubeflow": "screens.kubeflow:KubeflowScreen",
    "spark": "screens.spark:SparkScreen",
    "preflight": "screens.preflight:PreflightScreen",
    "done": "screens.done:DoneScreen",
    "failure": "screens.failure:FailureScreen",
    "run": "screens.run:RunScreen",
    "review": "screens.review:ReviewScreen",
}
"""Modules are imported when their screen is first shown: the first one is there the sooner."""


def make(name: str) -> BaseScreen:
    """A new screen.

    Raises:
        KeyError: there is none of that name.
        TypeError: its class is no screen.
    """
    module, _colon, kind = SCREENS[name].partition(":")
    screen = getattr(import_module(module), kind)()
    if not isinstance(screen, BaseScreen):
        raise TypeError(f"{SCREENS[name]} is no screen")
    return screen
