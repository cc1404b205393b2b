"""Which role runs which workflows and activities: one table, of names, so that a role imports only its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from inspect import getmembers, isfunction
from typing import Any

from contracts import queues
from contracts.steps import Step


@dataclass(frozen=True, kw_only=True)
class Role:
    """What one role serves. The names are `module:Class`."""

    queue: str | None
    """None: a queue of its own for each boot."""
    assembly: str
    """The module that opens what the role needs."""
    workflows: tuple[str, ...] = ()
    activities: tuple[str, ...] = ()

    def workflow_types(self) -> list[type]:
        """The workflow classes; imports them."""
        return [_load(name) for name in self.workflows]

    def activity_types(self) -> list[type]:
        """The classes whose marked methods are the role's activities; imports them."""
        return [_load(name) for name in self.activities]


ROLES: dict[str, Role] = {
    "sessions": Role(
        queue=queues.SESSIONS,
        assembly="worker.roles.sessions",
        workflows=(
            "workflows.create_session:CreateSessionWorkflow",
            "workflows.delete_account:DeleteAccountWorkflow",
            "workflows.drain_servers:DrainServersWorkflow",
            "workflows.end_sessions:EndSessionsWorkflow",
            "workflows.deliver_webhook:DeliverWebhookWorkflow",
            "workflows.reconcile:ReconcileWorkflow",
            "workflows.upload_face:UploadFaceWorkflow",
        ),
        activities=(
            "activities.avatars:AvatarActivities",
            "activities.extensions:ExtensionActivities",
            "activities.leases:LeaseActivities",
            "activities.lifecycle:LifecycleActivities",
            "activities.managed_rooms:ManagedRoomActivities",
            "activities.minutes:MinuteActivities",
            "activities.plans:PlanActivities",
            "activities.leftovers:LeftoverActivities",
            "activities.operations:OperationActivities",
            "activities.erasing:EraseActivities",
            "activities.webhooks:WebhookActivities",
        ),
    ),
    "faces": Role(
        queue=queues.FACES,
        assembly="worker.roles.faces",
        activities=(
            "activities.faces:FaceActivities",
            "activities.images:ImageActivities",
            "activities.banks:BankActivities",
        ),
    ),
    "avatar": Role(
        queue=None,
        assembly="worker.roles.avatar",
        activities=("activities.rooms:RoomActivities",),
    ),
}


def implementations(of: type) -> list[tuple[str, Step[Any, Any]]]:
    """Method name and step of every implementation in a class."""
    return [(name, method.step) for name, method in getmembers(of, isfunction) if hasattr(method, "step")]


def methods(instances: Iterable[object]) -> list[Callable[..., Any]]:
    """The bound activities of instances."""
    return [getattr(one, name) for one in instances for name, _ in implementations(type(one))]


def _load(name: str) -> type:
    module, _, attribute = name.partition(":")
    loaded: type = getattr(import_module(module), attribute)
    return loaded
