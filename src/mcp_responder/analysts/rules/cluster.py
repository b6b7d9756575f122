"""The cluster around the pods: nodes, permissions, scaling, delivery, routing, jobs, admission."""

from __future__ import annotations

from mcp_responder.analysts.rules.case import SPOKEN, Case, Kind
from mcp_responder.analysts.rules.rule import Depth, Finding, Rule, change, look_at, spot, told
from mcp_responder.model.analysis import Category, Risk

SAID_OR_WISHED = SPOKEN | {Kind.MANIFEST}
ANYWHERE = frozenset(Kind)
DRAIN = change("Move its pods away and replace it.", "kubectl drain {node} --ignore-daemonsets", Risk.MEDIUM)


def node_in_trouble(case: Case) -> Finding | None:
    """A node that isn't ready, as the nodes themselves say it."""
    sick = [node for node in case.nodes.values() if "NotReady" in node.troubles]
    if sick:
        names = ", ".join(node.name for node in sick[:3])
        return told(sick[0].line, f"Node {names} is not ready (NotReady): its pods are lost or moved")
    sight = case.look(r"NodeNotReady|Kubelet stopped posting node status|node \S+ (?:is )?not ready|NodeStatusUnknown")
    return told(sight.line, "A node is not ready (NodeNotReady), and its pods with it") if sight else None


def node_under_pressure(case: Case) -> Finding | None:
    """A node that is short of memory, disk or process ids throws pods out."""
    pressed = [node for node in case.nodes.values() if any("Pressure" in trouble for trouble in node.troubles)]
    if pressed:
        node = pressed[0]
        return told(node.line, f"Node {node.name} is short of resources ({', '.join(node.troubles)}) and evicts pods")
    sight = case.look(
        r"The node was low on resource: (?P<what>[\w-]+)|(?P<pressure>Memory|Disk|PID)Pressure(?:=True|\s+True)"
        r"|\bEvict(?:ed|ing|ion)\b|NodeHas(?:Insufficient|Disk)\w+|eviction manager"
    )
    if sight is None:
        return None
    what = sight["what"] or sight["pressure"].lower() or "resources"
    return told(sight.line, f"Pods are evicted because their node is short of {what} (node pressure)")


def keda_absent(case: Case) -> Finding | None:
    """Somebody asks about KEDA, and the cluster doesn't know its objects, or has none."""
    asked = case.look(r"\bKEDA\b|ScaledObjects?\b", frozenset({Kind.ALERT}))
    answer = case.look(r"doesn't have a resource type \"scaled\w+\"|no resources found[^\n]*scaled", ANYWHERE)
    if asked is None or answer is None:
        return None
    cause = (
        "KEDA doesn't scale the workload: the cluster has no ScaledObject (KEDA's resource type is unknown, so "
        "KEDA isn't "
        "installed); if anything scales it, it is a plain HPA (HorizontalPodAutoscaler)"
    )
    return Finding(cause=cause, claims=(answer.line.claim(),), seen=answer.line.text, strength=12)


