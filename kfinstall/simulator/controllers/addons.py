"""Simulated controllers of what the installer brings: Calico, cert-manager, Kubeflow's profiles, the Spark operator."""

from __future__ import annotations

import base64
from typing import Any, Final

from kfinstall.simulator.apiserver.pki import Pki
from kfinstall.simulator.controllers.queue import Controllers, Where, condition, conditions_like, is_true, owner_of
from kfinstall.simulator.controllers.workloads import ready
from kfinstall.simulator.parts import spark

Document = dict[str, Any]

_INSTALLATIONS: Final = "installations.operator.tigera.io"
_STATUSES: Final = "tigerastatuses.operator.tigera.io"
_PROFILES: Final = "profiles.kubeflow.org"
_SPARK: Final = "sparkapplications.sparkoperator.k8s.io"
_CERTIFICATES: Final = "certificates.cert-manager.io"
_CERT_MANAGER: Final = "cert-manager-certificates-issuing"
_ISSUED: Final = "simulated-issued"
"""Key of the store under which each Certificate's issued data is kept, to tell it from what others put into its Secret."""
_NODE_TAINT: Final = "node.kubernetes.io/not-ready"
_RETRY_LINES: Final = 10
_PI: Final = "Pi is roughly 3.1415951141595113\n"
_CALICO: Final = "quay.io/calico/{}:simulated"
_EVERYWHERE: Final = [{"operator": "Exists"}]


def _workload(kind: str, name: str, namespace: str, owner: Document, image: str, **spec: Any) -> Document:
    labels = {"k8s-app": name}
    pod = {"containers": [{"name": name, "image": _CALICO.format(image)}], "tolerations": _EVERYWHERE, "hostNetwork": True}
    body = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}, **spec}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "ownerReferences": owner_of(owner)}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": body}


def _shown(secret: Document) -> Document:
    """What a Secret holds of a certificate."""
    return {key: value for key, value in (secret.get("data") or {}).items() if key in ("tls.crt", "tls.key", "ca.crt")}


