"""What is asked of both servers. Importing this package registers every scenario."""

from tests.differential.scenarios import (
    access,
    admission,
    apply,
    definitions,
    discovery,
    life,
    lists,
    objects,
    patches,
    storage,
    watches,
    workloads,
)

__all__ = [
    "access",
    "admission",
    "apply",
    "definitions",
    "discovery",
    "life",
    "lists",
    "objects",
    "patches",
    "storage",
    "watches",
    "workloads",
]
