"""
A run in a notebook
===================

An outcome shows itself, gives tables, and is drawn by functions of which each makes one figure.
"""

# %%
# Experiments of the command line are available in Python too, with every key: here the digits of ``make demo``,
# played in synchronous rounds in this process instead of by actors.

from nashgossip.runners import build_game, load_experiment, play

digits = load_experiment("digits", ["runner=rounds", "play.moves=60", "play.measure=1000"])
game = build_game(digits)
outcome = play(game, digits.play.runner, seed=digits.seed, moves=digits.play.moves, measure=digits.play.measure)
outcome

# %%
# Each player has an entry of its own. Everybody owned two digits and came to generate all ten.

for player in outcome.players[:4]:
    print(
        f"player {player.player}: owns {player.own_classes}, generates {player.generates}, error {player.error:.4f}, "
        f"floor {player.floor:.4f}, total variation {player.total_variation:.3f}"
    )

# %%
# Shares of the ten digits in what players generate, over the shares that their rows of the influence matrix predict.

from nashgossip.runners import draw_mixtures

mixtures = draw_mixtures(outcome)

# %%
# What players generate before and after.

from nashgossip.runners.pictures import draw_samples

samples = draw_samples(outcome)

# %%
# A run at the command line, ``nashgossip run``, leaves a directory; ``read_run`` makes an object of it, with pandas
# frames of the records, and the figures that need a graph.

import tempfile

from nashgossip.runners import draw_graph, read_run
from nashgossip.runners.command import app

folder = tempfile.TemporaryDirectory()
app(["run", "ring", "--out", f"{folder.name}/ring", "--json"], standalone_mode=False)
view = read_run(f"{folder.name}/ring")
view.frame("players").tail()

# %%
# The ring, its players coloured by their regret at the end.

graph = draw_graph(view, by="regret")
folder.cleanup()
