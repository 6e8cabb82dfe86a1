"""The names of the forms, as --format takes them; light, since the command line's grammar needs them before anything is read."""

from __future__ import annotations

from typing import Final

FORMS: Final = (
    "ssh-config",
    "ansible-ini",
    "csv",
    "hosts",
    "list",
    "kubekey",
    "kubeone",
    "sealos",
    "k0sctl",
    "answers",
    "rke",
    "records",
    "ansible-json",
    "ansible-yaml",
)
