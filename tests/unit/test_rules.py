"""Each rule recognises its kind of failure, names the thing, and is silent where there is nothing."""

from __future__ import annotations

import pytest

from mcp_responder.analysts.rules import RULES, cloud, metrics
from mcp_responder.model.analysis import Category, State
from tests.unit.asking import analyze, rulings, subject

EXAMPLES = [
    ("not enough room on the nodes", "0/5 nodes are available: 5 Insufficient memory.", "insufficient memory"),
    ("no node fits", "0/3 nodes are available: 3 node(s) had untolerated taint {gpu: true}.", "taints"),
    ("quota exceeded", 'pods "x-1" is forbidden: exceeded quota: team-a, requested: cpu=2, used: cpu=8', "team-a"),
    ("storage class missing", 'storageclass.storage.k8s.io "fast-nvme" not found', "fast-nvme does not exist"),
    ("volume claim missing", 'persistentvolumeclaim "ledger-data" not found', "ledger-data"),
    ("volume claim unbound", "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.", "pvc"),
    ("volume not attached", 'Multi-Attach error for volume "pvc-77" Volume is already used', "multi-attach"),
    (
        "image not pulled",
        'Failed to pull image "registry.test/shop/cart:9.9": manifest unknown',
        "registry.test/shop/cart:9.9 can't be pulled (imagepullbackoff): the image or tag does not exist",
    ),
    ("command not found", 'unable to start container process: exec: "pyhton": executable file not found', "pyhton"),
    ("shell command not found", "/bin/sh: crul: not found", "crul"),
    ("configuration object missing", 'Error: configmap "mailer-settings" not found', "mailer-settings"),
    ("key missing in a configuration object", "couldn't find key api-token in Secret shop/tokens", "api-token"),
    ("killed for memory", "Last State: Terminated Reason: OOMKilled", "out of memory"),
    ("probe fails", "Readiness probe failed: HTTP probe failed with statuscode: 404", "readiness probe"),
    ("crash loop", "waiting: CrashLoopBackOff", "crashloopbackoff"),
    ("node not ready", "Node worker-7 status is now: NodeNotReady", "not ready"),
    ("node under pressure", "The node was low on resource: memory. Threshold quantity: 100Mi", "memory"),
    (
        "forbidden in the cluster",
        'jobs is forbidden: User "system:serviceaccount:ops:runner" cannot create resource "jobs" in API group "batch"',
        "system:serviceaccount:ops:runner cannot create jobs",
    ),
    ("refused by admission", 'admission webhook "policy.example.test" denied the request', "policy.example.test"),
    ("autoscaler without metrics", "FailedGetResourceMetric: unable to get metrics for resource cpu", "hpa"),
    ("autoscaler at its limit", "the desired replica count is more than the maximum replica count", "maximum"),
    ("namespace missing", 'error: namespaces "paymnets" not found in cluster', "paymnets"),
    ("delivery failed", "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress", "helm"),
    ("rollout stuck", "Job has reached the specified backoff limit", "gave up"),
    ("ingress class missing", 'ingressclass "nginx-internal" not found', "nginx-internal"),
    ("service without endpoints", 'no endpoints available for service "cart"', "cart"),
    ("deployed just before", "errors began 2 minutes after the deployment", "deployment"),
    ("DNS", "dial tcp: lookup billing.internal on 10.0.0.2:53: no such host", "billing.internal"),
    ("certificate", "x509: certificate has expired or is not yet valid", "has expired"),
    ("refused connection", "connect ECONNREFUSED cache.internal:6379 redis", "cache.internal:6379"),
    ("no route", "dial tcp 10.3.0.4:443: connect: no route to host", "network"),
    ("upstream fails", "upstream connect error or disconnect/reset before headers", "upstream"),
    ("time-out", "call to ledger.internal:8443 timed out", "ledger.internal:8443"),
    ("connection cut", "read: connection reset by peer", "cut"),
    ("connections used up", "FATAL: remaining connection slots are reserved for superusers", "max_connections"),
    ("wrong statement", 'ERROR: syntax error at or near "SELCT"', "syntax error"),
    ("table or column missing", 'ERROR: relation "invoices_v2" does not exist', "invoices_v2"),
    ("locks", "ERROR: deadlock detected", "deadlock"),
    ("statement too slow", "canceling statement due to statement timeout", "too slow"),
    ("failover", "Multi-AZ instance failover started.", "failover"),
    ("replica behind", "replication lag exceeded the threshold", "replication lag"),
    ("storage nearly full", "DB instance has run out of storage", "freestoragespace"),
    ("read only", "cannot execute INSERT in a read-only transaction", "read-only"),
    ("transaction ids", "database must be vacuumed to avoid wraparound", "wraparound"),
    ("database error", "Database error: bad page header", "bad page header"),
    ("messages pile up", "consumer lag is 48211 on partition 3", "lag"),
    ("broker split", "Network partition detected, Mnesia reports that this RabbitMQ cluster is split", "split"),
    ("setting missing", "Fatal: environment variable LEDGER_URL is not set", "ledger_url"),
    ("configuration invalid", "failed to load config: unexpected end", "configuration"),
    ("memory of the program", "java.lang.OutOfMemoryError: Java heap space", "java heap space"),
    ("disk full", "write /var/data: No space left on device", "no space left"),
    ("file handles", "accept: too many open files", "file handles"),
    ("file permission", "open /etc/app/key.pem: permission denied", "permission"),
    ("rejected credentials", 'password authentication failed for user "cart"', "rejected"),
    ("missing code", "ModuleNotFoundError: No module named 'arrow'", "no module named 'arrow"),
    ("unhandled exception", "NullPointerException: Cannot invoke Cart.total()", "nullpointerexception"),
    ("data not as expected", "JSONDecodeError: Expecting value: line 1", "data"),
    ("throttled", "ThrottlingException: Rate exceeded", "throttled"),
    ("limit of the account", "VcpuLimitExceeded: You have requested more vCPU", "quota"),
    (
        "not authorized at the provider",
        "User: arn:aws:iam::1:role/cart is not authorized to perform: s3:GetObject",
        "s3:getobject",
    ),
    ("function timed out", "Task timed out after 3.00 seconds", "3.00 seconds"),
    ("request rejected", "GET https://stock.test/v1 returned error: 403 Forbidden", "http 403"),
    ("versions don't fit", "server wire version 2, but this driver requires at least 6", "upgrade"),
    ("processor throttled", "62 % throttling of CPU in container app", "throttled"),
    (
        "file missing",
        "FileNotFoundError: [Errno 2] No such file or directory: '/etc/cart/rates.csv'",
        "/etc/cart/rates.csv",
    ),
    ("machine failed", "EC2 spot interruption notice received", "machine"),
]


