"""Each step has exactly one implementation, with its types, on the queue that the table of options names."""

import inspect
from collections import Counter
from typing import Any, get_type_hints

import pytest

from contracts import steps
from contracts.steps import Step
from worker.registry import ROLES, implementations
from workflows.step_options import LEASED, OPTIONS

STEPS: dict[str, Step[Any, Any]] = {name: value for name, value in vars(steps).items() if isinstance(value, Step)}
FOUND = [
    (role, of, name, step)
    for role, registration in ROLES.items()
    for of in registration.activity_types()
    for name, step in implementations(of)
]


def test_every_step_is_implemented_once() -> None:
    """No step is missing, and none is implemented twice."""
    assert Counter(step.name for *_, step in FOUND) == Counter(list(STEPS))


def test_every_step_has_options() -> None:
    """The table of queues, time limits and attempts names every step and no other."""
    assert set(OPTIONS) == set(STEPS.values())


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_called_like_its_constant(name: str) -> None:
    """What the code says is what the history shows."""
    assert STEPS[name].name == name


@pytest.mark.parametrize(("role", "of", "name", "step"), FOUND, ids=[name for _, _, name, _ in FOUND])
def test_an_implementation_has_the_steps_types_on_its_queue(
    role: str, of: type, name: str, step: Step[Any, Any]
) -> None:
    """The method's name, its one input, its result and its queue are the step's."""
    method = getattr(of, name)
    hints = get_type_hints(method)
    takes = [hints[parameter] for parameter in list(inspect.signature(method).parameters)[1:]]
    assert (name, takes, hints["return"]) == (step.name, [step.takes], step.gives)
    wanted = OPTIONS[step].queue
    assert ROLES[role].queue == {None: "sessions", LEASED: None}.get(wanted, wanted)
