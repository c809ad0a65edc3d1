"""
A study of asynchronous convergence
===================================

Nobody waits for anybody: players move at the ticks of Poisson clocks, and every message is τ late, in units of the
mean time between two moves of a player. How much does staleness cost?
"""

# %%
# Theory has both figures. The slope of the log-error is :math:`W_0(\rho \tau e^\tau) / \tau - 1`, with W₀ the Lambert
# function and ρ the spectral radius; the noise floor hardly changes, since old messages are as noisy as new ones.

import numpy as np

from nashgossip.games import Game, Gaussian, PlayerSpec, Schedule, predict
from nashgossip.topology import attach_alpha, generate_graph

G = attach_alpha(generate_graph("ring", n=30), self_weight=0.3)
family, rng = Gaussian((4,)), np.random.default_rng(0)
data = {i: family.sample(rng.normal(30.0, 1.0, 4), 50, rng) for i in G}
game = Game(G, {i: PlayerSpec(family, data=data[i], start="reference", samples=200) for i in G})

delays = [0.0, 0.5, 1.0, 2.0]
predictions = [predict(game, Schedule("poisson", delay=delay)) for delay in delays]
for delay, prediction in zip(delays, predictions, strict=True):
    print(f"τ = {delay}: slope {prediction.asymptotic_rate:.3f}, floor {prediction.noise_floor_rms:.4f}")

# %%
# The engine ``virtual`` plays the same players in virtual time. A network says how long moves and messages take. Two
# seeds for each delay, long enough for the error to fall to its floor and stay there.

from nashgossip.runners import Duration, Link, Network, play

runs = {}
for delay, prediction in zip(delays, predictions, strict=True):
    network = Network(compute=Duration("exponential"), link=Link(latency=Duration("constant", delay)))
    for seed in range(2):
        records = []
        outcome = play(
            game,
            "virtual",
            seed=seed,
            moves=round(14 / abs(prediction.asymptotic_rate)),
            network=network,
            on_record=records.append,
        )
        runs[delay, seed] = (outcome, np.array([(r.time, r.error_rms) for r in records]))
        print(f"τ = {delay}, seed {seed}: {outcome.outcome}, error {outcome.equilibrium_error['rms']:.4f}")

# %%
# The slope is fitted once letters have arrived, and while the error is five times above the floor. One run on Poisson
# clocks scatters, because who moves when multiplies the error by chance; more players or seeds narrow it, more
# samples do not.

import matplotlib.pyplot as plt


def slope(curve, delay, floor):
    falling = curve[(curve[:, 0] > 2 * delay + 1) & (curve[:, 1] > 5 * floor)]
    return np.polyfit(falling[:, 0], np.log(falling[:, 1]), 1)[0]


figure, panels = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
for k, (delay, prediction) in enumerate(zip(delays, predictions, strict=True)):
    floor = prediction.noise_floor_rms
    for seed in range(2):
        outcome, curve = runs[delay, seed]
        panels[0].semilogy(curve[:, 0], curve[:, 1], color=f"C{k}", label=f"τ = {delay}" if seed == 0 else None)
        measured = slope(curve, delay, floor)
        panels[1].plot(delay, measured, "o", color=f"C{k}")
        panels[2].plot(delay, outcome.equilibrium_error["rms"], "o", color=f"C{k}")
        print(f"τ = {delay}, seed {seed}: slope {measured:.3f}, predicted {prediction.asymptotic_rate:.3f}")
panels[0].set(xlabel="moves per player", ylabel="RMS error", title="error to the equilibrium")
panels[0].legend(frameon=False)
panels[1].plot(delays, [p.asymptotic_rate for p in predictions], "k--", label="predicted")
panels[1].set(xlabel="delay τ", title="slope of the log-error", ylim=(None, 0))
panels[1].legend(frameon=False)
panels[2].plot(delays, [p.noise_floor_rms for p in predictions], "k--", label="predicted")
panels[2].set(xlabel="delay τ", title="noise floor", ylim=(0, None))
plt.show()
