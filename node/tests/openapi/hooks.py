"""What the document cannot say: requests that contradict themselves are refused, and unknown headers are not."""

import schemathesis

SAID_TWICE = {"consistency": "Shoal-Consistency", "timeoutMs": "Shoal-Timeout-Ms"}


@schemathesis.hook
def filter_case(context, case):
    """HTTP has everybody ignore headers that they do not know."""
    return not any(name.lower().startswith("x-schemathesis") for name in case.headers or {})


@schemathesis.hook
def map_case(context, case):
    """Says in one place what would be said in two."""
    query, headers = case.query or {}, case.headers or {}
    for parameter, header in SAID_TWICE.items():
        if parameter in query and header in headers:
            del headers[header]
    if "ttlSeconds" in query and isinstance(case.body, dict) and case.body.get("ttlSeconds") is not None:
        del query["ttlSeconds"]
    return case
