"""Between programs: names, certificates, connections, time-outs, upstreams."""

from __future__ import annotations

import re

from mcp_responder.analysts.rules.case import Case, Sight
from mcp_responder.analysts.rules.rule import Depth, Finding, Rule, change, look_at, spot, told
from mcp_responder.model.analysis import Category, Risk

HOST = r"[\w-]+(?:\.[\w-]+)*(?::\d+)?"
SYSTEMS = re.compile(
    r"\b(postgres(?:ql)?|mysql|mariadb|mongo(?:db)?|redis|memcached|kafka|rabbitmq|elasticsearch|opensearch"
    r"|cassandra|clickhouse"
    r"|database|db|broker|cache|ldap|vault|consul|etcd|s3|sqs|smtp)\b",
    re.IGNORECASE,
)
TARGET = re.compile(
    r"(?:https?|postgres(?:ql)?|redis|mongodb|amqp|mysql|tcp|grpc)://(?:[^@/\s]+@)?([\w.-]+(?::\d+)?)|@?tcp\(([^)]+)\)"
    r"|\b(?:host|server|to|at|tried:|connect(?:ing)?|address|upstream|from|dial tcp"
    r"|endpoint|ECONNREFUSED|ETIMEDOUT)[ =:\"']+([a-z][\w-]*(?:\.[\w-]+)+(?::\d+)?"
    r"|[a-z][\w.-]*:\d{2,5}|\d+\.\d+\.\d+\.\d+(?::\d+)?)",
    re.IGNORECASE,
)
OF_NAMES = re.compile(
    r"ENOTFOUND|EAI_AGAIN|no such host|NXDOMAIN|SERVFAIL|not known|resol|UnknownHost|\bdns\b|lookup|can't find"
    r"|host not found|get address",
    re.IGNORECASE,
)
FAILING = re.compile(
    r"ENOTFOUND|EAI_AGAIN|no such host|NXDOMAIN|SERVFAIL|not known|fail|unable|could ?n[o']t|can't|error|timed? ?out"
    r"|host not found"
    r"|UnknownHost",
    re.IGNORECASE,
)
REFUSED = (
    r"connection refused|ECONNREFUSED|(?:unable|failed|could not|cannot|can't"
    r"|couldn't) (?:to )?(?:re)?connect\b(?! through)"
    r"|connect(?:ion)? (?:failed|error)|no available connection|host\(s\) tried|has become unavailable|unreachable host"
    r"|no ?brokers? ?available|broker (?:transport failure|not available)|server selection (?:timed out|error)"
    r"|failed to establish a new connection|is the server running|lost connection to|connection to \S+ (?:failed|lost)"
)


def target_of(text: str) -> str:
    """Which host or system a line complains about."""
    host = TARGET.search(text)
    if host:
        return next(group for group in host.groups() if group)
    system = SYSTEMS.search(text)
    return system[1] if system else ""


def refused(case: Case) -> Finding | None:
    """Something that is needed doesn't take connections."""
    sight = case.look(REFUSED)
    if sight is None:
        return None
    system = SYSTEMS.search(sight.line.text)
    kind = f" ({system[1]})" if system else ""
    target = target_of(sight.line.text) or "something that it needs"
    return told(sight.line, f"It is unable to connect to {target}{kind}: the dependency can't be reached or refuses")


def unresolved(case: Case) -> Finding | None:
    """A name that the resolver doesn't know, or a resolver that doesn't answer."""
    sights = case.sights(
        rf"(?:getaddrinfo|lookup|resolve(?: host(?:name)?| address)?|NXDOMAIN|query for|host:)[ :]*(?:ENOTFOUND"
        rf"|EAI_AGAIN)?"
        rf"[ :\"']*(?P<host>{HOST}\.[\w-]+)|ENOTFOUND (?P<name>{HOST})|no such host|NXDOMAIN|EAI_AGAIN|SERVFAIL"
        r"|server can't find (?P<sought>[\w.-]+)|can't resolve '?(?P<wanted>[\w.-]+)|couldn't get address for \S+"
        r"|host not found(?: in upstream \"?(?P<upstream>[\w.-]+))?|Name or service not known"
        r"|Temporary failure in name resolution|name resolution|unable to resolve"
        r"|UnknownHostException"
        r"|Could not resolve host(?:: (?P<asked>\S+))?|dns[^\n]{0,40}(?:fail|error|timed? ?out|unable|refused)"
    )
    telling = [sight for sight in sights if _is_dns(sight)]
    if not telling:
        return None
    sight = telling[0]
    groups = ("host", "name", "asked", "sought", "wanted", "upstream")
    host = next((sight[group] for group in groups if sight[group]), "") or target_of(sight.line.text)
    of_what = f" of {host}" if host else ""
    return told(
        sight.line, f"DNS resolution{of_what} fails: the name can't be resolved (a wrong name or a broken resolver)"
    )


