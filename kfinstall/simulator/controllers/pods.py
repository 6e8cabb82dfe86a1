"""The simulated scheduler and kubelets: pods get a node, start, become ready, end, and leave a log."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from kfinstall.simulator.apiserver.logs import LOGS
from kfinstall.simulator.apiserver.patches import timestamp
from kfinstall.simulator.apiserver.quantities import quantity
from kfinstall.simulator.apiserver.selectors import matches_labels
from kfinstall.simulator.controllers.queue import Controllers, Where, condition, conditions_like
from kfinstall.simulator.controllers.workloads import tolerated
from kfinstall.simulator.nodes.model import POD_HOOKS, PodOutcome

Document = dict[str, Any]

_START_LINES: Final = 20
"""A pod starts as fast as so many lines of a script's output."""
_RUN_LINES: Final = 10
_SLOW_PULL: Final = 100
_WEBHOOK_DOWN: Final = 40
_WAIT_LINES: Final = 10
_SYSTEM: Final = ("kube-system", "calico-system", "calico-apiserver", "tigera-operator")
"""Namespaces whose images are there even where others can't be pulled."""
_MAX_PODS: Final = 110
_ECHO: Final = re.compile(r"""(?:echo|printf)\s+(?:-\w+\s+)?("[^"]*"|'[^']*'|[^;&|>\n]+)""")


def requests(pod: Document) -> tuple[float, float]:
    """(CPUs, bytes of memory) that a pod asks for."""
    cpu = memory = 0.0
    for container in pod["spec"]["containers"]:
        wanted = (container.get("resources") or {}).get("requests") or {}
        cpu += quantity(wanted.get("cpu", 0))
        memory += quantity(wanted.get("memory", 0))
    return cpu, memory


def log_text(pod: Document) -> str:
    """What the first container would print, as far as its arguments tell; the default log."""
    container = pod["spec"]["containers"][0]
    text = " ".join(map(str, (container.get("command") or []) + (container.get("args") or [])))
    words = [match.strip().strip("\"'") for match in _ECHO.findall(text)]
    return "".join(f"{word}\n" for word in words) or f"simulated {container.get('image', '')}\n"


