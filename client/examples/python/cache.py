"""A client of Shoal over gRPC, made from `proto/proto/kv.proto` when it runs. As a program it shows itself at work."""

import itertools
import json
import sys
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

sys.path.append(str(Path(__file__).parents[3] / "proto/proto"))
kv, services = grpc.protos_and_services("kv.proto")

ONE, QUORUM, ALL = kv.CONSISTENCY_ONE, kv.CONSISTENCY_QUORUM, kv.CONSISTENCY_ALL

# Every node serves every key. Reads that meet a dying node are sent to another; a write that may have happened is not
# written again behind its caller's back.
SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "shoal.kv.v1.Kv", "method": method} for method in ("Get", "BatchGet")],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.02s",
                "maxBackoff": "0.2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


class Cache:
    """Some keys of a batch or a pipeline may fail while others do not: their failures are returned in their places."""

    def __init__(self, nodes, level=QUORUM, deadline=2.0, token=None, ca=None, name="shoal"):
        """`nodes` are IP addresses with ports; `deadline` is in seconds.

        A cluster that asks for them is shown `token`, or its password; one that speaks TLS must have a certificate for
        `name`, signed by the CA in the file `ca`.
        """
        options = [
            ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
            ("grpc.max_reconnect_backoff_ms", 1000),
            # Otherwise it is the whole list of addresses, which is no valid authority in HTTP/2.
            ("grpc.default_authority", name),
        ]
        target = "ipv4:" + ",".join(nodes)
        if ca:
            credentials = grpc.ssl_channel_credentials(Path(ca).read_bytes())
            self.channel = grpc.secure_channel(target, credentials, options)
        else:
            self.channel = grpc.insecure_channel(target, options)
        self.stub = services.KvStub(self.channel)
        self.level, self.deadline = level, deadline
        self.metadata = [("authorization", f"Bearer {token}")] if token else []

    def get(self, key, level=None):
        """The value, or None, and what the answer is worth."""
        request = kv.GetRequest(key=key, consistency=level or self.level)
        answer = self._call("Get", request)
        return (answer.value if answer.HasField("value") else None), answer.outcome

    def set(self, key, value, ttl=0, level=None):
        """Stores a value for `ttl` seconds, 0 being for good."""
        request = kv.SetRequest(key=key, value=value, ttl_ms=round(ttl * 1000), consistency=level or self.level)
        return self._call("Set", request).outcome

    def delete(self, key, level=None):
        """Whether there was a value."""
        request = kv.DeleteRequest(key=key, consistency=level or self.level)
        return self._call("Delete", request).existed

    def expire(self, key, ttl, level=None):
        """Lets a value live for `ttl` seconds from now, 0 being for good. Whether there was one."""
        request = kv.ExpireRequest(key=key, ttl_ms=round(ttl * 1000), consistency=level or self.level)
        return self._call("Expire", request).existed

    def get_many(self, keys, level=None):
        request = kv.BatchGetRequest(keys=keys, consistency=level or self.level)
        answers = self._call("BatchGet", request).items
        return [item.failure if item.HasField("failure") else self._value(item.answer) for item in answers]

    def set_many(self, values, ttl=0, level=None):
        """The failures, which are best none."""
        entries = [kv.BatchSetRequest.Entry(key=k, value=v, ttl_ms=round(ttl * 1000)) for k, v in values.items()]
        request = kv.BatchSetRequest(entries=entries, consistency=level or self.level)
        items = self._call("BatchSet", request).items
        return [item.failure for item in items if item.HasField("failure")]

    def delete_many(self, keys, level=None):
        """How many of them had a value."""
        request = kv.BatchDeleteRequest(keys=keys, consistency=level or self.level)
        return sum(item.answer.existed for item in self._call("BatchDelete", request).items)

    def pipeline(self, operations, many=100):
        """Sends any number of operations down one stream, `many` to a message; their results in the same order."""
        operations = list(operations)
        for number, operation in enumerate(operations):
            operation.id = number
        messages = (
            kv.PipelineRequest(operations=operations[start : start + many]) for start in range(0, len(operations), many)
        )
        answers = self.stub.Pipeline(messages, timeout=30, metadata=self.metadata)
        # Results come in any order; the stream ends with the last of them.
        results = itertools.chain.from_iterable(answer.results for answer in answers)
        return sorted(results, key=lambda result: result.id)

    def _call(self, method, request):
        return getattr(self.stub, method)(request, timeout=self.deadline, metadata=self.metadata)

    @staticmethod
    def _value(answer):
        return answer.value if answer.HasField("value") else None


def explain(error):
    """What an error of a call says: its code, its message, and its details where the node sent some."""
    status = rpc_status.from_call(error)
    details = []
    for packed in status.details if status else []:
        info = error_details_pb2.ErrorInfo()
        details.append(f"{info.domain}/{info.reason}" if packed.Unpack(info) else packed.TypeName())
    return f"{error.code().name}: {error.details()}" + (f" ({', '.join(details)})" if details else "")


def main(nodes):
    cache = Cache(nodes)
    cache.set(b"greeting", b"hello", ttl=60)
    value, outcome = cache.get(b"greeting")
    level = kv.Consistency.Name(outcome.reached)
    print(f"{value} at {level}: {outcome.answered} of {outcome.asked} owners, {outcome.ttl_ms} ms left")
    print("failures:", cache.set_many({b"a": b"1", b"b": b"2"}, level=ALL))
    print("many:", cache.get_many([b"a", b"b", b"missing"]))
    sets = [kv.Operation(set=kv.SetRequest(key=b"n:%d" % n, value=b"%d" % n, consistency=ONE)) for n in range(1000)]
    print("piped:", sum(result.HasField("set") for result in cache.pipeline(sets)))
    print("deleted:", cache.delete_many([b"a", b"b", b"missing"]))
    for wrong, call in [
        ("a level nobody has", lambda: cache.get(b"greeting", level=77)),
        ("a key too long", lambda: cache.get(b"x" * 70_000)),
        ("no time at all", lambda: cache.stub.Get(kv.GetRequest(key=b"greeting"), timeout=-1)),
    ]:
        try:
            call()
            sys.exit(f"{wrong}: it was not refused")
        except grpc.RpcError as error:
            print(f"{wrong}: {explain(error)}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["127.0.0.1:7381", "127.0.0.1:7481", "127.0.0.1:7581"])
