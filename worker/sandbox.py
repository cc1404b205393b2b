"""How workflows are isolated: one runner, shared by the workers and the Replayer."""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("msgspec", "contracts", "domain")
)
"""Wire types must be the same classes inside and outside, or msgspec does not know them; nothing else passes."""
