"""storage.local-directory: the directory of local-path's volumes is there before a kubelet makes it, which would be for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from kfinstall.answers.model import Answers
from kfinstall.engine.step import Check, Conflict, Needed, Satisfied, Step, View
from kfinstall.facts.model import Watch
from kfinstall.parts.preflight import volume_access
from kfinstall.text import shell


class StorageLocalDirectory(Step):
    """Open to root alone: volumes themselves have mode 0777. One that was there keeps its mode; preflight warns of it."""

    id: ClassVar[str] = "storage.local-directory"
    title: ClassVar[str] = "Make the directory of local volumes"
    script: ClassVar[str] = "storage-local-directory"
    timeout_seconds: ClassVar[float] = 60
    estimate_seconds: ClassVar[float] = 1

    def applies(self, answers: Answers) -> bool:
        """Where volumes are directories of the nodes."""
        return answers.storage.type == "local-path"

    def watch(self, view: View) -> Watch:
        """The directory, and what leads to it."""
        path = view.answers.storage.local_path.directory
        return Watch(files=frozenset({path, *volume_access.parents(path)}))

    def parameters(self, view: View) -> Mapping[str, str]:
        """The directory."""
        return {"DIRECTORY": view.answers.storage.local_path.directory}

    def check(self, view: View) -> Check:
        """It is there."""
        path = view.answers.storage.local_path.directory
        files = view.facts.files
        why = volume_access.broken(files, path)
        if why:
            return Conflict(
                f"{why}: volumes can't be in {path}",
                f"storage.localPath.directory: another directory, or look at it there: {shell('findmnt')}; {shell('ls', '-ld', path)}",
            )
        found = files.get(path)
        if found is not None and found.kind == "symlink":
            found = files.get(found.target)
        if found is None:
            return Needed((f"make {path}, for root alone",))
        return Satisfied(f"{path} is there, mode {found.mode:04o} of {found.owner}")