@pytest.mark.parametrize(("rule", "line", "words"), EXAMPLES, ids=[rule for rule, _, _ in EXAMPLES])
def test_a_rule_fires_on_one_telling_line_and_names_the_thing(rule: str, line: str, words: str) -> None:
    found = rulings(subject("Something is wrong with cart"), {"app.log": f"2026-05-04 09:29:11 ERROR {line}\n"})
    assert rule in found
    assert words in found[rule].finding.cause.lower()
    assert found[rule].finding.claims[0].quote


TOLD_BY_SCENARIOS = {
    "node full of pods",
    "KEDA isn't there",
    "container restarts",
    "scaled to nothing",
    "slow consumer",
    "slow step in a trace",
    "what was asked about",
    "logged errors",
    *(rule.name for rule in (*metrics.RULES, *cloud.ALARM_RULES)),
}


def test_every_rule_has_an_example() -> None:
    """A rule without one can't be trusted to fire."""
    assert {rule.name for rule in RULES} == {rule for rule, _, _ in EXAMPLES} | TOLD_BY_SCENARIOS


QUIET = """\
2026-05-04 09:29:11 INFO started on port 8080
2026-05-04 09:29:12 INFO GET /cart 200 12ms
2026-05-04 09:29:13 INFO connection pool at 7/100
2026-05-04 09:29:14 DEBUG resolved cart.internal
2026-05-04 09:29:15 INFO order 500 placed, 0 errors
"""


