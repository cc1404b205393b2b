"""`greenroom codec-server`: lets Temporal's pages and command line show encrypted payloads to whoever has its token."""

import os

import click

from cli.processes import explained

PORT = 8234


@click.command("codec-server")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="Port to listen on.")
def codec_server_command(*, host: str, port: int) -> None:
    """Decrypt payloads of Temporal's histories for its pages and its command line, until it is stopped.

    Holds GREENROOM_PAYLOAD_KEYS, and asks for GREENROOM_CODEC_TOKEN. GREENROOM_CODEC_ORIGINS are the addresses of
    Temporal's pages.
    """
    from api.codec_server import codec_app, serve  # noqa: PLC0415
    from runtime.log import configure_logging  # noqa: PLC0415
    from runtime.settings import SettingsError, load_settings, payload_keys  # noqa: PLC0415

    with explained():
        settings = load_settings(os.environ)
        configure_logging(settings.log_level)
        keys = payload_keys(os.environ)
        if not keys:
            raise SettingsError("GREENROOM_PAYLOAD_KEYS is not set")
        if not settings.codec_token:
            raise SettingsError("GREENROOM_CODEC_TOKEN is not set: it keeps others from reading payloads")
        app = codec_app(keys, settings.codec_token, settings.allowed_codec_origins)
    click.echo(f"codec server on http://{host}:{port}", err=True)
    serve(app, host, port)
