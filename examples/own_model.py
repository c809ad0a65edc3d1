"""
A model of your own
===================

Any object with a ``space`` and four methods plays. This one is a histogram, in twenty lines; nothing is inherited,
nothing registered.
"""

# %%
# ``learn`` gets the player's own rows and what neighbours generated, each with its weight α. ``generate`` draws rows
# from the given stream and from nothing else. ``state`` and ``load`` hold all that the next call depends on.

import numpy as np

from nashgossip.games import Space, Variable


class Histogram:
    edges = np.linspace(0.0, 1.0, 31)

    def __init__(self):
        self.space = Space((Variable("x", "real", low=0.0, high=1.0),))
        self.shares = np.full(30, 1 / 30)

    def learn(self, sources, rng):
        heard = [s.weight * np.histogram(s.batch["x"], self.edges)[0] / len(s.batch) for s in sources]
        self.shares = np.sum(heard, axis=0) / np.sum(heard)

    def generate(self, n, rng):
        bins = rng.choice(len(self.shares), size=n, p=self.shares)
        return self.space.batch({"x": rng.uniform(self.edges[bins], self.edges[bins + 1])})

    def state(self):
        return {"shares": self.shares.copy()}

    def load(self, state):
        self.shares = np.array(state["shares"])


# %%
# ``check_model`` tries the contract: whether weights count, whether a loaded state goes on exactly, whether anything
# touches a global generator, and so on. It raises an error that names every check that fails.

from nashgossip.agents import check_model

for name in check_model(Histogram):
    print("passed:", name)

# %%
# Four players on a ring, each with data in a place of its own.

from nashgossip.games import Game, PlayerSpec
from nashgossip.runners import play
from nashgossip.topology import attach_alpha, blend, generate_graph, influence

G = attach_alpha(generate_graph("ring", n=4), self_weight=0.4)
space, rng = Histogram().space, np.random.default_rng(0)
data = {i: space.batch({"x": rng.beta(2 + 6 * i, 20 - 6 * i, 2000)}) for i in G}
game = Game(G, {i: PlayerSpec(model=Histogram, data=data[i], samples=1000) for i in G})
outcome = play(game, "rounds", moves=40, measure=20_000)
outcome

# %%
# A histogram can represent every mixture, so theory says what each player must come to generate: the mixture of
# everybody's data with the weights of its row of the influence matrix B, whatever the model is made of.

import matplotlib.pyplot as plt

own = np.stack([np.histogram(data[i]["x"], Histogram.edges)[0] / len(data[i]) for i in G])
predicted = blend(G, own)
print("influence", influence(G).round(2), sep="\n")

figure, panels = plt.subplots(1, 4, figsize=(11, 2.8), sharey=True, layout="constrained")
for i, panel in zip(G, panels, strict=True):
    made = np.histogram(outcome.after[i]["x"], Histogram.edges)[0] / len(outcome.after[i])
    panel.stairs(own[i], Histogram.edges, color="0.8", fill=True, label="its own data")
    panel.stairs(made, Histogram.edges, color="tab:blue", label="generated")
    panel.stairs(predicted[i], Histogram.edges, color="black", linestyle="--", label="predicted")
    panel.set_title(f"player {i}")
    print(f"player {i}: total variation to the prediction {abs(made - predicted[i]).sum() / 2:.3f}")
panels[0].legend(frameon=False, fontsize="small")
plt.show()
