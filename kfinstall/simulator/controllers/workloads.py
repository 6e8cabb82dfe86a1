"""Simulated controllers of workloads: they make pods, and tell how many are ready."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any, Final

from kfinstall.simulator.apiserver.objects import random_suffix
from kfinstall.simulator.apiserver.patches import timestamp
from kfinstall.simulator.apiserver.selectors import matches_labels
from kfinstall.simulator.apiserver.status import StatusError
from kfinstall.simulator.controllers.queue import Controllers, Where, condition, conditions_like, is_true, owned_by, owner_of

Document = dict[str, Any]

_DAEMON_TOLERATIONS: Final = [
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"},
]


def template_hash(template: Document) -> str:
    """A short hash of a pod template."""
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]


def ready(pod: Document) -> bool:
    """Whether a pod is ready."""
    return is_true(pod, "Ready")


class Workloads:
    """Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs."""

    def __init__(self, controllers: Controllers) -> None:
        """Registers them, and that they look again where a pod or a node changes."""
        self._c = controllers
        controllers.on("deployments.apps", self._deployment)
        controllers.on("replicasets.apps", self._replica_set)
        controllers.on("statefulsets.apps", self._stateful_set)
        controllers.on("daemonsets.apps", self._daemon_set)
        controllers.on("jobs.batch", self._job)
        controllers.on("pods", self._pod_changed)
        controllers.on("nodes", self._node_changed)

    def _pod_changed(self, where: Where, pod: Document | None) -> None:
        if pod is None:
            # Its owner is not known any more: everyone who could miss it looks.
            for key in ("replicasets.apps", "statefulsets.apps", "daemonsets.apps", "jobs.batch"):
                for document in self._c.store.list(key, where[1]):
                    self._c.enqueue(key, where[1], document["metadata"]["name"])
            return
        keys = {
            "ReplicaSet": "replicasets.apps",
            "StatefulSet": "statefulsets.apps",
            "DaemonSet": "daemonsets.apps",
            "Job": "jobs.batch",
        }
        for owner in pod["metadata"].get("ownerReferences") or ():
            if owner["kind"] in keys:
                self._c.enqueue(keys[owner["kind"]], where[1], owner["name"])

    def _node_changed(self, _where: Where, _node: Document | None) -> None:
        for document in self._c.store.list("daemonsets.apps"):
            self._c.enqueue("daemonsets.apps", document["metadata"]["namespace"], document["metadata"]["name"])

    def _make_pod(self, owner: Document, name: str, template: Document, **extra: Any) -> None:
        metadata = copy.deepcopy(template.get("metadata") or {})
        labels = metadata.get("labels") or {}
        metadata |= {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "ownerReferences": owner_of(owner),
            "labels": labels | extra.pop("labels", {}),
        }
        spec = copy.deepcopy(template["spec"])
        spec["tolerations"] = (spec.get("tolerations") or []) + extra.pop("tolerations", [])
        try:
            self._c.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec | extra})
        except StatusError as error:
            self._c.record(owner, "FailedCreate", f"Error creating: {error.message}")
            raise

    def _deployment(self, _where: Where, deployment: Document | None) -> None:
        if deployment is None:
            return
        metadata, spec = deployment["metadata"], deployment["spec"]
        digest = template_hash(spec["template"])
        name = f"{metadata['name']}-{digest}"
        mine = [item for item in self._c.store.list("replicasets.apps", metadata["namespace"]) if owned_by(item, metadata["uid"])]
        current = next((item for item in mine if item["metadata"]["name"] == name), None)
        if current is None:
            current = self._c.create(self._replica_set_of(deployment, name, digest))
        replicas = spec.get("replicas", 1)
        for item in mine:
            wanted = replicas if item["metadata"]["name"] == name else 0
            if item["spec"]["replicas"] != wanted:
                self._c.store.put("replicasets.apps", {**item, "spec": {**item["spec"], "replicas": wanted}})
        status = (current or {}).get("status") or {}
        self._tell_deployment(deployment, status.get("replicas", 0), status.get("readyReplicas", 0))

    def _replica_set_of(self, deployment: Document, name: str, digest: str) -> Document:
        spec = copy.deepcopy(deployment["spec"])
        extra = {"pod-template-hash": digest}
        template = spec["template"]
        template.setdefault("metadata", {})["labels"] = {**(template["metadata"].get("labels") or {}), **extra}
        metadata = {
            "name": name,
            "namespace": deployment["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": owner_of(deployment),
        }
        selector = {**spec["selector"], "matchLabels": {**(spec["selector"].get("matchLabels") or {}), **extra}}
        body = {"replicas": spec.get("replicas", 1), "selector": selector, "template": template}
        return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": body}

    def _tell_deployment(self, deployment: Document, made: int, available: int) -> None:
        wanted = deployment["spec"].get("replicas", 1)
        enough = available >= wanted
        reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
        progress = "NewReplicaSetAvailable" if enough else "ReplicaSetUpdated"
        conditions = [condition("Available", true=enough, reason=reason), condition("Progressing", true=True, reason=progress)]
        status = {
            "observedGeneration": deployment["metadata"].get("generation", 1),
            "replicas": made,
            "updatedReplicas": made,
            "readyReplicas": available,
            "availableReplicas": available,
            "unavailableReplicas": max(0, wanted - available),
            "conditions": conditions_like(deployment.get("status"), conditions),
        }
        if not status["unavailableReplicas"]:
            del status["unavailableReplicas"]
        self._c.set_status("deployments.apps", deployment, status)

    def _replica_set(self, _where: Where, replica_set: Document | None) -> None:
        if replica_set is None:
            return
        metadata, wanted = replica_set["metadata"], replica_set["spec"].get("replicas", 1)
        pods = [pod for pod in self._c.pods_of(replica_set) if pod["status"].get("phase") not in ("Failed", "Succeeded")]
        for pod in pods[wanted:]:
            self._delete_pod(pod)
        for _missing in range(wanted - len(pods)):
            self._make_pod(replica_set, f"{metadata['name']}-{random_suffix()}", replica_set["spec"]["template"])
        count = sum(1 for pod in pods[:wanted] if ready(pod))
        status = {"replicas": max(wanted, 0), "readyReplicas": count, "availableReplicas": count}
        self._c.set_status("replicasets.apps", self._c.store.get("replicasets.apps", *_at(replica_set)) or replica_set, status)
        for owner in metadata.get("ownerReferences") or ():
            self._c.enqueue("deployments.apps", metadata["namespace"], owner["name"])

    def _delete_pod(self, pod: Document) -> None:
        self._c.store.remove("pods", *_at(pod))

    def _stateful_set(self, _where: Where, stateful_set: Document | None) -> None:
        if stateful_set is None:
            return
        metadata, spec = stateful_set["metadata"], stateful_set["spec"]
        wanted, revision = spec.get("replicas", 1), template_hash(spec["template"])
        pods = {pod["metadata"]["name"]: pod for pod in self._c.pods_of(stateful_set)}
        for index in range(wanted):
            name = f"{metadata['name']}-{index}"
            labels = {"statefulset.kubernetes.io/pod-name": name, "controller-revision-hash": revision}
            pod = pods.pop(name, None)
            if pod is None:
                template = copy.deepcopy(spec["template"])
                self._claims(stateful_set, template, index)
                self._make_pod(stateful_set, name, template, labels=labels, hostname=name)
            elif pod["metadata"]["labels"].get("controller-revision-hash") != revision:
                self._delete_pod(pod)
        for pod in pods.values():
            self._delete_pod(pod)
        own = self._c.pods_of(stateful_set)
        count = sum(1 for pod in own if ready(pod))
        status = {
            "observedGeneration": metadata.get("generation", 1),
            "replicas": len(own),
            "readyReplicas": count,
            "availableReplicas": count,
            "currentReplicas": len(own),
            "updatedReplicas": len(own),
            "currentRevision": revision,
            "updateRevision": revision,
        }
        self._c.set_status("statefulsets.apps", stateful_set, status)

    def _claims(self, stateful_set: Document, template: Document, index: int) -> None:
        for claim in stateful_set["spec"].get("volumeClaimTemplates") or ():
            short = claim["metadata"]["name"]
            name = f"{short}-{stateful_set['metadata']['name']}-{index}"
            metadata = {
                "name": name,
                "namespace": stateful_set["metadata"]["namespace"],
                "labels": claim["metadata"].get("labels") or {},
            }
            self._c.create(
                {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": copy.deepcopy(claim["spec"])}
            )
            volumes = template["spec"].setdefault("volumes", [])
            volumes.append({"name": short, "persistentVolumeClaim": {"claimName": name}})

    def _daemon_set(self, _where: Where, daemon_set: Document | None) -> None:
        if daemon_set is None:
            return
        metadata, spec = daemon_set["metadata"], daemon_set["spec"]
        revision = template_hash(spec["template"])
        selector = (spec["template"]["spec"] or {}).get("nodeSelector") or {}
        nodes = [
            node
            for node in self._c.store.list("nodes")
            if matches_labels({"matchLabels": selector}, node["metadata"].get("labels"))
        ]
        chosen = {node["metadata"]["name"] for node in nodes if self._may_run(spec["template"]["spec"], node)}
        pods = {str(pod["spec"].get("nodeName")): pod for pod in self._c.pods_of(daemon_set)}
        for name, pod in pods.items():
            if name not in chosen or pod["metadata"]["labels"].get("controller-revision-hash") != revision:
                self._delete_pod(pod)
        for name in sorted(chosen - set(pods)):
            labels = {"controller-revision-hash": revision}
            pod_name = f"{metadata['name']}-{random_suffix()}"
            self._make_pod(daemon_set, pod_name, spec["template"], labels=labels, tolerations=_DAEMON_TOLERATIONS, nodeName=name)
        own = self._c.pods_of(daemon_set)
        count = sum(1 for pod in own if ready(pod))
        status = {
            "observedGeneration": metadata.get("generation", 1),
            "desiredNumberScheduled": len(chosen),
            "currentNumberScheduled": len(own),
            "updatedNumberScheduled": len(own),
            "numberReady": count,
            "numberAvailable": count,
            "numberUnavailable": len(chosen) - count,
            "numberMisscheduled": 0,
        }
        if not status["numberUnavailable"]:
            del status["numberUnavailable"]
        self._c.set_status("daemonsets.apps", daemon_set, status)

    def _may_run(self, spec: Document, node: Document) -> bool:
        tolerations = (spec.get("tolerations") or []) + _DAEMON_TOLERATIONS
        return all(tolerated(taint, tolerations) for taint in node["spec"].get("taints") or ())

    def _job(self, _where: Where, job: Document | None) -> None:
        if job is None or is_true(job, "Complete") or is_true(job, "Failed") or job["spec"].get("suspend"):
            return
        metadata, spec = job["metadata"], job["spec"]
        pods = self._c.pods_of(job)
        phases = [pod["status"].get("phase") for pod in pods]
        succeeded, failed = phases.count("Succeeded"), phases.count("Failed")
        active = len(pods) - succeeded - failed
        status: Document = {"startTime": (job.get("status") or {}).get("startTime") or timestamp()}
        done = spec.get("completions", 1)
        if succeeded >= done:
            finished = [
                condition("SuccessCriteriaMet", true=True, reason="CompletionsReached"),
                condition("Complete", true=True, reason="CompletionsReached"),
            ]
            status |= {"conditions": finished, "completionTime": timestamp()}
        elif failed > spec.get("backoffLimit", 6):
            text = "Job has reached the specified backoff limit"
            status["conditions"] = [condition("Failed", true=True, reason="BackoffLimitExceeded", message=text)]
        else:
            labels = {"batch.kubernetes.io/job-name": metadata["name"], "job-name": metadata["name"]}
            for _missing in range(min(spec.get("parallelism", 1), done - succeeded) - active):
                self._make_pod(job, f"{metadata['name']}-{random_suffix()}", spec["template"], labels=labels)
                active += 1
            status["active"] = active
        counts = {"succeeded": succeeded, "failed": failed, "ready": sum(1 for pod in pods if ready(pod))}
        status |= {key: value for key, value in counts.items() if value}
        self._c.set_status("jobs.batch", job, status)


def tolerated(taint: Document, tolerations: list[Document]) -> bool:
    """Whether one of the tolerations bears a taint."""
    if taint.get("effect") not in ("NoSchedule", "NoExecute"):
        return True
    for item in tolerations:
        if item.get("effect") not in (None, "", taint["effect"]):
            continue
        if not item.get("key") and item.get("operator") == "Exists":
            return True
        same = (item.get("value") or "") == (taint.get("value") or "")
        if item.get("key") == taint["key"] and (item.get("operator", "Equal") == "Exists" or same):
            return True
    return False


def _at(document: Document) -> tuple[str, str]:
    return document["metadata"].get("namespace", ""), document["metadata"]["name"]
