"""No module imports itself by a detour: neither at its head, nor later in a function."""

from collections.abc import Iterator
from itertools import count

import grimp
import pytest

# What a type checker alone reads may go round: nothing is imported then. Each such circle is known, with its reason.
ONLY_IN_TYPES = {
    # A workflow's hooks are given the session and the options, and the options name the workflow.
    frozenset({"kfinstall.engine.connect", "kfinstall.engine.options", "kfinstall.engine.session", "kfinstall.engine.workflow"}),
}


def circles(*, types: bool) -> Iterator[frozenset[str]]:
    """The strongly connected components of the import graph that have more than one module (Tarjan)."""
    graph = grimp.build_graph("kfinstall", "screens", exclude_type_checking_imports=not types, cache_dir=None)
    order, low, stack, numbers = {}, {}, [], count()

    def visit(module):
        order[module] = low[module] = next(numbers)
        stack.append(module)
        for other in sorted(graph.find_modules_directly_imported_by(module)):
            if other not in order:
                yield from visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            at = stack.index(module)
            found = frozenset(stack[at:])
            del stack[at:]
            if len(found) > 1:
                yield found

    for module in sorted(graph.modules):
        if module not in order:
            yield from visit(module)


@pytest.mark.parametrize(("types", "known"), [(False, set()), (True, ONLY_IN_TYPES)], ids=["imports", "types"])
def test_modules_make_no_circle(types, known):
    assert set(circles(types=types)) == known
