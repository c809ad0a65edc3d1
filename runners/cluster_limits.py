"""How long a cluster is given to start what a run asks of it: processes that no node can take are not waited for."""

__all__ = ["start_limit"]

START_S = 60.0
START_PER_PROCESS_S = 5.0


def start_limit(processes: int) -> float:
    """Seconds that so many processes may take to start, while none of them does."""
    return START_S + START_PER_PROCESS_S * processes