class Addons:
    """Registers the controllers."""

    def __init__(self, controllers: Controllers) -> None:
        """Registers them with `controllers`, which run them."""
        self._c = controllers
        controllers.on(_INSTALLATIONS, self._installation)
        controllers.on("pods", self._pod)
        controllers.on("nodes", self._node)
        controllers.on(_PROFILES, self._profile)
        controllers.on(_SPARK, self._spark)
        controllers.on(_CERTIFICATES, self._certificate)
        controllers.on("secrets", self._secret)
        for key in ("issuers.cert-manager.io", "clusterissuers.cert-manager.io"):
            controllers.on(key, self._issuer)
        controllers.on("apiservices.apiregistration.k8s.io", self._api_service)
        controllers.on("deployments.apps", self._deployment)

    def _again(self, where: Where) -> None:
        self._c.later(self._c.delay(_RETRY_LINES) + 0.01, *where)

    def _available(self, namespace: str, part: str) -> bool:
        """Whether every Deployment of that name in a namespace is there and available."""
        found = [item for item in self._c.store.list("deployments.apps", namespace) if part in item["metadata"]["name"]]
        return bool(found) and all(is_true(item, "Available") for item in found)

    # Calico

    def _installation(self, where: Where, installation: Document | None) -> None:
        if installation is None:
            return
        if not self._available("tigera-operator", "tigera-operator"):
            self._again(where)
            return
        namespace = "calico-system"
        self._c.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for document in (
            _workload("DaemonSet", "calico-node", namespace, installation, "node"),
            _workload("DaemonSet", "csi-node-driver", namespace, installation, "csi"),
            _workload("Deployment", "calico-typha", namespace, installation, "typha", replicas=1),
            _workload("Deployment", "calico-kube-controllers", namespace, installation, "kube-controllers", replicas=1),
        ):
            self._c.create(document)
        self._pools(installation)
        self._tigera_status(where)

    def _pools(self, installation: Document) -> None:
        network = (installation.get("spec") or {}).get("calicoNetwork") or {}
        for version in ("projectcalico.org/v3", "crd.projectcalico.org/v1"):
            for index, pool in enumerate(network.get("ipPools") or ()):
                name = pool.get("name") or ("default-ipv4-ippool" if index == 0 else f"pool-{index}")
                metadata = {"name": name}
                self._c.create(
                    {"apiVersion": version, "kind": "IPPool", "metadata": metadata, "spec": {"natOutgoing": True, **pool}}
                )

    def _tigera_status(self, where: Where) -> None:
        daemon = self._c.store.get("daemonsets.apps", "calico-system", "calico-node") or {}
        status = daemon.get("status") or {}
        wanted = status.get("desiredNumberScheduled", 0)
        up = wanted > 0 and status.get("numberReady") == wanted
        kind = self._c.kinds.by_kind("operator.tigera.io/v1", "TigeraStatus")
        if kind is not None:
            made = self._c.create({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "calico"}, "spec": {}})
            reason = "AllObjectsAvailable" if up else "ResourceNotReady"
            flags = (("Available", up), ("Progressing", not up), ("Degraded", False))
            conditions = [condition(what, true=flag, reason=reason) for what, flag in flags]
            if made is not None:
                self._c.set_status(_STATUSES, made, {"conditions": conditions_like(made.get("status"), conditions)})
        installation = self._c.store.get(*where)
        if installation is not None:
            flags = (("Ready", up), ("Progressing", not up), ("Degraded", False))
            reason = "AllObjectsAvailable" if up else "ResourceNotReady"
            conditions = [condition(what, true=flag, reason=reason) for what, flag in flags]
            status = {"conditions": conditions_like(installation.get("status"), conditions), "variant": "Calico"}
            status["computed"] = installation.get("spec") or {}
            self._c.set_status(where[0], installation, status)
        if not up:
            self._again(where)

    def _pod(self, where: Where, pod: Document | None) -> None:
        if pod is not None and pod["metadata"]["name"].startswith("calico-node-") and pod["spec"].get("nodeName"):
            self._c.enqueue("nodes", "", pod["spec"]["nodeName"])
            for item in self._c.store.list(_INSTALLATIONS):
                self._c.enqueue(_INSTALLATIONS, "", item["metadata"]["name"])
        owner = (pod or {}).get("metadata", {}).get("labels", {}) or {}
        if name := owner.get("sparkoperator.k8s.io/app-name"):
            self._c.enqueue(_SPARK, where[1], name)

    def _node(self, where: Where, node: Document | None) -> None:
        if node is None:
            return
        up = any(
            pod["metadata"]["name"].startswith("calico-node-") and pod["spec"].get("nodeName") == where[2] and ready(pod)
            for pod in self._c.store.list("pods")
        )
        if is_true(node, "Ready") == up:
            return
        message = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
        change = condition(
            "Ready",
            true=up,
            reason="KubeletReady" if up else "KubeletNotReady",
            message="kubelet is posting ready status" if up else message,
        )
        others = [item for item in node["status"]["conditions"] if item["type"] != "Ready"]
        taints = [taint for taint in node["spec"].get("taints") or () if taint["key"] != _NODE_TAINT]
        if not up:
            taints.append({"key": _NODE_TAINT, "effect": "NoSchedule"})
        self._c.store.put(
            "nodes",
            {**node, "spec": {**node["spec"], "taints": taints}, "status": {**node["status"], "conditions": [*others, change]}},
        )

    # cert-manager

    def _issuer(self, where: Where, issuer: Document | None) -> None:
        if issuer is not None and not self._available("cert-manager", "cert-manager"):
            self._again(where)
        elif issuer is not None and not is_true(issuer, "Ready"):
            self._c.set_status(where[0], issuer, {"conditions": [condition("Ready", true=True, reason="IsReady")]})

    def _certificate(self, where: Where, certificate: Document | None) -> None:
        if certificate is None:
            self._c.store.remove(_ISSUED, where[1], where[2])
            return
        if not self._available("cert-manager", "cert-manager"):
            self._again(where)
            return
        generation = certificate["metadata"].get("generation", 1)
        wanted = {"uid": certificate["metadata"]["uid"], "generation": generation}
        issued = self._c.store.get(_ISSUED, where[1], where[2]) or {}
        secret = self._c.store.get("secrets", where[1], certificate["spec"]["secretName"])
        if (
            secret is not None
            and issued.get("for") == wanted
            and issued["data"] == _shown(secret)
            and is_true(certificate, "Ready")
        ):
            return
        data = self._issue(where, certificate)
        self._c.store.put(
            _ISSUED,
            {"kind": "Issued", "metadata": {"namespace": where[1], "name": where[2]}, "for": wanted, "data": data},
        )
        ready_now = condition("Ready", true=True, reason="Ready", message="Certificate is up to date and has not expired")
        revision = (certificate.get("status") or {}).get("revision", 0) + 1
        status = {"conditions": [{**ready_now, "observedGeneration": generation}], "revision": revision}
        self._c.set_status(where[0], certificate, status)

    def _issue(self, where: Where, certificate: Document) -> Document:
        """Into a Secret that may be there already: cert-manager takes its fields over and leaves what others put beside them."""
        made, spec = Pki.make([]), certificate["spec"]
        texts = {"tls.crt": made.server, "tls.key": made.server_key, "ca.crt": made.ca}
        data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        issuer = {f"cert-manager.io/issuer-{key}": value for key, value in (spec.get("issuerRef") or {}).items()}
        annotations = {"cert-manager.io/certificate-name": where[2], **issuer}
        metadata = {"name": spec["secretName"], "namespace": where[1], "annotations": annotations}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}
        kind = self._c.kinds.by_kind("v1", "Secret")
        if kind is not None:
            self._c.objects.apply(kind, where[1], spec["secretName"], secret, _CERT_MANAGER, force=True)
        return data

    def _secret(self, where: Where, _secret: Document | None) -> None:
        for certificate in self._c.store.list(_CERTIFICATES, where[1]):
            if certificate["spec"]["secretName"] == where[2]:
                self._c.enqueue(_CERTIFICATES, where[1], certificate["metadata"]["name"])

    def _api_service(self, where: Where, service: Document | None) -> None:
        if service is not None and not is_true(service, "Available"):
            self._c.set_status(where[0], service, {"conditions": [condition("Available", true=True, reason="Passed")]})

    def _deployment(self, _where: Where, deployment: Document | None) -> None:
        if deployment is not None and "profiles" in deployment["metadata"]["name"]:
            for profile in self._c.store.list(_PROFILES):
                self._c.enqueue(_PROFILES, "", profile["metadata"]["name"])

    # Kubeflow

    def _profile(self, where: Where, profile: Document | None) -> None:
        if profile is None:
            return
        if not self._available("kubeflow", "profiles"):
            self._again(where)
            return
        name, owner = where[2], (profile["spec"].get("owner") or {})
        labels = {
            "app.kubernetes.io/part-of": "kubeflow-profile",
            "istio-injection": "enabled",
            "katib.kubeflow.org/metrics-collector-injection": "enabled",
            "pipelines.kubeflow.org/enabled": "true",
            "serving.kubeflow.org/inferenceservice": "enabled",
        }
        metadata = {
            "name": name,
            "labels": labels,
            "annotations": {"owner": owner.get("name", "")},
            "ownerReferences": owner_of(profile),
        }
        self._c.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        for account, role in (("default-editor", "kubeflow-edit"), ("default-viewer", "kubeflow-view")):
            made = {"name": account, "namespace": name, "ownerReferences": owner_of(profile)}
            self._c.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": made})
            subject = {"kind": "ServiceAccount", "name": account, "namespace": name}
            self._bind(profile, account, role, subject)
        self._bind(
            profile,
            "namespaceAdmin",
            "kubeflow-admin",
            {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": owner.get("name", "")},
        )
        policy = {"name": "ns-owner-access-istio", "namespace": name, "ownerReferences": owner_of(profile)}
        self._c.create({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": policy, "spec": {}})
        if not (profile.get("status") or {}).get("conditions"):
            done = {"type": "Successful", "status": "True", "message": ""}
            self._c.set_status(where[0], profile, {"conditions": [done]})

    def _bind(self, profile: Document, name: str, role: str, subject: Document) -> None:
        metadata = {"name": name, "namespace": profile["metadata"]["name"], "ownerReferences": owner_of(profile)}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata}
        self._c.create({**binding, "roleRef": reference, "subjects": [subject]})

    # Spark

    def _spark(self, where: Where, application: Document | None) -> None:
        if application is None:
            return
        status = application.get("status") or {}
        if (status.get("applicationState") or {}).get("state") in ("COMPLETED", "FAILED"):
            return
        operators = [item for item in self._c.store.list("deployments.apps") if "spark-operator" in item["metadata"]["name"]]
        if operators and not all(is_true(item, "Available") for item in operators):
            self._again(where)
            return
        name = f"{where[2]}-driver"
        pod = self._c.store.get("pods", where[1], name)
        if pod is None and not status:
            pod = self._c.create(self._driver(application, name))
        phase = (pod or {}).get("status", {}).get("phase", "Pending")
        state = {"Pending": "SUBMITTED", "Running": "RUNNING", "Succeeded": "COMPLETED", "Failed": "FAILED"}[phase]
        new = {
            "applicationState": {"state": state},
            "driverInfo": {"podName": name},
            "sparkApplicationId": f"spark-{application['metadata']['uid'][:8]}",
        }
        self._c.set_status(where[0], application, {**status, **new})

    def _driver(self, application: Document, name: str) -> Document:
        spec, metadata = application["spec"], application["metadata"]
        driver = spec.get("driver") or {}
        labels = (driver.get("labels") or {}) | {"spark-role": "driver", "sparkoperator.k8s.io/app-name": metadata["name"]}
        labels["spark-app-selector"] = f"spark-{metadata['uid'][:8]}"
        place = {"name": name, "namespace": metadata["namespace"], "labels": labels, "ownerReferences": owner_of(application)}
        place["annotations"] = {spark.EVENT_LOG: (spec.get("sparkConf") or {}).get("spark.eventLog.dir", "")}
        container = {"name": "spark-kubernetes-driver", "image": spec.get("image", "spark"), "args": [f"echo {_PI.strip()}"]}
        if driver.get("volumeMounts"):
            container["volumeMounts"] = driver["volumeMounts"]
        pod = {"containers": [container], "restartPolicy": "Never", "serviceAccountName": driver.get("serviceAccount", "default")}
        if spec.get("volumes"):
            pod["volumes"] = spec["volumes"]
        return {"apiVersion": "v1", "kind": "Pod", "metadata": place, "spec": pod}
