"""What the scripts of phase spark do to a simulated node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kfinstall.simulator.model import SimNode, World, effect


@effect("spark-image")
def image(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Copy the image into the registry."""
    target = parameters["TARGET"]
    if f"registry:{target}" in node.images:
        yield f"{target} is in the registry already"
    else:
        yield f"copying {parameters['SOURCE']} to {target}"
        for done in (25, 50, 75):
            yield f"layers: {done} %"
        node.images |= {parameters["SOURCE"], target, f"registry:{target}"}
        yield "copied"
    node.write(parameters["RECORD_PATH"], parameters["RECORD"])
    yield parameters["RECORD_PATH"]


@effect("spark-submit-script")
def submit_script(node: SimNode, parameters: Mapping[str, str], stdin: str, world: World) -> Iterator[str]:  # noqa: ARG001
    """Write the script."""
    path = parameters["PATH_NAME"]
    node.write(path, parameters["CONTENT"], 0o755)
    yield path
    yield f"{path} is there; try: {path} --help"
