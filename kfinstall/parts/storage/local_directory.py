"""storage.local-directory: the directory of local-path's volumes is there before a kubelet makes it, which would be for everybody."""

from __future__ import annotations

from typing import ClassVar

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.engine.node_step import NodeStep
from kfinstall.engine.step import Check, Conflict, View
from kfinstall.engine.wanted import Directory, Wanted
from kfinstall.facts.model import FileFact, NodeQuery
from kfinstall.parts.preflight import volume_access
from kfinstall.text import shell


class StorageLocalDirectory(NodeStep):
    """Open to root alone: volumes themselves have mode 0777. One that was there keeps its mode; preflight warns of it."""

    id: ClassVar[str] = "storage.local-directory"
    title: ClassVar[str] = "Make the directory of local volumes"
    script: ClassVar[str] = "storage-local-directory"
    timeout_seconds: ClassVar[float] = 60
    estimate_seconds: ClassVar[float] = 1
    hashes_wanted = False

    def applies(self, answers: Answers) -> bool:
        """Where volumes are directories of the nodes."""
        return answers.storage.type == "local-path"

    @override
    def watch(self, view: View) -> NodeQuery:
        """The directory, and what leads to it."""
        path = view.answers.storage.local_path.directory
        return NodeQuery(files=frozenset({path, *volume_access.parents(path)}))

    @override
    def wanted(self, view: View) -> Wanted:
        """The directory, or a link to one."""
        path = view.answers.storage.local_path.directory
        there = self._found(view) is not None
        return Wanted(directories=(Directory(path, private=True, there=there, path_as="DIRECTORY"),))

    def _found(self, view: View) -> FileFact | None:
        files = view.facts.files
        found = files.get(view.answers.storage.local_path.directory)
        return files.get(found.target) if found is not None and found.kind == "symlink" else found

    @override
    def check(self, view: View) -> Check:
        """It is there."""
        path = view.answers.storage.local_path.directory
        why = volume_access.broken(view.facts.files, path)
        if why:
            return Conflict(
                f"{why}: volumes can't be in {path}",
                f"give storage.localPath.directory another one in the answers, or look at it there: {shell('findmnt')}; {shell('ls', '-ld', path)}",
            )
        found = self._found(view)
        return self.compare(view, evidence=f"{path} is there, mode {found.mode:04o} of {found.owner}" if found else "")
