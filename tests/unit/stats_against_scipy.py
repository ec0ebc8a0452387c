"""daemon/stats/ held to scipy and statsmodels, to 1e-9, on generated sets and at the edges. Takes the path of stats_probe."""

import math
import os
import subprocess
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads of it would only wait for each other
import numpy as np  # noqa: E402
import scipy.optimize
import scipy.stats
import statsmodels.api
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW, _zstat_generic2

TOLERANCE = 1e-9
METHODS = ("mcnemar_exact", "paired_permutation", "independent")
VERDICTS = ("better", "worse", "no_difference_shown", "inconclusive")
random = np.random.default_rng(11)
checked = 0


class Probe:
    def __init__(self, path):
        self.process = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, what, *numbers):
        self.process.stdin.write(f"{what} {' '.join(repr(float(number)) for number in numbers)}\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]


def near(got, want, what):
    global checked
    checked += 1
    got, want = np.atleast_1d(got).astype(float), np.atleast_1d(want).astype(float)
    assert got.shape == want.shape and np.allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True), f"{what}: {got}, not {want}"


def pairs_of(values, items=None):
    items = range(len(values)) if items is None else items
    return [number for pair in zip(items, values) for number in pair]


def test_mcnemar(probe):
    tables = [(0, 0), (1, 0), (0, 5), (5, 0), (6, 6), (8, 21), (300, 420), (50000, 49000), (0, 1000)]
    for better, worse in tables + [tuple(random.integers(0, 200, 2)) for _ in range(30)]:
        near(probe.ask("mcnemar", better, worse), mcnemar([[7, better], [worse, 9]], exact=True).pvalue, f"mcnemar {better} {worse}")


