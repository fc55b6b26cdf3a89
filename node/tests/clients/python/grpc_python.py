"""grpcio, by the example in `client/examples/python`, and by what the node tells of its services."""

import os
import sys
from pathlib import Path

import grpc
import scenarios
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from harness import PATIENCE, addresses, expect, main, node_killed, refused, scenario
from scenarios import Methods

sys.path.append(str(Path(__file__).parents[4] / "client/examples/python"))
import cache as example

kv = example.kv
NODES = [f"{host}:{port}" for host, port in addresses("GRPC")]


class Grpc(Methods):
    name = b"grpc"

    def __init__(self):
        self.cache = example.Cache(NODES)

    def connect(self):
        grpc.channel_ready_future(self.cache.channel).result(timeout=PATIENCE)
        reflected()
        return "reflection, too"

    def set(self, key, value, ttl=None):
        self.cache.set(key, value, ttl=seconds(ttl))

    def get(self, key):
        return self.cache.get(key)[0]

    def exists(self, key):
        return self.get(key) is not None

    def delete(self, *keys):
        return int(self.cache.delete(keys[0])) if len(keys) == 1 else self.cache.delete_many(list(keys))

    def left(self, key):
        outcome = self.cache.get(key)[1]
        return outcome.ttl_ms if outcome.expires_at else None

    def expire(self, key, ttl):
        return self.cache.expire(key, seconds(ttl))

    def set_many(self, values):
        expect(self.cache.set_many(values), [])

    def get_many(self, keys):
        return self.cache.get_many(keys)

    def pipeline(self, values):
        sets = [kv.Operation(set=kv.SetRequest(key=key, value=value)) for key, value in values.items()]
        expect([result.WhichOneof("result") for result in self.cache.pipeline(sets)], ["set"] * len(values))
        gets = [kv.Operation(get=kv.GetRequest(key=key, consistency=example.QUORUM)) for key in values]
        return [result.get.value for result in self.cache.pipeline(gets)]

    def level(self):
        expect(self.cache.set(b"grpc:level", b"x", level=example.ALL).reached, example.ALL)
        value, outcome = self.cache.get(b"grpc:level", level=example.QUORUM)
        expect((value, outcome.reached, outcome.answered), (b"x", example.QUORUM, 2))

    async def refusal(self):
        await refused(lambda: self.cache.get(b"x" * 70_000), grpc.RpcError, "exceeds the limit of 65536 bytes")
        try:
            self.cache.get(b"x", level=77)
            raise AssertionError("a level nobody has was taken")
        except grpc.RpcError as error:
            expect("(shoal/INVALID, google.rpc.BadRequest)" in example.explain(error), True)
        await refused(lambda: self.cache.stub.Get(kv.GetRequest(), timeout=-1), grpc.RpcError, "DEADLINE_EXCEEDED")


def seconds(ms):
    return (ms or 0) / 1000


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


async def basics(variant):
    await scenarios.basics(Grpc())


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
