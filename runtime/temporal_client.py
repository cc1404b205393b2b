"""One Temporal client per process. Temporal's own TEMPORAL_* variables say where it is."""

from collections.abc import Mapping

from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile

from contracts.converter import data_converter

LOCAL = "127.0.0.1:7233"


async def connect(environ: Mapping[str, str], *, lazy: bool = False) -> Client:
    """A client; RuntimeError where Temporal is down, unless `lazy`: then the process can start without it."""
    options = ClientConfigProfile.load(override_env_vars=dict(environ)).to_client_connect_config()
    return await Client.connect(
        options.get("target_host") or LOCAL,
        namespace=options.get("namespace") or "default",
        api_key=options.get("api_key"),
        tls=options.get("tls"),
        rpc_metadata=options.get("rpc_metadata") or {},
        data_converter=data_converter,
        lazy=lazy,
    )
