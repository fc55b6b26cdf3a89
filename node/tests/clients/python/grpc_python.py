"""grpcio, by the example in `client/examples/python`, and by what the node tells of its services."""

import os
import sys
import time
from pathlib import Path

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from harness import PATIENCE, addresses, expect, main, node_killed, refused, scenario

sys.path.append(str(Path(__file__).parents[4] / "client/examples/python"))
import cache as example

NODES = [f"{host}:{port}" for host, port in addresses("GRPC")]
MANY = 100


async def basics(variant):
    cache = example.Cache(NODES)
    kv = example.kv

    def connected():
        grpc.channel_ready_future(cache.channel).result(timeout=PATIENCE)

    def reflected():
        """Finds the services, describes one, and calls it by nothing but its description."""
        channel = grpc.insecure_channel(NODES[0])
        database = ProtoReflectionDescriptorDatabase(channel)
        services = database.get_services()
        for service in ("shoal.kv.v1.Kv", "shoal.admin.v1.Admin", "grpc.health.v1.Health"):
            expect(service in services, True)
        method = DescriptorPool(database).FindServiceByName("shoal.kv.v1.Kv").methods_by_name["Get"]
        ask, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call = channel.unary_unary(
            "/shoal.kv.v1.Kv/Get", request_serializer=ask.SerializeToString, response_deserializer=answer.FromString
        )
        expect(call(ask(key=b"grpc:missing"), timeout=2).HasField("value"), False)
        return "reflection, too"

    def connect():
        connected()
        return reflected()

    def set_get():
        cache.set(b"grpc:a", b"hello")
        expect(cache.get(b"grpc:a")[0], b"hello")
        expect(cache.get(b"grpc:missing")[0], None)

    def binary():
        value = bytes(range(256)) * 256
        cache.set(b"grpc:\x00\xff\r\n", value)
        expect(cache.get(b"grpc:\x00\xff\r\n")[0], value)

    def delete():
        cache.set(b"grpc:gone", b"x")
        expect(cache.delete(b"grpc:gone"), True)
        expect(cache.get(b"grpc:gone")[0], None)

    def expiry():
        cache.set(b"grpc:expiring", b"x", ttl=100)
        expect(99_000 < cache.get(b"grpc:expiring")[1].ttl_ms <= 100_000, True)
        expect(cache.expire(b"grpc:expiring", 5), True)
        expect(4_000 < cache.get(b"grpc:expiring")[1].ttl_ms <= 5_000, True)
        expect(cache.expire(b"grpc:expiring", 0), True)
        expect(cache.get(b"grpc:expiring")[1].expires_at, 0)
        cache.set(b"grpc:expiring", b"x", ttl=0.03)
        deadline = time.time() + PATIENCE
        while cache.get(b"grpc:expiring")[0] is not None:
            expect(time.time() < deadline, True)

    def batch():
        values = {b"grpc:%d" % i: b"%d" % i for i in range(MANY)}
        expect(cache.set_many(values), [])
        expect(cache.get_many([*values, b"grpc:missing"]), [*values.values(), None])
        expect(cache.delete_many(list(values)), MANY)

    def pipeline():
        sets = [kv.Operation(set=kv.SetRequest(key=b"grpc:p%d" % i, value=b"%d" % i)) for i in range(500)]
        expect([result.WhichOneof("result") for result in cache.pipeline(sets)], ["set"] * 500)
        gets = [kv.Operation(get=kv.GetRequest(key=b"grpc:p%d" % i, consistency=example.QUORUM)) for i in range(500)]
        expect([result.get.value for result in cache.pipeline(gets)], [b"%d" % i for i in range(500)])

    def level():
        expect(cache.set(b"grpc:level", b"x", level=example.ALL).reached, example.ALL)
        value, outcome = cache.get(b"grpc:level", level=example.QUORUM)
        expect((value, outcome.reached, outcome.answered), (b"x", example.QUORUM, 2))

    async def refusal():
        await refused(lambda: cache.get(b"x" * 70_000), grpc.RpcError, "exceeds the limit of 65536 bytes")
        try:
            cache.get(b"x", level=77)
            raise AssertionError("a level nobody has was taken")
        except grpc.RpcError as error:
            expect("(shoal/INVALID, google.rpc.BadRequest)" in example.explain(error), True)
        await refused(lambda: cache.stub.Get(kv.GetRequest(), timeout=-1), grpc.RpcError, "DEADLINE_EXCEEDED")

    await scenario("connect", connect)
    await scenario("set, get", set_get)
    await scenario("binary", binary)
    await scenario("delete", delete)
    await scenario("expiry", expiry)
    await scenario("batch", batch)
    await scenario("pipeline", pipeline)
    await scenario("level", level)
    await scenario("refusal", refusal)


async def kill(variant):
    cache = example.Cache(NODES)

    def read(key):
        value, _ = cache.get(key.encode())
        return value and value.decode()

    write = lambda key, value: cache.set(key.encode(), value.encode())
    await scenario("node killed", lambda: node_killed("grpcio", True, write, read))


async def secured(variant):
    """A cluster that asks for a password and speaks nothing but TLS."""
    ca, password = os.environ["TRY_TLS_CA"], os.environ["TRY_PASSWORD"]

    async def password_tls():
        cache = example.Cache(NODES, token=password, ca=ca, name="localhost")
        cache.set(b"grpc:secret", b"secret")
        expect(cache.get(b"grpc:secret")[0], b"secret")
        for token, words in [("not the password", "UNAUTHENTICATED"), (None, "UNAUTHENTICATED")]:
            stranger = example.Cache(NODES, token=token, ca=ca, name="localhost")
            await refused(lambda: stranger.get(b"grpc:secret"), grpc.RpcError, words)
        plain = example.Cache(NODES, token=password)
        await refused(lambda: plain.get(b"grpc:secret"), grpc.RpcError, "UNAVAILABLE")

    await scenario("password, TLS", password_tls)


main(f"grpcio {grpc.__version__}", {"basics": basics, "kill": kill, "secured": secured})