class Pods:
    """Every pod that is not ended."""

    def __init__(self, controllers: Controllers) -> None:
        """Registers the scheduler and the kubelets: whatever may let a waiting pod start calls them."""
        self._c = controllers
        self._started: dict[str, float] = {}
        """uid to when it began to start (loop time)."""
        self._webhooks_until = 0.0
        controllers.on("pods", self._pod)
        controllers.on("nodes", self._retry)
        controllers.on("persistentvolumeclaims", self._retry)

    def _retry(self, _where: Where, _document: Document | None) -> None:
        for pod in self._c.store.list("pods"):
            if pod["status"].get("phase") == "Pending" and not pod["spec"].get("nodeName"):
                self._c.enqueue("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _pod(self, where: Where, pod: Document | None) -> None:
        if pod is None:
            self._c.store.remove(LOGS, where[1], where[2])
            return
        phase = pod["status"].get("phase", "Pending")
        if phase in ("Succeeded", "Failed"):
            return
        if not pod["spec"].get("nodeName"):
            self._schedule(where, pod)
        elif phase == "Pending":
            self._begin(where, pod)
        elif phase == "Running" and _ends(pod):
            self._end(where, pod)

    # the scheduler

    def _schedule(self, where: Where, pod: Document) -> None:
        missing = self._missing_claims(pod)
        reasons: dict[str, int] = {}
        fitting: list[tuple[int, str]] = []
        nodes = self._c.store.list("nodes")
        there: dict[str, list[Document]] = {}
        for other in self._c.store.list("pods"):
            if other["status"].get("phase") not in ("Succeeded", "Failed"):
                there.setdefault(other["spec"].get("nodeName") or "", []).append(other)
        for node in nodes:
            name = node["metadata"]["name"]
            reason = missing or self._unfit(pod, node, there.get(name, []))
            if reason:
                reasons[reason] = reasons.get(reason, 0) + 1
            else:
                fitting.append((len(there.get(name, ())), name))
        if not fitting:
            text = (
                ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "no nodes available to schedule pods"
            )
            message = f"0/{len(nodes)} nodes are available: {text}."
            self._pending(pod, [condition("PodScheduled", true=False, reason="Unschedulable", message=message)])
            self._c.record(pod, "FailedScheduling", message)
            self._c.later(self._c.delay(_WAIT_LINES) + 0.01, *where)
            return
        self._c.store.put("pods", {**pod, "spec": {**pod["spec"], "nodeName": min(fitting)[1]}})

    def _missing_claims(self, pod: Document) -> str:
        for volume in pod["spec"].get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if not name:
                continue
            claim = self._c.store.get("persistentvolumeclaims", pod["metadata"]["namespace"], name)
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if claim["status"].get("phase") != "Bound" and not self._waits_for_consumer(claim):
                return "pod has unbound immediate PersistentVolumeClaims"
        return ""

    def _waits_for_consumer(self, claim: Document) -> bool:
        chosen = self._c.store.get("storageclasses.storage.k8s.io", "", claim["spec"].get("storageClassName") or "")
        return chosen is not None and chosen.get("volumeBindingMode") == "WaitForFirstConsumer"

    def _unfit(self, pod: Document, node: Document, there: list[Document]) -> str:
        spec = pod["spec"]
        if not matches_labels({"matchLabels": spec.get("nodeSelector") or {}}, node["metadata"].get("labels")):
            return "node(s) didn't match Pod's node affinity/selector"
        if node["spec"].get("unschedulable"):
            return "node(s) were unschedulable"
        for taint in node["spec"].get("taints") or ():
            if not tolerated(taint, spec.get("tolerations") or []):
                return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}"
        if self._apart(pod, there):
            return "node(s) didn't match pod anti-affinity rules"
        used = [requests(other) for other in there]
        cpu, memory = requests(pod)
        free = node["status"]["allocatable"]
        if sum(item[0] for item in used) + cpu > quantity(free["cpu"]):
            return "Insufficient cpu"
        if sum(item[1] for item in used) + memory > quantity(free["memory"]):
            return "Insufficient memory"
        return "Too many pods" if len(there) >= int(free["pods"]) else ""

    def _apart(self, pod: Document, there: list[Document]) -> bool:
        rules = ((pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        )
        namespace = pod["metadata"]["namespace"]
        return any(
            matches_labels(rule.get("labelSelector"), other["metadata"].get("labels"))
            for rule in rules or ()
            for other in there
            if other["metadata"]["namespace"] == namespace
        )

    # the kubelet

    def _pending(self, pod: Document, conditions: list[Document], waiting: Document | None = None) -> None:
        status = {**pod["status"], "phase": "Pending", "conditions": conditions_like(pod["status"], conditions)}
        if waiting is not None:
            state = {"ready": False, "started": False, "restartCount": 0, "state": {"waiting": waiting}}
            names = [(item["name"], item.get("image", "")) for item in pod["spec"]["containers"]]
            status["containerStatuses"] = [{"name": name, "image": image, "imageID": "", **state} for name, image in names]
        self._c.set_status("pods", pod, status)

    def _begin(self, where: Where, pod: Document) -> None:
        now = asyncio.get_running_loop().time()
        scheduled = condition("PodScheduled", true=True, reason="")
        starting = [
            scheduled,
            condition("Initialized", true=True, reason=""),
            condition("Ready", true=False, reason="ContainersNotReady"),
        ]
        node = pod["spec"]["nodeName"]
        image = pod["spec"]["containers"][0].get("image", "")
        world = self._c.world
        if world.fault("image-missing", node) and where[1] not in _SYSTEM:
            text = f'Back-off pulling image "{image}": ErrImagePull: failed to resolve reference "{image}": not found'
            self._pending(pod, starting, {"reason": "ImagePullBackOff", "message": text})
            self._c.record(pod, "Failed", f'Failed to pull image "{image}": failed to resolve reference "{image}": not found')
            return
        if self._lost_volume(pod):
            self._pending(pod, starting, {"reason": "ContainerCreating"})
            self._c.later(self._c.delay(_WAIT_LINES) + 0.01, *where)
            return
        begun = self._started.setdefault(pod["metadata"]["uid"], now)
        left = begun + self._start_seconds(pod, now) - now
        if left > 0:
            self._pending(pod, starting, {"reason": "ContainerCreating"})
            if world.fault("slow-pull", node):
                self._c.record(pod, "Pulling", f'Pulling image "{image}"', kind="Normal")
            self._c.later(left, *where)
            return
        self._run(where, pod, scheduled)

    def _start_seconds(self, pod: Document, now: float) -> float:
        seconds = self._c.delay(_START_LINES)
        namespace = pod["metadata"]["namespace"]
        if self._c.world.fault("slow-pull", pod["spec"]["nodeName"]) and namespace not in _SYSTEM:
            seconds *= _SLOW_PULL
        if any(fault == "webhook-down" for fault, _node in self._c.world.faults) and self._serves_webhook(pod):
            if not self._webhooks_until:
                self._webhooks_until = now + self._c.delay(_START_LINES) * _WEBHOOK_DOWN
            seconds = max(seconds, self._webhooks_until - self._started.get(pod["metadata"]["uid"], now))
        return seconds

    def _serves_webhook(self, pod: Document) -> bool:
        namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels")
        for what in ("mutating", "validating"):
            for configuration in self._c.store.list(f"{what}webhookconfigurations.admissionregistration.k8s.io"):
                for webhook in configuration.get("webhooks") or ():
                    named = (webhook.get("clientConfig") or {}).get("service") or {}
                    if named.get("namespace") != namespace:
                        continue
                    service = self._c.store.get("services", namespace, named["name"]) or {}
                    selector = (service.get("spec") or {}).get("selector")
                    if selector and matches_labels({"matchLabels": selector}, labels):
                        return True
        return False

    def _lost_volume(self, pod: Document) -> bool:
        namespace, volumes = pod["metadata"]["namespace"], pod["spec"].get("volumes") or ()
        for volume in volumes:
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            found = self._c.store.get("persistentvolumeclaims", namespace, claim) if claim else None
            if claim and (found is None or found["status"].get("phase") != "Bound"):
                return True
            for field, kind, key in (("configMap", "configmaps", "name"), ("secret", "secrets", "secretName")):
                named = volume.get(field)
                if named and not named.get("optional") and self._c.store.get(kind, namespace, named.get(key, "")) is None:
                    what = field if field == "secret" else "configmap"
                    message = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {what} "{named.get(key)}" not found'
                    self._c.record(pod, "FailedMount", message)
                    return True
        return False

    def _run(self, where: Where, pod: Document, scheduled: Document) -> None:
        ends = _ends(pod)
        now = timestamp()
        outcome = self._outcome(pod)
        self._c.store.put(
            LOGS, {"kind": "Log", "metadata": {"namespace": where[1], "name": where[2]}, "text": outcome.log or log_text(pod)}
        )
        node = self._c.world.nodes.get(pod["spec"]["nodeName"])
        number = int(pod["metadata"]["uid"][:4], 16)
        address = f"10.244.{node.index if node else 0}.{number % 250 + 2}"
        host = node.address if node else ""
        up = [scheduled] + [condition(what, true=True, reason="") for what in ("Initialized", "ContainersReady", "Ready")]
        state = {"ready": True, "started": True, "restartCount": 0, "state": {"running": {"startedAt": now}}}
        names = [(item["name"], item.get("image", "")) for item in pod["spec"]["containers"]]
        status = {
            "phase": "Running",
            "conditions": conditions_like(pod["status"], up),
            "startTime": now,
            "hostIP": host,
            "podIP": host if pod["spec"].get("hostNetwork") else address,
            "containerStatuses": [{"name": name, "image": image, "imageID": f"sha256:{image}", **state} for name, image in names],
            "qosClass": "Burstable",
        }
        status["podIPs"] = [{"ip": status["podIP"]}]
        metadata = pod["metadata"]
        if ends and not outcome.runs:
            # How it will end is kept with it, so that another process can go on.
            mark = {"kfinstall.dev/simulated-exit": str(outcome.exit_code)}
            metadata = {**metadata, "annotations": (metadata.get("annotations") or {}) | mark}
        elif ends:
            metadata = {**metadata, "annotations": (metadata.get("annotations") or {}) | {"kfinstall.dev/simulated-exit": "never"}}
        self._c.store.put("pods", {**pod, "metadata": metadata, "status": status})
        self._started[pod["metadata"]["uid"]] = asyncio.get_running_loop().time()

    def _outcome(self, pod: Document) -> PodOutcome:
        for hook in POD_HOOKS:
            outcome = hook(pod, self._c.world)
            if outcome is not None:
                return outcome
        return PodOutcome()

    def _end(self, where: Where, pod: Document) -> None:
        code = (pod["metadata"].get("annotations") or {}).get("kfinstall.dev/simulated-exit", "0")
        if code == "never":
            return
        now = asyncio.get_running_loop().time()
        left = self._started.get(pod["metadata"]["uid"], 0) + self._c.delay(_RUN_LINES) - now
        if left > 0:
            self._c.later(left, *where)
            return
        good = code == "0"
        reason = "Completed" if good else "Error"
        finished = {"exitCode": int(code), "reason": reason, "startedAt": pod["status"]["startTime"], "finishedAt": timestamp()}
        containers = [
            {**item, "ready": False, "started": False, "state": {"terminated": finished}}
            for item in pod["status"]["containerStatuses"]
        ]
        down = [condition(what, true=False, reason="PodCompleted") for what in ("Ready", "ContainersReady")]
        kept = [item for item in pod["status"]["conditions"] if item["type"] not in ("Ready", "ContainersReady")]
        status = {
            **pod["status"],
            "phase": "Succeeded" if good else "Failed",
            "containerStatuses": containers,
            "conditions": kept + down,
        }
        self._c.store.put("pods", {**pod, "status": status})


def _ends(pod: Document) -> bool:
    return bool(pod["spec"].get("restartPolicy", "Always") != "Always")
