"""The right theories that wrong ones are edits of: autoregressive and flows, in rationals and in floats."""

import flint
import numpy as np

from ddfm_theory.arrays import to_float
from ddfm_theory.couplings import Coupling, MaskedCoupling
from ddfm_theory.decentralization import Decentralization
from ddfm_theory.ledger.families import exact, product, two_coins
from ddfm_theory.schedulers import Autoregressive, Linear, Polynomial, Steps
from ddfm_theory.testing.adapters import complete, from_decentralization, from_functions, from_table


def table(shape, seed):
    """A positive pmf of small counts."""
    counts = np.random.default_rng(seed).integers(1, 6, shape)
    out = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        out[index] = flint.fmpq(int(counts[index]), int(counts.sum()))
    return out


PRIOR = exact(["1/2", "1/3", "1/6"])
TABLES = np.stack([table((2, 2, 2), seed) for seed in range(3)])
PAIR = exact(["2/3", "1/3"])
MASKED = Decentralization(PAIR, [MaskedCoupling(table((2, 2), seed)) for seed in (5, 6)])
JOINT = Decentralization(
    PAIR, [Coupling.independent(table((2, 2), seed), table((2, 2), seed + 2)) for seed in (7, 8)]
)  # fmt: skip
ONE = Decentralization(PAIR, [MaskedCoupling(table((3,), seed)) for seed in (9, 10)])
TWO_WAYS = Decentralization(exact(["1"]), [MaskedCoupling(exact([["1/2", 0], [0, "1/2"]]))])


def floats(experts):
    couplings = [
        type(c)(to_float(c.target)) if isinstance(c, MaskedCoupling) else type(c)(to_float(c.joint))
        for c in experts.couplings
    ]
    return Decentralization(to_float(experts.weights), couplings)


def prefix():
    return from_table("tables", TABLES, PRIOR)


def prefix_float():
    return from_table("tables in floats", to_float(TABLES), to_float(PRIOR))


def coins():
    laws = to_float(np.stack([product(*[law] * 3) for law in (["9/10", "1/10"], ["1/10", "9/10"])]))
    return from_table("two coins", laws, np.array([0.5, 0.5]))


def coin_steps():
    return from_decentralization("two coins by steps", floats(two_coins(2)), Autoregressive(), times=[0, 1, 2])


def masked():
    return from_decentralization("masked, t^2", MASKED, Polynomial(2))


def masked_float():
    return from_decentralization("masked in floats, t^2", floats(MASKED), Polynomial(2))


def joint():
    return from_decentralization("two sources, linear", JOINT, Linear())


def one():
    return from_decentralization("one position, t^2", ONE, Polynomial(2))


def two_ways():
    return from_decentralization("00 or 11, t^2", TWO_WAYS, Polynomial(2))


def steps():
    return from_decentralization("autoregression by steps", floats(MASKED), Autoregressive(), times=[0, 1, 2])


def parallel():
    """Two positions in one step, of independent tokens: the sampler is exact."""
    law = MaskedCoupling(np.full((2, 2), 0.25))
    return from_decentralization("a parallel step", Decentralization(np.ones(1), [law]), Steps([[0.0] * 2, [1.0] * 2]),
                                 times=[0, 1])  # fmt: skip


def rare():
    """One common token and 4096 rare ones, below the spacing of float32 beside it."""
    law = np.full(4097, 2.0**-26)
    law[0] = 1 - 2.0**-14
    coin = from_functions("rare tokens", [lambda rows: np.tile(law, (len(rows), 1))], [1.0], vocabulary=4097, length=1)
    return complete(coin)


RIGHT = {
    maker.__name__: maker
    for maker in (
        prefix,
        prefix_float,
        coins,
        masked,
        masked_float,
        joint,
        one,
        two_ways,
        steps,
        coin_steps,
        parallel,
        rare,
    )
}