def signs(tries, count):
    """SplitMix64 as paired_test.h says, for all words at once: a row a try."""
    groups = -(-count // 8)
    with np.errstate(over="ignore"):
        z = np.uint64(0x6e656c2d736c7264) + np.arange(1, groups * tries // 8 + 1, dtype=np.uint64) * np.uint64(0x9e3779b97f4a7c15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
        z ^= z >> np.uint64(31)
    of_bytes = z.astype("<u8").view(np.uint8).reshape(groups, tries)
    return 1.0 - 2.0 * np.concatenate([np.unpackbits(row[:, None], axis=1, bitorder="little") for row in of_bytes], axis=1)[:, :count]


def all_signs(values):
    """Of scipy, which wants two values at least: with one, both signs are as extreme."""
    if len(values) < 2:
        return 1.0
    return scipy.stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf).pvalue


def test_sign_flips(probe):
    for size in (1, 2, 5, 6, 9, 11, 12, 13, 14):
        for values in (random.normal(0.3, 1, size), random.integers(-3, 5, size) / 4, random.integers(0, 2, size) / 1):
            kept = values[values != 0]  # a difference of 0 has no sign
            if len(kept):
                want = all_signs(kept)
                near(probe.ask("sign_flip", *values), want, f"sign flips of {values}")
    near(probe.ask("sign_flip", *[0.0] * 9), 1, "only ties")
    values = random.normal(0.4, 1, 20)  # as many as are tried with all signs: too many for scipy's patience
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    near(probe.ask("sign_flip", *values), np.mean(np.abs(sums) >= abs(values.sum()) - 1e-12), "all signs of 20")
    for size in (21, 22, 30, 33, 50, 64, 71, 90, 100, 120):
        for values in (random.normal(0.2, 1, size), random.choice([-0.5, -0.25, 0.25, 0.5, 0.75], size)):
            got = probe.ask("sign_flip", *values)[0]
            tries = 20000
            sums = np.abs(signs(tries, size) @ values)
            want = (1 + np.sum(sums >= abs(values.sum()) - 1e-12 * np.abs(values).sum())) / (tries + 1)
            near(got, want, f"random signs of {size}")
            theirs = scipy.stats.permutation_test((values,), np.sum, permutation_type="samples", n_resamples=3000, random_state=3).pvalue
            assert abs(got - theirs) < 5 * math.sqrt(2 * max(theirs * (1 - theirs), 1e-3) / 3000), (got, theirs)


def test_means(probe):
    for _ in range(24):
        items = np.sort(random.integers(0, 40, random.integers(41, 300)))
        values = random.normal(0.5, 0.2, len(items)) + 0.1 * (items % 7)
        fit = statsmodels.api.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": items})
        error = fit.bse[0]
        order = random.permutation(len(items))
        near(probe.ask("mean", *pairs_of(values[order], items[order])),
             [values.mean(), error, values.mean() - scipy.stats.norm.ppf(0.975) * error, values.mean() + scipy.stats.norm.ppf(0.975) * error,
              len(values), len(set(items))], "clustered mean")
    for size in (2, 3, 10, 1000, *random.integers(4, 900, 20)):
        values = random.normal(0, 3, size)
        low, high = DescrStatsW(values).zconfint_mean()
        near(probe.ask("mean", *pairs_of(values)), [values.mean(), scipy.stats.sem(values), low, high, size, size], "plain mean")
    near(probe.ask("mean", *pairs_of([1.0, math.nan, 0.0, math.inf])), [0.5, 0.5, *proportion_confint(1, 2, method="wilson"), 2, 2], "what is not finite")
    for value, size in ((0.0, 1), (1.0, 1), (0.0, 40), (1.0, 40)):  # all wrong, all right
        error = math.nan if size == 1 else 0
        low, high = proportion_confint(value * size, size, method="wilson")
        near(probe.ask("mean", *pairs_of([value] * size)), [value, error, max(low, 0), min(high, 1), size, size], f"{size} of {value}")
    near(probe.ask("mean", *pairs_of([0.25] * 12)), [0.25, 0, *DescrStatsW([0.25] * 12).zconfint_mean(), 12, 12], "all equal, and no proportion")
    near(probe.ask("mean", 4, 0.3), [0.3, math.nan, math.nan, math.nan, 1, 1], "one sample")
    near(probe.ask("mean", 4, math.nan), [math.nan] * 4 + [0, 0], "no sample")


def test_wilson(probe):
    for successes, count in [(0, 1), (1, 1), (0, 50), (50, 50), (3, 7)] + [(random.integers(0, n + 1), n) for n in random.integers(1, 5000, 25)]:
        low, high = proportion_confint(successes, count, method="wilson")
        near(probe.ask("wilson", successes, count), [max(low, 0), min(high, 1)], f"wilson {successes} {count}")
        if successes <= count < 400:
            bits = [1.0] * int(successes) + [0.0] * int(count - successes)
            near(probe.ask("mean", *pairs_of(bits))[2:4], [max(low, 0), min(high, 1)], "interval of a proportion")


# The effect, in standard errors, that a two-sided test at 5 % finds in 80 of 100; solve_power() itself stops at 1e-8 of it.
FACTOR = scipy.optimize.brentq(lambda effect: NormalIndPower().power(effect, 1, 0.05, ratio=0) - 0.8, 2, 4, xtol=1e-14)


def detectable_of(error):
    return FACTOR * error


def test_independent(probe):
    for _ in range(20):
        a, b = random.normal(0.6, 0.1, 2)
        a_error, b_error = random.uniform(0.001, 0.2, 2)
        error = math.hypot(a_error, b_error)
        z, p = _zstat_generic2(b - a, error, "two-sided")
        near(probe.ask("independent", a, a_error, b, b_error),
             [b - a, p, b - a - scipy.stats.norm.ppf(0.975) * error, b - a + scipy.stats.norm.ppf(0.975) * error, detectable_of(error)], "independent")
    for numbers in ([0.5, math.nan, 0.6, 0.1], [0.5, 0, 0.6, 0]):
        near(probe.ask("independent", *numbers)[1:], [math.nan] * 4, f"errors that are not known {numbers}")


def test_holm(probe):
    for size in list(range(1, 12)) + [50] * 10:
        p = random.uniform(0, 1, size) ** 3
        near(probe.ask("holm", *p), multipletests(p, method="holm")[1], "holm")
        holes = np.where(random.uniform(size=size) < 0.3, math.nan, p)
        want = holes.copy()
        if np.isfinite(holes).any():
            want[np.isfinite(holes)] = multipletests(holes[np.isfinite(holes)], method="holm")[1]
        near(probe.ask("holm", *holes), want, "holm with tests that say nothing")
    near(probe.ask("holm", 0.02, 0.02, 0.02), multipletests([0.02] * 3, method="holm")[1], "holm of ties")


def compare(probe, a, b, a_items=None, b_items=None):
    left, right = pairs_of(a, a_items), pairs_of(b, b_items)
    got = probe.ask("compare", len(left), *left, *right)
    return dict(zip(("method", "difference", "lo", "hi", "p", "detectable", "pairs", "only_a", "only_b", "better", "worse", "verdict"),
                    [METHODS[int(got[0])], *got[1:-1], VERDICTS[int(got[-1])]]))


def test_comparisons_of_bits(probe):
    for size in (7, 30, 90, 200, 700, 2000, 5000):
        for shift in (0, 0.05, 0.2):
            a = (random.uniform(size=size) < 0.5).astype(float)
            b = np.where(random.uniform(size=size) < 0.8, a, (random.uniform(size=size) < 0.5 + shift).astype(float))
            order = random.permutation(size)
            got = compare(probe, a, b[order], b_items=order)
            better, worse = int(((b - a) > 0).sum()), int(((b - a) < 0).sum())
            assert (got["method"], got["pairs"], got["better"], got["worse"]) == ("mcnemar_exact", size, better, worse), got
            near(got["p"], mcnemar([[0, better], [worse, 0]], exact=True).pvalue, "p of bits")
            if better + worse:
                low, high = DescrStatsW(b - a).zconfint_mean()
                near([got["difference"], got["lo"], got["hi"], got["detectable"]],
                     [(b - a).mean(), low, high, detectable_of(scipy.stats.sem(b - a))], "difference of bits")


def test_comparisons_of_other_values(probe):
    for size in (5, 9, 14, 60, *random.integers(2, 15, 12), *random.integers(21, 200, 6)):
        items = random.choice(10 ** 6, size, replace=False)
        a, b = random.uniform(size=size), random.uniform(size=size)
        got = compare(probe, a, b, items, items)
        assert got["method"] == "paired_permutation" and got["pairs"] == size
        low, high = DescrStatsW(b - a).zconfint_mean()
        near([got["difference"], got["lo"], got["hi"]], [(b - a).mean(), low, high], "difference")
        if size < 20:
            near(got["p"], all_signs(b - a), "p")


def test_repeats_are_averaged_by_item(probe):
    for _ in range(20):
        count, repeats = random.integers(5, 15), random.integers(2, 6)
        items = np.repeat(np.arange(count), repeats)
        a, b = (random.uniform(size=(2, len(items))) < 0.5).astype(float)
        got = compare(probe, a, b, items, items)
        difference = b.reshape(-1, repeats).mean(1) - a.reshape(-1, repeats).mean(1)
        assert got["method"] == "paired_permutation" and got["pairs"] == count
        near(got["p"], all_signs(difference[np.abs(difference) > 1e-12]), "p of repeats")
        near(got["difference"], difference.mean(), "difference of repeats")
        low, high = DescrStatsW(difference).zconfint_mean()
        near([got["lo"], got["hi"], got["detectable"]], [low, high, detectable_of(scipy.stats.sem(difference))], "interval of repeats")


def test_leftovers_are_counted_and_nothing_else(probe):
    got = compare(probe, [1, 0, 1, 1, 0, 1, 1], [0, 0, 0, 0, 0, 0, 1, 1], range(7), range(1, 9))
    assert (got["pairs"], got["only_a"], got["only_b"], got["worse"]) == (6, 1, 2, 4), got
    near(got["difference"], -4 / 6, "difference over pairs only")
    for _ in range(20):
        a_items, b_items = (random.choice(60, random.integers(20, 50), replace=False) for _ in "ab")
        a, b = random.uniform(size=60).round(), random.uniform(size=60).round()
        both = np.intersect1d(a_items, b_items)
        got = compare(probe, a[a_items], b[b_items], a_items, b_items)
        assert (got["pairs"], got["only_a"], got["only_b"]) == (len(both), len(a_items) - len(both), len(b_items) - len(both)), got
        near(got["difference"], (b - a)[both].mean(), "difference over pairs only")
        better, worse = int(((b - a)[both] > 0).sum()), int(((b - a)[both] < 0).sum())
        near(got["p"], mcnemar([[0, better], [worse, 0]], exact=True).pvalue, "p over pairs only")


def test_edges(probe):
    got = compare(probe, [0.5, 0.7, 0.6], [0.4, 0.9], range(3), range(10, 12))
    assert (got["method"], got["pairs"], got["only_a"], got["only_b"]) == ("independent", 0, 3, 2)
    near(got["p"], 2 * scipy.stats.norm.sf(abs(0.65 - 0.6) / math.hypot(scipy.stats.sem([0.5, 0.7, 0.6]), scipy.stats.sem([0.4, 0.9]))), "no pairs")
    assert compare(probe, [1], [0], [1], [2])["verdict"] == "inconclusive"
    assert compare(probe, [], [])["verdict"] == "inconclusive"

    for size in (1, 6, 500):  # all ties: what none in `size` leaves possible
        never = scipy.stats.binomtest(0, size).proportion_ci(0.95, method="exact").high
        got = compare(probe, [1.0] * size, [1.0] * size)
        near([got["p"], got["difference"], got["lo"], got["hi"], got["detectable"]],
             [1, 0, -never, never, min(1, detectable_of(math.sqrt(never / size)))], "all ties")
        assert got["verdict"] == ("inconclusive" if size < 6 else "no_difference_shown")
        got = compare(probe, [0.0] * size, [1.0] * size)
        near([got["difference"], got["lo"], got["hi"], got["p"]], [1, 1 - 2 * never, 1, min(1, 2 * 0.5 ** size)], "all better")
        assert got["verdict"] == ("inconclusive" if size < 6 else "better")
    got = compare(probe, [0.3] * 8, [0.3] * 8)
    assert got["method"] == "paired_permutation" and got["p"] == 1 and math.isnan(got["lo"]) and math.isnan(got["detectable"])
    got = compare(probe, [1, math.nan, 0], [0, 1, math.nan])
    assert (got["pairs"], got["only_a"], got["only_b"]) == (1, 1, 1), got


if __name__ == "__main__":
    probe = Probe(sys.argv[1])
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test(probe)
            print(f"{name}: ok")
    probe.process.stdin.close()
    assert probe.process.wait(10) == 0
    print(f"{checked} comparisons to within {TOLERANCE}")
