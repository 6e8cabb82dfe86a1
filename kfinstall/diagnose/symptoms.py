"""What registries, kubelets, containers and the API server say, as a cause in the user's words with its remedy: all judges in one place. Pure."""

from __future__ import annotations

from kfinstall.diagnose.ends import crash, telling
from kfinstall.diagnose.mounts import mount
from kfinstall.diagnose.pulls import PULL_REASONS, pull
from kfinstall.diagnose.refusals import refused
from kfinstall.diagnose.sandboxes import sandbox
from kfinstall.diagnose.saying import MADE, Symptom, about, line, registry_of, symptom, vague

__all__ = [
    "MADE",
    "PULL_REASONS",
    "Symptom",
    "about",
    "crash",
    "line",
    "mount",
    "pull",
    "refused",
    "registry_of",
    "sandbox",
    "symptom",
    "telling",
    "vague",
]
