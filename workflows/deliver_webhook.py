"""An event on its way to one endpoint: tried with growing pauses for a day, then given up."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import steps
    from contracts.webhook_workflow import DeliverWebhook, WebhookOutcome
    from domain.failures import FailureCode
from workflows.outcomes import show_refusal
from workflows.step_options import perform


@workflow.defn
class DeliverWebhookWorkflow:
    """Attempts that fail leave no event in the history: the step is tried again by Temporal itself."""

    @workflow.run
    async def run(self, command: DeliverWebhook) -> WebhookOutcome:
        """Deliver, or note that it was given up. What cannot be delivered is the receiver's fault, and no failure."""
        value = steps.DeliverWebhookInput(
            event_id=command.event_id, endpoint_id=command.endpoint_id, round=command.round
        )
        try:
            sent = await perform(
                steps.deliver_webhook,
                value,
                summary=f"tell {command.endpoint_id} of {command.type}",
                within=command.give_up_after,
                pauses=(command.first_pause, command.longest_pause),
            )
        except ApplicationError as error:
            show_refusal(error)
            return await self._give_up(command, error.type or FailureCode.INTERNAL_ERROR)
        workflow.set_current_details(f"**delivered**: HTTP {sent.status}" if sent.status else "**nobody to tell**")
        return WebhookOutcome(outcome="delivered", status=sent.status)

    async def _give_up(self, command: DeliverWebhook, why: str) -> WebhookOutcome:
        given_up = steps.GiveUpWebhookInput(
            event_id=command.event_id, endpoint_id=command.endpoint_id, round=command.round, why=why
        )
        await perform(steps.give_up_webhook, given_up, summary=f"give up: {why}")
        return WebhookOutcome(outcome=why)
