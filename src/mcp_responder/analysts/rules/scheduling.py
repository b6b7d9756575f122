"""Pods that find no place: no room, no fitting node, no volume, no quota."""

from __future__ import annotations

from mcp_responder.analysts.rules.case import Case, Kind
from mcp_responder.analysts.rules.rule import Depth, Finding, Rule, change, look_at, spot, told
from mcp_responder.model.analysis import Category, Risk

DESCRIBE_POD = look_at("Read the scheduler's reasons.", "kubectl describe pod {pod} -n {namespace}")
WATCH_PENDING = "Alert on pods Pending for more than 5 minutes, with the scheduler's reason in the text."
PLACEMENT = (
    r"didn't match Pod's node affinity|didn't match node selector|node affinity/selector|untolerated taint|had taint"
)


def misplaced(case: Case) -> Finding | None:
    """No node has the labels that the pod asks for, or the pod doesn't tolerate their taints."""
    sight = case.look(rf"(?P<why>{PLACEMENT}|pod (?:anti-)?affinity rules|topology spread constraints)[^\n]*")
    if sight is None:
        return None
    wish = case.look(r"^Node-Selectors:\s+(?P<wish>[^<\s]\S*=\S*)", frozenset({Kind.MANIFEST}))
    asked = f"; it asks for {wish['wish']}" if wish else ""
    kind = "taints that it doesn't tolerate" if "taint" in sight["why"] else "its node selector or affinity"
    finding = told(sight.line, f"The pod can't be scheduled: no node's labels match {kind}")
    claims = finding.claims + ((wish.line.claim(),) if wish else ())
    return Finding(
        cause=finding.cause + asked,
        claims=claims,
        seen=finding.seen,
        strength=finding.strength,
        over=finding.over,
    )


def crowded_node(case: Case) -> Finding | None:
    """The kubelet's pod limit is reached: the address count of small cloud machines is the usual reason."""
    limit = case.look(r"^\s*pods:\s+(?P<limit>\d+)", frozenset({Kind.MANIFEST}))
    running = case.look(r"Non-terminated Pods:\s+\((?P<count>\d+) in total", frozenset({Kind.MANIFEST}))
    if limit is None or running is None or int(running["count"]) < int(limit["limit"]):
        return None
    node = running.line.origin
    cause = (
        f"Too many pods on node {node}: {running['count']} run there and its capacity is {limit['limit']}, so no "
        "further pod can be placed on it"
    )
    return Finding(cause=cause, claims=(running.line.claim(), limit.line.claim()), strength=16)


RULES = (
    Rule(
        name="not enough room on the nodes",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        find=spot(
            r"\bInsufficient (?P<what>cpu|memory|ephemeral-storage|pods|[\w./-]+gpu\S*)",
            "The pod stays Pending (Unschedulable): the nodes have insufficient {what} left for its request",
        ),
        steps=(
            DESCRIBE_POD,
            look_at("See what the nodes have given away.", "kubectl describe nodes | grep -A 8 'Allocated resources'"),
            change("Add a node, or lower requests that are larger than what is used.", risk=Risk.MEDIUM),
        ),
        watch=WATCH_PENDING,
    ),
    Rule(
        name="no node fits",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=misplaced,
        steps=(
            DESCRIBE_POD,
            look_at("See the labels and taints of the nodes.", "kubectl get nodes --show-labels"),
            change(
                "Correct the selector, affinity or toleration, or label a node.", "kubectl label node {node} KEY=VALUE"
            ),
        ),
        watch=WATCH_PENDING,
    ),
    Rule(
        name="node full of pods",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.RESOURCE,
        find=crowded_node,
        steps=(
            look_at("Count pods and limit.", "kubectl describe node {name}"),
            change("Add nodes, move pods away, or raise the limit (prefix delegation on EKS).", risk=Risk.MEDIUM),
        ),
        watch="Alert when a node runs more than 90 % of its pod capacity.",
    ),
    Rule(
        name="quota exceeded",
        category=Category.RESOURCE_EXHAUSTION,
        depth=Depth.NAMED,
        find=spot(
            r"exceeded quota: (?P<quota>[\w.-]+)",
            "The namespace's ResourceQuota {quota} is exceeded, so no further pods are created",
        ),
        steps=(
            look_at("Compare use and quota.", "kubectl describe quota -n {namespace}"),
            change("Raise the quota or lower the requests.", "kubectl edit quota -n {namespace}"),
        ),
        watch="Alert at 90 % of each ResourceQuota.",
    ),
    Rule(
        name="storage class missing",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"storageclass(?:\.storage\.k8s\.io)? \"?(?P<name>[\w.-]+)\"? not found",
            "Storage class {name} does not exist (not found), so the persistent volume claim stays Pending",
        ),
        steps=(
            look_at("List the storage classes that exist.", "kubectl get storageclass"),
            change("Create the class, or name an existing one in a new claim.", risk=Risk.MEDIUM),
        ),
        watch="Alert on PersistentVolumeClaims Pending for more than 5 minutes.",
    ),
    Rule(
        name="volume claim missing",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"persistentvolumeclaim \"?(?P<name>[\w.-]+)\"? not found",
            "Persistent volume claim {name} does not exist (not found), so the pod can't be scheduled",
        ),
        steps=(look_at("List the claims.", "kubectl get pvc -n {namespace}"),),
        watch=WATCH_PENDING,
    ),
    Rule(
        name="volume claim unbound",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SUSPECT,
        find=spot(
            r"unbound immediate PersistentVolumeClaims|no persistent volumes available for this claim[^\n]*"
            r"|ProvisioningFailed",
            "The pod can't be scheduled because its persistent volume claim (PVC) isn't bound to a volume",
        ),
        steps=(look_at("Read the claim's events.", "kubectl describe pvc -n {namespace}"),),
        watch=WATCH_PENDING,
    ),
    Rule(
        name="volume not attached",
        category=Category.INFRASTRUCTURE,
        depth=Depth.SUSPECT,
        find=spot(
            r"(?P<what>Multi-Attach error|FailedAttachVolume|AttachVolume\.Attach failed|MountVolume\.\w+ failed)",
            "A volume can't be attached or mounted: {what}",
        ),
        steps=(
            look_at("See which node holds the volume.", "kubectl get volumeattachments"),
            change("Let go of the volume where it is still attached.", risk=Risk.HIGH),
        ),
        watch="Alert on FailedMount and FailedAttachVolume events.",
    ),
)
