"""What a job waits for: how parents are named where it is enqueued."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, Protocol, TypeAlias

from wsup.errors import TaskError


class HasId(Protocol):
    """A Job, or a Node of a graph, which has its id once the graph is enqueued."""

    @property
    def id(self) -> int: ...


#: One parent: a job's handle, a node of a graph, or a job's id …
Parent: TypeAlias = HasId | int
#: … and what `after` takes.
Parents: TypeAlias = Parent | Iterable[Parent]
#: What becomes of a child whose parent fails for good.
OnParentFailure: TypeAlias = Literal["cancel", "run"]

LARGEST_ID: Final = 2**63 - 1


def as_parents(task: str, option: str, value: Parents | None) -> tuple[Parent, ...]:
    """The parents that an option names, each once, in their order. Raises TaskError."""
    if value is None:
        return ()
    many = value if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    found = dict.fromkeys(many)
    for parent in found:
        if not _is_parent(parent):
            raise TaskError(
                f"task {task}: {option}={parent!r:.80} won't do: give jobs, their ids, or nodes of "
                "a graph"
            )
    return tuple(found)


def _is_parent(value: object) -> bool:
    if isinstance(value, int):
        return 0 < value <= LARGEST_ID and not isinstance(value, bool)
    return hasattr(type(value), "id")  # a node may have none yet, so it isn't asked itself


def both(
    task: str, after: Sequence[Parent], lax: Sequence[Parent], on_parent_failure: OnParentFailure
) -> tuple[tuple[Parent, ...], tuple[Parent, ...]]:
    """All parents, and those among them that may end in whatever way. Raises TaskError."""
    if on_parent_failure not in ("cancel", "run"):
        raise TaskError(
            f"task {task}: on_parent_failure={on_parent_failure!r} won't do: give 'cancel' or 'run'"
        )
    if twice := set(after) & set(lax):
        raise TaskError(
            f"task {task}: {next(iter(twice))!r} is in after and in after_lax: leave one out"
        )
    everything = (*after, *lax)
    return everything, everything if on_parent_failure == "run" else tuple(lax)


def numbers(parents: Iterable[Parent]) -> list[int] | None:
    """Their ids, None for none. Raises TaskError for a node whose graph is not enqueued yet."""
    return [parent if isinstance(parent, int) else parent.id for parent in parents] or None