def test_no_rule_fires_on_quiet_logs() -> None:
    found = rulings(subject("Question about cart"), {"app.log": QUIET})
    assert not found


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    draft = analyze(subject("Question about cart"), app__log=QUIET)
    assert draft.root_cause.category is Category.UNKNOWN
    assert draft.state is State.INCONCLUSIVE
    assert draft.root_cause.confidence <= 0.2


def test_every_rule_has_a_name_of_its_own_and_advice() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.steps and rule.watch for rule in RULES)


def test_a_deeper_cause_explains_a_symptom() -> None:
    log = "ERROR GET /pay 504 upstream timed out\nERROR connect ECONNREFUSED ledger-db.internal:5432\n"
    draft = analyze(subject("5xx on checkout"), app__log=log)
    assert draft.root_cause.category is Category.DEPENDENCY_FAILURE
    assert "ledger-db.internal:5432" in draft.root_cause.statement


def test_an_alert_alone_leads_to_a_cause() -> None:
    draft = analyze(
        subject("checkout is failing", "connection pool exhausted: 50 of 50 in use, timeout waiting for connection")
    )
    assert draft.root_cause.category is Category.RESOURCE_EXHAUSTION
    assert "pool" in draft.root_cause.statement
    assert any("Only the alert's own words" in gap for gap in draft.gaps)
    assert draft.remediation
    assert draft.monitoring


def test_an_alarm_of_a_metric_alone_names_what_runs_out() -> None:
    message = "Threshold Crossed: 1 datapoint [492.0] was greater than the threshold (450.0). DatabaseConnections"
    draft = analyze(subject("cart-db-connections-high", message))
    assert draft.root_cause.category is Category.RESOURCE_EXHAUSTION
    assert "connections" in draft.root_cause.statement


def test_commands_hold_the_names_that_are_known() -> None:
    labels = {"pod": "cart-1", "namespace": "shop"}
    draft = analyze(subject("cart-1 crashes", "CrashLoopBackOff", labels=labels))
    assert draft.remediation[0].command == "kubectl logs cart-1 -n shop --previous"


def test_errors_that_no_rule_knows_are_told_as_they_are() -> None:
    log = "2026-05-04 09:29:11 ERROR flux capacitor misaligned\n2026-05-04 09:29:12 ERROR warp core offline\n"
    draft = analyze(subject("What are the errors in cart?"), cart__log=log)
    assert "flux capacitor misaligned" in draft.root_cause.statement
    assert "warp core offline" in draft.root_cause.statement


def test_words_that_the_alert_quotes_are_looked_for() -> None:
    draft = analyze(subject("Did cart report 'gossip round lost'?"), cart__log="INFO gossip round lost at 7\n")
    assert "gossip round lost" in draft.root_cause.statement


def test_a_consumer_that_works_one_by_one_is_found_slow() -> None:
    header = '# fetch_pod_logs {"pod_name": "mailer-7c9", "namespace": "shop"}\n'
    work = "".join(
        f"[2026-05-04T09:{minute:02}:00] Sending receipt email to user{minute}@example.test\n" for minute in range(59)
    )
    draft = analyze(subject("What is wrong with the `receipts` kafka topic?"), mailer__log=header + work)
    assert "mailer-7c9 is slow" in draft.root_cause.statement
    assert "email" in draft.root_cause.statement


def test_the_innermost_slow_step_of_a_trace_is_the_cause() -> None:
    trace = (
        "├─ /api/order (gateway) - 5200.10ms (span_id=a1)\n"
        "  ├─ price (pricing) - 4900.00ms (span_id=a2)\n"
        "    ├─ mysql.query (pricing) - 4850.25ms (span_id=a3)\n"
        "    │  Attributes:\n"
        "    │    db.statement: SELECT * FROM discounts WHERE code=?\n"
    )
    draft = analyze(subject("High latency at the gateway"), trace__txt=trace)
    assert "SELECT * FROM discounts" in draft.root_cause.statement
    assert "pricing" in draft.root_cause.statement


