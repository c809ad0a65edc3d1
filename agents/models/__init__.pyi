from .judge import Judge as Judge
from .judge import JudgeError as JudgeError
from .training import ArchitectureError as ArchitectureError
from .training import LossError as LossError
from .training import MemoryLimitError as MemoryLimitError
from .training import Trainer as Trainer