RULES = (
    Rule(
        name="node not ready",
        category=Category.INFRASTRUCTURE,
        depth=Depth.RESOURCE,
        find=node_in_trouble,
        steps=(look_at("Read the node's conditions.", "kubectl describe node {node}"), DRAIN),
        watch="Alert on nodes that are not Ready for more than 2 minutes.",
    ),
    Rule(
        name="node under pressure",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        find=node_under_pressure,
        steps=(
            look_at("See who uses what.", "kubectl top pod -A --sort-by=memory"),
            change("Set requests and limits, free the disk, or add a node.", risk=Risk.MEDIUM),
        ),
        watch="Alert on node conditions MemoryPressure, DiskPressure and PIDPressure.",
    ),
    Rule(
        name="forbidden in the cluster",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"is forbidden: User \"(?P<user>[^\"]+)\" cannot (?P<verb>\w+) resource \"(?P<resource>[^\"]+)\""
            r"|\"system:serviceaccount:(?P<account>[^\"]+)\" cannot (?P<act>\w+)",
            "Permission is missing (RBAC, forbidden): {user}{account} cannot {verb}{act} {resource}",
        ),
        steps=(
            look_at("Ask what it may do.", "kubectl auth can-i --list --as={service_account} -n {namespace}"),
            change("Bind a role with just that verb and resource."),
        ),
        watch="Count 403 answers of the API server by user.",
    ),
    Rule(
        name="refused by admission",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"admission webhook \"(?P<webhook>[^\"]+)\" denied|violates PodSecurity \"(?P<policy>[^\"]+)\""
            r"|failed calling webhook \"(?P<failing>[^\"]+)\"",
            "The cluster's admission control refuses the object: {webhook}{policy}{failing}",
        ),
        steps=(look_at("Read the reason in the events.", "kubectl get events -n {namespace}"),),
        watch="Alert on FailedCreate events.",
    ),
    Rule(
        name="autoscaler without metrics",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"FailedGet\w*Metric|failed to get (?:cpu|memory) utilization|unable to (?:get|fetch) (?:metrics"
            r"|external metric)"
            r"|missing request for (?:cpu|memory)|ScaledObject\w*Failed|KEDAScalerFailed|invalid metrics",
            "The autoscaler (HPA, HorizontalPodAutoscaler) can't scale: it gets no metrics",
            SAID_OR_WISHED,
        ),
        steps=(
            look_at("Read the autoscaler's conditions.", "kubectl describe hpa -n {namespace}"),
            change("Give the metrics server or the resource requests that it misses."),
        ),
        watch="Alert when an HPA's ScalingActive condition is False.",
    ),
    Rule(
        name="autoscaler at its limit",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.SUSPECT,
        find=spot(
            r"TooManyReplicas|the desired replica count is more than the maximum|(?:reached"
            r"|at) (?:its )?max(?:imum)?[ _]?replicas"
            r"|HPAMaxedOut|HpaMaxedOut",
            "The autoscaler (HPA) is at its maximum of replicas and can't add more",
        ),
        steps=(change("Raise maxReplicas if the load is real.", "kubectl edit hpa -n {namespace}"),),
        watch="Alert when an HPA stays at its maximum for 15 minutes.",
    ),
    Rule(
        name="KEDA isn't there",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=keda_absent,
        steps=(
            look_at("See what scales.", "kubectl get hpa,scaledobject -A"),
            change("Install KEDA and add a ScaledObject, or tune the HPA."),
        ),
        watch="Alert when a ScaledObject isn't Ready.",
    ),
    Rule(
        name="namespace missing",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"namespaces? \"(?P<namespace>[\w.-]+)\" not found",
            "Namespace {namespace} does not exist (not found), so objects meant for it can't be applied",
        ),
        steps=(
            look_at("List the namespaces; look for a similar name.", "kubectl get namespaces"),
            change("Correct the namespace in the manifest, or create it.", "kubectl create namespace {namespace}"),
        ),
        watch="Alert on applications that are OutOfSync for more than 15 minutes.",
    ),
    Rule(
        name="delivery failed",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SUSPECT,
        find=spot(
            r"one or more objects failed to apply|ComparisonError|SyncFailed|(?:UPGRADE|INSTALLATION) FAILED"
            r"|another operation \("
            r"install/upgrade/rollback\) is in progress|failed to (?:render|template)|repository not accessible"
            r"|app path does not exist|Unable to (?:create|deploy) application",
            "A delivery (Argo CD or Helm) failed, so the running state isn't the wished one",
            SAID_OR_WISHED,
        ),
        steps=(look_at("Compare wish and reality.", "argocd app diff {name}"), look_at("Or:", "helm history {name}")),
        watch="Alert on failed syncs and releases.",
    ),
    Rule(
        name="rollout stuck",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SYMPTOM,
        find=spot(
            r"ProgressDeadlineExceeded|BackoffLimitExceeded|DeadlineExceeded|has reached the specified backoff limit",
            "A rollout or job gave up: its pods didn't get ready or complete in time",
        ),
        steps=(look_at("Read the rollout's state.", "kubectl rollout status deployment/{deployment} -n {namespace}"),),
        watch="Alert on deployments whose Progressing condition is False.",
    ),
    Rule(
        name="ingress class missing",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"ingress ?class(?:es)?(?:\.networking\.k8s\.io)? \"?(?P<name>[\w.-]+)\"? (?:not found|does not exist)",
            "Ingress class {name} does not exist (not found), so no controller serves the ingress",
            SAID_OR_WISHED | {Kind.TOOL},
        ),
        steps=(look_at("List the classes.", "kubectl get ingressclass"), change("Correct spec.ingressClassName.")),
        watch="Probe the route from outside.",
    ),
    Rule(
        name="service without endpoints",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SUSPECT,
        find=spot(
            r"^Endpoints:\s+(?:<none>|$)|no endpoints available for service \"?(?P<service>[\w.-]+)?",
            "The service {service} has no endpoints: its selector matches no ready pod",
            SAID_OR_WISHED,
        ),
        steps=(look_at("Compare selector and labels.", "kubectl describe service -n {namespace}"),),
        watch="Alert on services without ready endpoints.",
    ),
    Rule(
        name="deployed just before",
        category=Category.CODE_DEFECT,
        depth=Depth.SYMPTOM,
        find=spot(
            r"\b(?:deployed|deployment of|rolled out|release[d]?|rollout of|upgraded to)\b[^\n]{0,60}\bv?\d+\.\d+"
            r"|(?:just|right|shortly|minutes?) (?:after|since|following) (?:the |a )?(?:deploy|release|rollout"
            r"|upgrade)\w*",
            "It began with a deployment just before",
        ),
        steps=(
            look_at("See what changed.", "kubectl rollout history deployment/{deployment} -n {namespace}"),
            change("Go back to the last good version.", "kubectl rollout undo deployment/{deployment} -n {namespace}"),
        ),
        watch="Mark deployments on the dashboards, and compare error rates before and after.",
    ),
)
