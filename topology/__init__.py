"""Who listens to whom, and how much: graphs of players, α schemes, and what the graph alone decides."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
