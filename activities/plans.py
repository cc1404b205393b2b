"""What an account's plan allows."""

from activities.failures import translated
from contracts import steps
from database.accounts import Accounts
from domain.plans import calculate_expiry


class PlanActivities:
    """Reads plans; decides nothing that the domain does not."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    @steps.calculate_expiry.implementation
    async def calculate_expiry(self, value: steps.CalculateExpiryInput) -> steps.CalculateExpiryResult:
        """How long a session of this account may last."""
        with translated():
            plan = await self._accounts.plan_of(value.account_id)
        expiry = calculate_expiry(plan)
        return steps.CalculateExpiryResult(
            plan=plan.key,
            plan_seconds=expiry.plan_seconds,
            enforced_seconds=expiry.enforced_seconds,
            nobody_joined_s=plan.nobody_joined_s,
            participants_left_s=plan.participants_left_s,
            agent_left_s=plan.agent_left_s,
        )
