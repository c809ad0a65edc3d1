"""
A study of topologies
=====================

Who listens to whom decides whose data reaches whom, how alike the players become, how fast, and how close they come to
the equilibrium. A study plays many graphs, each with several seeds, and makes one table of it.
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
# On a star everybody copies the centre, which then makes up nearly half of all models; a complete graph makes players
# as alike without any such centre; on a path they hear little of who is far away.
#
# ``study`` plays a grid of settings with several seeds each, side by side on Ray Tune. Here a part of the built-in
# ``topology-zoo`` (``nashgossip study topology-zoo`` plays all of it): graphs of 36 Gaussian players, who go half of
# the way to the best response in each round. A study shows itself as a table of means over seeds with their
# standard errors.

import tempfile

from nashgossip.runners import draw_curves, draw_scatter, study

folder = tempfile.TemporaryDirectory()
graphs = ["ring", "torus", "star", "complete", "small world", "directed cycle"]
zoo = study("topology-zoo", out=f"{folder.name}/zoo", settings=[f"vary.graph={graphs}", "seeds=2"])
zoo

# %%
# Measured and predicted slopes of the log-error, to a per cent or two. The star and the complete graph are the fastest,
# rings the slowest: an error that spreads over many steps takes long to go.

for row in zoo.table.to_pylist():
    print(
        f"{row['graph']:15} seed {row['replicate']}: {row['measured_rate']:.4f}, predicted {row['predicted_rate']:.4f}"
    )

rates = draw_scatter(zoo, zoo.file.figures["rates"])
floors = draw_scatter(zoo, zoo.file.figures["floors"])

# %%
# The errors over time, with 95 % bands over the seeds.

curves = draw_curves(zoo, zoo.file.figures["convergence"])
folder.cleanup()
