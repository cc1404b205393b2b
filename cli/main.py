"""`greenroom`: the commands, each imported when it is asked for; it does nothing itself."""

from importlib import import_module

import click

COMMANDS = {
    "accounts": "cli.accounts.accounts:accounts_group",
    "admissions": "cli.operators.freezing:admissions_group",
    "api": "cli.processes:api_command",
    "audit": "cli.audit:audit_command",
    "avatars": "cli.avatars:avatars_group",
    "codec-server": "cli.codec_server:codec_server_command",
    "demo": "cli.demo:demo_command",
    "deploy": "cli.deploy:deploy_group",
    "dev": "cli.dev:dev_command",
    "doctor": "cli.doctor:doctor_command",
    "errors": "cli.errors:errors_command",
    "faces": "cli.faces:faces_group",
    "init": "cli.init:init_command",
    "keys": "cli.accounts.keys:keys_group",
    "migrate": "cli.processes:migrate_command",
    "operations": "cli.operators.operations:operations_group",
    "plans": "cli.accounts.plans:plans_group",
    "render": "cli.render:render_command",
    "replay": "cli.replay:replay_command",
    "secrets": "cli.secrets:secrets_group",
    "servers": "cli.operators.servers:servers_group",
    "sessions": "cli.operators.sessions:sessions_group",
    "setup": "cli.setup_command:setup_command",
    "usage": "cli.accounts.usage:usage_group",
    "webhooks": "cli.webhooks:webhooks_group",
    "worker": "cli.processes:worker_command",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in order."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=LazyGroup)
def main() -> None:
    """Run and look after a Greenroom."""


if __name__ == "__main__":
    main()
