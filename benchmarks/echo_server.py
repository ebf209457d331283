"""The peer of ScoreCustomer: a bare grpc.aio server that answers every request with the same bytes, and does nothing else.

python -m benchmarks.echo_server NUM_BYTES     prints "listening on HOST:PORT" to standard error
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import uvloop

METHOD = "/echo.Echo/Unary"


async def run(num_bytes: int) -> None:
    answer = b"x" * num_bytes

    async def unary(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return answer

    server = grpc.aio.server()
    handlers = {"Unary": grpc.unary_unary_rpc_method_handler(unary)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port}", file=sys.stderr, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as ebbtide has it
        runner.run(run(int(sys.argv[1])))
