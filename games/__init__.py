"""What is played: variables, exponential families, equilibrium, predictions, data and its split."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
