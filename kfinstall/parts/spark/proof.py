"""spark.proof: SparkPi runs as users' applications will, and leaves its event log on the volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from kfinstall.answers.model import Answers
from kfinstall.apply.proof_step import ProofStep
from kfinstall.engine import pods
from kfinstall.engine.step import ApplyContext, View
from kfinstall.errors import ProofError
from kfinstall.kube.base import Cluster, Document, ListQuery, NotReady, Ref
from kfinstall.parts.spark import limits, objects, pi
from kfinstall.parts.spark import place as spark_place
from kfinstall.parts.spark.place import SparkPlace
from kfinstall.text import kubectl

_LOG_PROGRAM: Final = """
for path in "$1/$2" "$1"/eventlog_v2_"$2"; do
  if test -e "$path"; then ls -ld "$path"; exit 0; fi
done
echo "no event log of $2 in $1:"
ls -l "$1"
exit 1
"""


class SparkProof(ProofStep):
    """By the operator where it is there, by spark-submit otherwise."""

    id: ClassVar[str] = "spark.proof"
    title: ClassVar[str] = "Compute Pi with Spark"
    timeout_seconds: ClassVar[float] = limits.SPARK_PROOF_TIMEOUT_SECONDS
    estimate_seconds: ClassVar[float] = 90
    record: ClassVar[str] = "spark"

    @override
    def applies(self, answers: Answers) -> bool:
        """Where Spark is wanted."""
        return answers.spark.enabled

    @override
    def inputs(self, view: View) -> Mapping[str, str]:
        """Where and with what it runs."""
        place = spark_place.place_of(view.answers, view.release)
        settings = spark_place.configuration(place)
        return {"IMAGE": place.image, "SETTINGS": "\n".join(f"{key}={value}" for key, value in settings.items())}

    @override
    def intent(self, view: View) -> str:
        """SparkPi, and where."""
        return f"run SparkPi in namespace {view.answers.spark_namespace}"

    @override
    async def prove(self, context: ApplyContext) -> str:
        """Run it, find Pi in the driver's log and the event log on the volume."""
        view = context.view
        place = spark_place.place_of(view.answers, view.release)
        cluster = await context.cluster()
        await _sweep(cluster, place)
        operator = view.answers.spark.operator and await cluster.get(pi.CRD) is not None
        if operator:
            await self._by_operator(context, cluster, place)
        else:
            job = pi.submit_job(place)
            for line in (await pods.run_job(context, cluster, job, timeout_seconds=self.timeout_seconds))[-3:]:
                context.say(line)
        driver = await _driver(context, cluster, place)
        value = await _pi(context, cluster, place, driver)
        identity = str(((driver.get("metadata") or {}).get("labels") or {}).get("spark-app-selector") or "")
        look = objects.shell_job(place, "spark-event-log", _LOG_PROGRAM, spark_place.LOGS, identity)
        for line in await pods.run_job(context, cluster, look, timeout_seconds=limits.SPARK_VOLUME_TIMEOUT_SECONDS):
            context.say(line)
        way = "the operator" if operator else "spark-submit"
        return f"SparkPi by {way} in {place.namespace}: Pi is roughly {value}; its event log is on {spark_place.VOLUME}"

    async def _by_operator(self, context: ApplyContext, cluster: Cluster, place: SparkPlace) -> None:
        document = pi.application(place)
        ref = (await cluster.apply(document)).ref
        async with pods.pods(cluster, place.namespace, pi.SELECTOR) as found:

            def probe(current: Document | None) -> NotReady | None:
                return pi.waiting(current, found.waiting)

            ended = await cluster.wait(ref, probe, timeout_seconds=self.timeout_seconds, say=context.say)
        name, message = pi.state(ended)
        if name != "COMPLETED":
            raise ProofError(
                f"SparkPi ended as {name}",
                why=message or found.text,
                hint=f"look at it: kubectl -n {place.namespace} describe sparkapplication {pi.NAME}",
            )


async def _sweep(cluster: Cluster, place: SparkPlace) -> None:
    """Remove what an earlier try left, drivers too: they outlive the Job that submitted them."""
    await cluster.delete(Ref("sparkoperator.k8s.io/v1beta2", "SparkApplication", pi.NAME, place.namespace))
    for pod in await cluster.list(ListQuery("v1", "Pod", place.namespace), label_selector=pi.SELECTOR):
        await cluster.delete(Ref("v1", "Pod", pod["metadata"]["name"], place.namespace))


async def _driver(context: ApplyContext, cluster: Cluster, place: SparkPlace) -> dict[str, Any]:
    """The driver's pod, once it has ended."""
    found = await cluster.list(ListQuery("v1", "Pod", place.namespace), label_selector=pi.SELECTOR)
    if not found:
        raise ProofError("SparkPi ended, but its driver's pod is not there", hint=f"look at: kubectl -n {place.namespace} get pods")

    def ended(pod: Document | None) -> NotReady | None:
        phase = ((pod or {}).get("status") or {}).get("phase")
        return None if pod is None or phase in ("Succeeded", "Failed") else NotReady(pods.reason(pod) or "the driver still runs")

    ref = Ref("v1", "Pod", found[0]["metadata"]["name"], place.namespace)
    await cluster.wait(ref, ended, timeout_seconds=limits.SPARK_VOLUME_TIMEOUT_SECONDS, say=context.say)
    return found[0]


async def _pi(context: ApplyContext, cluster: Cluster, place: SparkPlace, driver: Mapping[str, Any]) -> str:
    name = driver["metadata"]["name"]
    log = await cluster.logs(place.namespace, name, container=pi.DRIVER, tail_lines=limits.SPARK_LOG_TAIL_LINES)
    value = pi.result(log)
    if not value:
        raise ProofError(
            "SparkPi ended without a value of Pi in its driver's log",
            why="\n".join(log[-5:]),
            hint=f"look at it: {kubectl('logs', names=[name], namespace=place.namespace)}",
        )
    context.say(f"Pi is roughly {value}")
    return value
