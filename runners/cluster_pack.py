"""What is reserved on as few nodes as possible for the actors of a run, found again by those who come later."""

__all__ = ["find_pack", "pack", "remove_pack"]

from ray import PlacementGroupID
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)


def pack(run: str, count: int, bundle: dict[str, float], *, detached: bool) -> PlacementGroup:
    """The placement group of a run: the one that is there, or a new one.

    Arguments:
        run: its name.
        count: of its actors, one bundle each.
        bundle: what a new one reserves for each.
        detached: whether a new one outlives this process.
    """
    found = find_pack(run)
    if found is not None:
        return found
    lifetime = "detached" if detached else None
    made: PlacementGroup = placement_group([bundle] * count, strategy="PACK", name=_name(run), lifetime=lifetime)
    return made


def find_pack(run: str) -> PlacementGroup | None:
    """The placement group of a run; None if there is none."""
    for entry in placement_group_table().values():  # whatever the namespace of the process that made it
        if entry["name"] == _name(run) and entry["state"] != "REMOVED":
            return PlacementGroup(PlacementGroupID.from_hex(entry["placement_group_id"]))
    return None


def remove_pack(run: str) -> None:
    """Gives back what was reserved; actors that are still in it end."""
    found = find_pack(run)
    if found is not None:
        remove_placement_group(found)


def _name(run: str) -> str:
    return f"{run}/pack"
