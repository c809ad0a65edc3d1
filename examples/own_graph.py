"""
A graph of your own
===================

Who listens to whom decides whose data ends up in whose model, before anybody has moved.
"""

# %%
# Names and edges come from anywhere that networkx reads. An edge (j, i) says that i learns from j. Lyon is heard by
# all, Bern hears Lyon alone.

import networkx as nx
import numpy as np

from nashgossip.topology import attach_alpha, effective_sources, influence, spectral_radius

labs = nx.DiGraph(
    [
        ("Lyon", "Oslo"),
        ("Lyon", "Rome"),
        ("Lyon", "Bern"),
        ("Oslo", "Rome"),
        ("Rome", "Oslo"),
        ("Oslo", "Lyon"),
        ("Rome", "Lyon"),
        ("Kiel", "Lyon"),
    ]
)
G = attach_alpha(labs, {"Oslo": 0.3, "Rome": 0.3, "Lyon": 0.2, "Bern": 0.5, "Kiel": 1.0})
for player, row, sources in zip(G, influence(G), effective_sources(G), strict=True):
    print(f"{player}: {dict(zip(G, row.round(2).tolist(), strict=True))}, {sources:.1f} effective sources")
print("an error shrinks by", round(spectral_radius(G), 3), "a round")

# %%
# Kiel hears nobody, so that its model is its own; yet it makes up more of Bern's model than Oslo's data does, two
# steps away.
#
# A game seats a player at every node. These are Gaussians, whose equilibrium is known.

from nashgossip.games import Game, Gaussian, PlayerSpec, equilibrium
from nashgossip.runners import play

family, rng = Gaussian((2,)), np.random.default_rng(0)
centres = {"Oslo": (0.0, 4.0), "Rome": (0.0, -4.0), "Lyon": (0.0, 0.0), "Bern": (4.0, 0.0), "Kiel": (-4.0, 2.0)}
specs = {p: PlayerSpec(family, data=family.sample(np.array(centres[p]), 500, rng), samples=500) for p in G}
game = Game(G, specs)
outcome = play(game, "rounds", moves=60, measure=500)
outcome

# %%
# What each player generates in the end, beside its own data and its mean at equilibrium.

import matplotlib.pyplot as plt

figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
shares = panels[0].imshow(influence(G), cmap="cividis", vmin=0, vmax=1)
panels[0].set_xticks(range(len(G)), list(G))
panels[0].set_yticks(range(len(G)), list(G))
panels[0].set_title("share of a column's data in a row's model")
figure.colorbar(shares, ax=panels[0])
for p, mean, colour in zip(
    G, equilibrium(game), ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple"), strict=True
):
    x = outcome.after[p]["x"]
    panels[1].scatter(x[:, 0], x[:, 1], s=3, alpha=0.3, color=colour)
    panels[1].plot(*centres[p], "s", color=colour, markerfacecolor="none")
    panels[1].plot(*mean, "o", color=colour, markeredgecolor="black", label=p)
panels[1].set_title("□ own data, ● equilibrium, · generated")
panels[1].legend(frameon=False)
panels[1].set_aspect("equal")
plt.show()

# %%
# The graph can be kept with its α to the last bit, and played in any experiment:
# ``nashgossip run ring --set "topology={file: labs.graphml}"``.

import tempfile
from pathlib import Path

from nashgossip.topology import read_graph, write_graph

with tempfile.TemporaryDirectory() as folder:
    write_graph(G, Path(folder) / "labs.graphml")
    print((influence(read_graph(Path(folder) / "labs.graphml")) == influence(G)).all())
