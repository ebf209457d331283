"""The gRPC server: transport above, questions to a snapshot below, each unaware of the other's insides."""

from serving.service.server import Server, ServerConfig, serve

__all__ = ["Server", "ServerConfig", "serve"]
