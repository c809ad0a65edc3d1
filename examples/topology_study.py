"""
A study of topologies
=====================

Eight graphs of sixteen players: whose data reaches whom, how alike do the players become, how fast, and how close do
they come to the equilibrium?
"""

# %%
# Some of it the graph decides before anybody plays. Here everybody gives weight 0.2 to its own data, and the players'
# data have random means.

import numpy as np

from nashgossip.topology import attach_alpha, effective_sources, generate_graph, homogenisation, influence

shapes = {
    "path": generate_graph("path", n=16),
    "ring": generate_graph("ring", n=16),
    "torus": generate_graph("torus", m=4, n=4),
    "star": generate_graph("star", n=16),
    "complete": generate_graph("complete", n=16),
    "small world": generate_graph("small_world", n=16, k=4, p=0.2, seed=1),
    "scale-free": generate_graph("scale_free", n=16, m=2, seed=1),
    "directed cycle": generate_graph("directed_cycle", n=16),
}
rng = np.random.default_rng(0)
means = rng.normal(0.0, 1.0, (16, 8))
alone = homogenisation(attach_alpha(shapes["ring"], self_weight=1.0), means)
for name, shape in shapes.items():
    G = attach_alpha(shape, self_weight=0.2)
    likeness = 1 - homogenisation(G, means) / alone
    largest = influence(G).mean(axis=0).max()
    print(
        f"{name:15} effective sources {effective_sources(G).mean():5.2f}, largest mean influence {largest:.2f}, "
        f"closer to each other by {likeness:.0%}"
    )

# %%
# One self-weight a for all gives all graphs the same spectral radius, 1 − a, so that they differ in where they lead
# and not in how fast. On a star everybody copies the centre, which then makes up nearly half of all models; a
# complete graph makes players as alike without any such centre; on a path they hear little of who is far away.
#
# Speed differs where self-weights do. Now two players hold most of their own data, as collectors would, and the
# others hardly any. Everybody starts from a model that knows nothing, far from the equilibrium. Three seeds each,
# with data and random streams of their own; ``fleet`` plays exponential families as arrays, which is the fastest way.

from nashgossip.games import Game, Gaussian, PlayerSpec, predict
from nashgossip.runners import play

family = Gaussian((8,))
rows = []
for name, shape in shapes.items():
    G = attach_alpha(shape, {player: 0.5 if k in (0, 8) else 0.02 for k, player in enumerate(shape)})
    for seed in range(3):
        rng = np.random.default_rng([seed, 1])
        specs = {
            player: PlayerSpec(family, data=family.sample(20.0 + mean, 100, rng), start="reference", samples=500)
            for player, mean in zip(G, means, strict=True)
        }
        game = Game(G, specs)
        prediction = predict(game)
        moves = round(12 / abs(prediction.asymptotic_rate))
        outcome = play(game, "fleet", seed=seed, moves=moves, precision="float64")
        error = outcome.equilibrium_error["rms"]
        rows.append((name, prediction.rate, outcome.rate, prediction.noise_floor_rms, error))

for name, rate, measured, floor, error in rows[::3]:
    print(f"{name:15} slope {measured:.4f}, predicted {rate:.4f}; error {error:.4f}, predicted floor {floor:.4f}")

# %%
# Every point is one run. Slopes follow the prediction to a per cent; the error of one run over its last quarter
# scatters around its floor, the more so where the noise is slow. The star is fastest, for a collector sits in its
# centre; a path is slowest and, with the directed cycle, noisiest.

import matplotlib.pyplot as plt

figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
for k, name in enumerate(shapes):
    here = np.array([row[1:] for row in rows if row[0] == name])
    panels[0].loglog(-here[:, 0], -here[:, 1], "o", color=f"C{k}", label=name)
    panels[1].loglog(here[:, 2], here[:, 3], "o", color=f"C{k}", label=name)
for panel, title in zip(panels, ("speed: minus slope of the log-error", "noise floor"), strict=True):
    ends = [min(panel.get_xlim()[0], panel.get_ylim()[0]), max(panel.get_xlim()[1], panel.get_ylim()[1])]
    panel.plot(ends, ends, "k--", linewidth=0.8)
    panel.set(xlabel="predicted", ylabel="measured", title=title)
panels[0].legend(frameon=False, fontsize="small")
plt.show()