def _is_dns(sight: Sight) -> bool:
    """Names are resolved all day; it counts when it fails."""
    text = sight.line.text
    return bool(OF_NAMES.search(text) and FAILING.search(text))


def bad_certificate(case: Case) -> Finding | None:
    """Expired, unknown, for another name: what is wrong with it, and with whom it was spoken."""
    sight = case.look(
        r"certificate (?:has |is |was )?(?P<expired>expired)|expired (?:ssl |tls )?certificate"
        r"|certificate[^\n]{0,60}not yet valid"
        r"|(?P<unknown>unknown authority|self[- ]signed certificate|unable to get local issuer"
        r"|PKIX path building failed"
        r"|CERTIFICATE_VERIFY_FAILED|certificate verify failed)|(?P<name>certificate is (?:valid for"
        r"|not valid for)|doesn't match"
        r" (?:the )?host|hostname mismatch|ERR_TLS_CERT_ALTNAME)|x509: |(?:TLS|SSL) handshake (?:fail|error)\w*"
        r"|SSL ?Error|SSLHandshakeException|certificate (?:error|problem|invalid)|invalid certificate"
    )
    if sight is None:
        return None
    expired = "has expired" if "expire" in sight.line.text.lower() else ""
    unknown = "isn't trusted (unknown authority)" if sight["unknown"] else ""
    why = expired or unknown or ("is for another name" if sight["name"] else "isn't accepted")
    system = SYSTEMS.search(sight.line.text)
    whose = f" of {system[1]}" if system else ""
    return told(sight.line, f"The TLS/SSL certificate{whose} {why}")


def timed_out(case: Case) -> Finding | None:
    """A time-out is a symptom, until it names whom it waited for."""
    sight = case.look(
        r"timed[- ]?out|time-?out (?:exceeded|expired|of|after|waiting)|ETIMEDOUT|deadline exceeded|\btimeouts?\b"
    )
    if sight is None:
        return None
    target = target_of(sight.line.text)
    waited = f"{target} doesn't answer in time" if target else "Something that it waits for doesn't answer in time"
    return told(sight.line, f"{waited} (time-out, timeout)")


def upstream_fails(case: Case) -> Finding | None:
    """Another service answers with errors."""
    sight = case.look(
        r"upstream (?:connect error|prematurely|timed out|server)|Downstream\w*|(?:from|calling"
        r"|call to) (?P<who>[\w.-]+)[^\n]{0,60}\b"
        r"50[0234]\b|\b50[234] (?:Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time-?out)"
        r"|service unavailable"
        r"|(?P<service>[\w-]+)(?: service)? (?:returned|responded with|answered|returns) (?:HTTP )?5\d\d"
    )
    if sight is None:
        return None
    who = sight["who"] or sight["service"] or target_of(sight.line.text) or "A service behind it"
    return told(sight.line, f"{who} answers with errors (an upstream dependency fails)")


ASK_ENDPOINT = look_at("Try it from the same place.", "kubectl exec {pod} -n {namespace} -- nc -vz HOST PORT")

