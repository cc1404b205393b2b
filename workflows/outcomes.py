"""How a workflow's outcome reads in Temporal's pages, without opening a payload."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts import search_attributes
    from domain.failures import FailureCode
from workflows.step_options import stage_of


def refused(error: ApplicationError) -> str:
    """A refusal in one line: where it came up, and what the client is told."""
    stage = stage_of(error)
    where = f"in `{stage}`: " if stage else ""
    return f"- {where}{error.message}"


def show_refusal(error: ApplicationError) -> None:
    """Show the refusal of a workflow that is no session's: its code as EndReason, and one line of details."""
    code = error.type or FailureCode.INTERNAL_ERROR
    workflow.upsert_search_attributes([search_attributes.END_REASON.value_set(code)])
    workflow.set_current_details(f"**refused**: {code}\n{refused(error)}")
