"""Where and when it is played: rounds, Ray, experiment files, records, and the command line."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