RULES = (
    Rule(
        name="DNS",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=unresolved,
        steps=(
            look_at("Resolve the name from the same place.", "kubectl exec {pod} -n {namespace} -- nslookup NAME"),
            look_at("See whether the service is there.", "kubectl get service -A"),
            look_at("See how the resolver does.", "kubectl logs -n kube-system -l k8s-app=kube-dns"),
            change("Correct the name (host, namespace, search domain), or mend the resolver."),
        ),
        watch="Alert on the rate of failed lookups (CoreDNS: coredns_dns_responses_total by rcode).",
    ),
    Rule(
        name="certificate",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=bad_certificate,
        steps=(
            look_at(
                "See dates and names.",
                "openssl s_client -connect HOST:443 </dev/null | openssl x509 -noout -dates -subject",
            ),
            change("Renew the certificate or mend the trust, and load it."),
        ),
        watch="Alert 21 days before a certificate expires.",
    ),
    Rule(
        name="refused connection",
        category=Category.DEPENDENCY_FAILURE,
        depth=Depth.DEPENDENCY,
        find=refused,
        steps=(
            ASK_ENDPOINT,
            look_at("See whether the other side runs.", "kubectl get pods,endpoints -A"),
            change("Start or repair it, or correct host and port."),
        ),
        watch="Probe each dependency, and alert when it can't be reached for a minute.",
    ),
    Rule(
        name="no route",
        category=Category.INFRASTRUCTURE,
        depth=Depth.DEPENDENCY,
        find=spot(
            r"no route to host|network is unreachable|EHOSTUNREACH|ENETUNREACH|NetworkUnavailable"
            r"|network partition|Peer down"
            r"|BGP[^\n]{0,30}down|link (?:is )?down",
            "The network between two machines is broken (no route, a peer is down or unreachable)",
        ),
        steps=(ASK_ENDPOINT, look_at("Look for network policies.", "kubectl get networkpolicy -A")),
        watch="Probe the path between the zones.",
    ),
    Rule(
        name="request rejected",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.SUSPECT,
        find=spot(
            r"(?:returned|requested URL|status(?: code)?|HTTP(?:/\d(?:\.\d)?)?"
            r"|response)[^\n]{0,30}\b(?P<code>40[0134])\b[^\n]{0,40}",
            "A request is rejected with HTTP {code}: it lacks permission or credentials, or asks for what isn't there",
        ),
        steps=(
            look_at("Ask the same with the same credentials.", "curl -v URL"),
            change("Correct credentials or path."),
        ),
        watch="Alert on the share of 4xx answers by target.",
    ),
    Rule(
        name="versions don't fit",
        category=Category.CONFIGURATION_ERROR,
        depth=Depth.NAMED,
        find=spot(
            r"wire version[^\n]*|requires at least[^\n]*|(?:unsupported|incompatible) (?:protocol|version|client"
            r"|server|driver)[^\n]*"
            r"|version (?:mismatch|conflict|is not supported|not supported)[^\n]*|UnsupportedClassVersionError"
            r"|please upgrade"
            r"|no matches for kind \"?(?P<kind>\w+)|exec format error",
            "Two versions don't fit each other (driver, client, server or platform): one needs an upgrade {kind}",
        ),
        steps=(
            look_at("Compare the versions of both sides."),
            change("Upgrade the older, or go back.", risk=Risk.MEDIUM),
        ),
        watch="Test the pair of versions before it is rolled out.",
    ),
    Rule(
        name="upstream fails",
        category=Category.DEPENDENCY_FAILURE,
        depth=Depth.SUSPECT,
        find=upstream_fails,
        steps=(look_at("Look into the logs of that service first."), ASK_ENDPOINT),
        watch="Alert on the error rate of calls by target.",
    ),
    Rule(
        name="time-out",
        category=Category.DEPENDENCY_FAILURE,
        depth=Depth.SYMPTOM,
        find=timed_out,
        steps=(ASK_ENDPOINT, look_at("Compare its latency with the time-out.")),
        watch="Alert on the 99th percentile of the calls' duration by target.",
    ),
    Rule(
        name="connection cut",
        category=Category.DEPENDENCY_FAILURE,
        depth=Depth.SYMPTOM,
        find=spot(
            r"connection reset by peer|ECONNRESET|broken pipe|EPIPE|unexpected EOF|server closed the connection"
            r"|connection (?:was )?closed",
            "Open connections are cut by the other side",
        ),
        steps=(look_at("See whether the other side restarted or has an idle time-out."),),
        watch="Count resets by target.",
    ),
)
