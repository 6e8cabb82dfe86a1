"""The workflows: which phases, which words, which hooks; adding one is a module here and its line below.

May import parts and what is below them; names steps by their modules, which are imported when a run needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kfinstall.engine.workflow import Workflow
from kfinstall.workflows.check import CHECK
from kfinstall.workflows.doctor import DOCTOR
from kfinstall.workflows.install import INSTALL, RESUME
from kfinstall.workflows.installation import PHASES
from kfinstall.workflows.plan import PLAN
from kfinstall.workflows.reset import RESET
from kfinstall.workflows.rotate import ROTATE
from kfinstall.workflows.uninstall import UNINSTALL

WORKFLOWS: Final[Mapping[str, Workflow]] = {
    workflow.id: workflow for workflow in (INSTALL, RESUME, CHECK, PLAN, DOCTOR, RESET, UNINSTALL, ROTATE)
}
"""By id, as records, events and the command line name them."""
APART: Final = tuple(workflow for workflow in WORKFLOWS.values() if workflow.apart)
"""Those with a phase of their own."""
EVERY_PHASE: Final = (*PHASES, *(workflow.own for workflow in APART if workflow.own is not None))
"""Of all workflows, each once, with all that can be part of it."""
