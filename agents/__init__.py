"""Who plays: message, mailbox, player, the models, and the Ray actor around a player."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