def test_keda_that_is_not_installed_does_not_scale() -> None:
    answer = '# kubectl_get {"kind": "scaledobject"}\nerror: the server doesn\'t have a resource type "scaledobject"\n'
    draft = analyze(subject("Why does KEDA not scale thumbnailer?"), keda__txt=answer)
    assert "KEDA" in draft.root_cause.statement
    assert "HPA" in draft.root_cause.statement


def test_what_a_tool_says_of_itself_is_no_cause() -> None:
    answer = '# kubectl_describe {"kind": "pod"}\nError from server (NotFound): pods "cart-9" not found\n'
    draft = analyze(subject("Question about cart"), pod__txt=answer)
    assert draft.root_cause.category is Category.UNKNOWN


def test_a_matter_that_the_log_says_is_over_is_not_the_cause() -> None:
    log = (
        "2026-05-04 09:00:00 WARNING memory usage exceeds the soft limit\n"
        "2026-05-04 09:05:00 INFO memory usage back to normal\n"
        "2026-05-04 09:10:00 ERROR could not connect to search.internal:9200\n"
    )
    draft = analyze(subject("Errors in cart"), cart__log=log)
    assert "search.internal:9200" in draft.root_cause.statement
    assert "memory" not in draft.root_cause.statement.lower()


def test_a_heartbeat_alert_is_no_incident() -> None:
    draft = analyze(subject("Watchdog", "This alert is always firing, so that its absence is noticed."))
    assert draft.root_cause.category is Category.HEALTHY


def test_a_deployment_that_wants_nobody_is_told() -> None:
    described = (
        '# kubectl_describe {"kind": "deployment", "name": "cart", "namespace": "shop"}\n'
        "Name:       cart\n"
        "Replicas:   0 desired | 0 updated | 0 total | 0 available | 0 unavailable\n"
    )
    draft = analyze(subject("What is wrong with cart?"), cart__txt=described)
    assert "scaled to 0 replicas" in draft.root_cause.statement


def test_a_node_at_its_limit_of_pods_is_told() -> None:
    described = (
        '# kubectl_describe {"kind": "node", "name": "node-4"}\n'
        "Name:               node-4\n"
        "Capacity:\n"
        "  pods:               29\n"
        "Non-terminated Pods:          (29 in total)\n"
    )
    draft = analyze(subject("KubeletTooManyPods"), node__txt=described)
    assert "Too many pods on node node-4" in draft.root_cause.statement


def test_what_a_pod_logs_last_is_told_when_it_crashes_without_a_word() -> None:
    described = (
        "Name:             cart-5\n"
        "Node:             node-1\n"
        "Status:           Running\n"
        "Containers:\n"
        "  app:\n"
        "    State:          Waiting\n"
        "      Reason:       CrashLoopBackOff\n"
        "    Last State:     Terminated\n"
        "      Exit Code:    3\n"
        "    Restart Count:  8\n"
    )
    log = '# fetch_pod_logs {"pod_name": "cart-5"}\nreading ledger\nledger page 7 of 9\n'
    draft = analyze(subject("cart-5 crashes"), pod__txt=described, cart__log=log)
    assert "exit code 3" in draft.root_cause.statement
    assert "ledger page 7 of 9" in draft.root_cause.statement


def test_what_is_said_in_passing_does_not_spoil_good_health() -> None:
    monitors = '"monitors": [{"name": "cart errors", "overall_state": "OK"}]'
    well = f'{{{monitors}, "deployments": [{{"name": "cart", "desired": 1, "ready": 1}}]}}'
    log = "2026-05-04 09:29:11 INFO connection reset by peer, tried again and succeeded\n"
    draft = analyze(subject("Question about cart"), state__json=well, cart__log=log)
    assert draft.root_cause.category is Category.HEALTHY


def test_logs_from_loki_are_read() -> None:
    answer = '{"streams": [{"stream": {"pod": "cart-1"}, "values": [["1", "ERROR disk: No space left on device"]]}]}'
    draft = analyze(subject("cart is down"), loki__json=answer)
    assert "no space left" in draft.root_cause.statement.lower()
    assert "cart-1" in draft.root_cause.statement
