"""All configurations one by one, and the orbits that a group of permutations makes of them.

Nothing here is clever: every configuration is written out, every permutation is applied to it, and
configurations with the same smallest image are the same ordering.
"""

import itertools
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from screening.orderings.space import ConfigurationSpace, Sublattice

MAX_ORDER = 200


def closure(generators, n, max_order=MAX_ORDER):
    """The group that some permutations of n things generate; None if it is larger than allowed."""
    group, frontier = {tuple(range(n))}, [tuple(range(n))]
    while frontier:
        made = {tuple(g[p[i]] for i in range(n)) for p in frontier for g in generators} - group
        group |= made
        if len(group) > max_order:
            return None
        frontier = list(made)
    return np.array(sorted(group), dtype=np.intp)


def largest_closure(generators, n, max_order=MAX_ORDER):
    """The group of the generators taken one by one, less those that make it larger than allowed."""
    kept, group = [], closure([], n)
    for generator in generators:
        larger = closure([*kept, generator], n, max_order)
        if larger is not None:
            kept, group = [*kept, generator], larger
    return group


def site_orbits(group):
    """Sites that the group carries onto each other, each orbit as a sorted list."""
    return sorted({tuple(sorted(set(column.tolist()))) for column in group.T})


def words(amounts):
    """Every distinct word with so many letters 0, so many letters 1, and so on."""
    if not sum(amounts):
        return [()]
    return [
        (letter, *rest)
        for letter, amount in enumerate(amounts)
        if amount
        for rest in words([a - (i == letter) for i, a in enumerate(amounts)])
    ]


def fillings(sublattice, n_domain):
    """Every filling of one sublattice with its satellites, zero elsewhere."""
    rows = []
    for word in words(sublattice.amounts):
        row = np.zeros(n_domain, dtype=np.int64)
        row[sublattice.sites] = word
        if sublattice.satellites is None:
            rows.append(row)
            continue
        around = [sublattice.satellites[i].tolist() for i, w in enumerate(word) if w == 0]
        for chosen in itertools.product(*around):
            turned = row.copy()
            turned[list(chosen)] = 1
            rows.append(turned)
    return np.array(rows)


def configurations(sublattices, n_domain):
    """Every configuration of all sublattices together, shape (n_configurations, n_domain)."""
    found = np.zeros((1, n_domain), dtype=np.int64)
    for sublattice in sublattices:
        some = fillings(sublattice, n_domain)
        found = (found[:, None, :] + some[None, :, :]).reshape(-1, n_domain)
    return found


def smallest_images(rows, group, base=4):
    """One whole number per configuration, the same for two just when a permutation links them.

    A site's occupant is a digit; image p of a row has the digit of site i at place p[i].
    """
    rows = np.asarray(rows).astype(np.int64)
    assert rows.max(initial=0) < base
    places = base ** np.arange(rows.shape[1], dtype=object)
    if base ** rows.shape[1] < 2**63:  # else exact, and slower
        places = places.astype(np.int64)
    best = None
    for permutation in group:
        keys = rows @ places[permutation]
        best = keys if best is None else np.minimum(best, keys)
    return best.tolist()


@dataclass(frozen=True)
class Problem:
    """Sublattices and a group on n_domain positions, with all orbits found by brute force."""

    group: np.ndarray
    sublattices: list
    n_domain: int

    @property
    def space(self):
        """What is tested."""
        return ConfigurationSpace(self.group, self.sublattices)

    def images(self, rows):
        """A whole number for each configuration: that of its orbit."""
        base = max(2, *(len(s.amounts) for s in self.sublattices))
        return smallest_images(rows, self.group, base)

    def orbits(self):
        """Size of each orbit by its smallest image."""
        return Counter(self.images(configurations(self.sublattices, self.n_domain)))


def assert_same_orbits(found, problem, orbits=None):
    """Each orbit once, with its size, and by a configuration that exists."""
    orbits = problem.orbits() if orbits is None else orbits
    assert found.occupants.dtype == np.uint8
    assert found.occupants.shape == (len(orbits), problem.n_domain)
    images = problem.images(found.occupants)
    assert len(set(images)) == len(images)
    assert dict(zip(images, found.degeneracies.tolist(), strict=True)) == dict(orbits)


def multinomial(amounts):
    """Words with so many letters of each kind."""
    return math.factorial(sum(amounts)) // math.prod(math.factorial(a) for a in amounts)


def split(draw, n, max_parts):
    """Whole amounts of up to max_parts occupants, summing to n; some may be zero."""
    n_parts = draw(st.integers(1, max_parts))
    cuts = sorted(draw(st.lists(st.integers(0, n), min_size=n_parts - 1, max_size=n_parts - 1)))
    edges = [0, *cuts, n]
    return tuple(edges[i + 1] - edges[i] for i in range(n_parts))


@st.composite
def groups(draw, min_sites=1, max_sites=9, max_order=MAX_ORDER):
    """Groups that act on copies of a few points, on the copies, on single copies, or anyhow.

    Random permutations alone generate cyclic groups or everything; crystals lie between.
    """
    n_sites = draw(st.integers(min_sites, max_sites))
    generators = []
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_points = int(rng.integers(1, min(4, n_sites) + 1))
    n_copies = n_sites // n_points
    for kind in rng.choice(["points", "copies", "one", "any"], size=draw(st.integers(1, 4))):
        image = list(range(n_sites))
        if kind == "any":
            image = rng.permutation(image).tolist()
        points, copies = rng.permutation(n_points).tolist(), rng.permutation(n_copies).tolist()
        for copy, point in itertools.product(range(n_copies), range(n_points)):
            here = copy * n_points + point
            if kind == "points" or (kind == "one" and copy == 0):
                image[here] = copy * n_points + points[point]
            elif kind == "copies":
                image[here] = copies[copy] * n_points + point
        generators.append(image)
    group = largest_closure(generators, n_sites, max_order)
    return relabelled(group, draw(st.permutations(range(n_sites))))


def relabelled(group, names):
    """The same group after site i is called names[i]."""
    names = np.array(names)
    renamed = np.empty_like(group)
    renamed[:, names] = names[group]
    return renamed


@st.composite
def problems(draw, max_sites=9, max_occupants=4):
    """A random group, and up to three sublattices that are unions of its orbits."""
    group = draw(groups(max_sites=max_sites))
    orbits = site_orbits(group)
    home = [draw(st.integers(0, 2)) for _ in orbits]
    sublattices = []
    for sublattice in range(3):
        sites = [s for o, h in zip(orbits, home, strict=True) if h == sublattice for s in o]
        if sites:
            amounts = split(draw, len(sites), max_occupants)
            sites = np.array(draw(st.permutations(sites)), dtype=np.intp)
            sublattices.append(Sublattice(sites, amounts, None))
    return Problem(group, sublattices, group.shape[1])


@st.composite
def problems_with_satellites(draw):
    """Sites that carry turning satellites, beside plain ones; everything named in random order."""
    n_sites = draw(st.integers(1, 4))
    n_around = draw(st.integers(1, 3))
    base = draw(groups(min_sites=n_sites, max_sites=n_sites, max_order=24))
    n_plain = draw(st.integers(0, 3))
    n_domain = n_sites * (1 + n_around) + n_plain
    satellites = n_sites + np.arange(n_sites * n_around).reshape(n_sites, n_around)
    first_plain = n_domain - n_plain
    generators = []
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for _ in range(rng.integers(0, 4)):
        image = list(range(n_domain))
        moved = rng.choice(base)
        for i in range(n_sites):
            image[i] = int(moved[i])
            turn = rng.permutation(n_around)
            for r in range(n_around):
                image[satellites[i, r]] = int(satellites[moved[i], turn[r]])
        for i, j in enumerate(rng.permutation(n_plain).tolist()):
            image[first_plain + i] = first_plain + j
        generators.append(image)
    group = largest_closure(generators, n_domain, max_order=400)
    names = np.array(draw(st.permutations(range(n_domain))), dtype=np.intp)
    order = np.array(draw(st.permutations(range(n_sites))), dtype=np.intp)
    amounts = split(draw, n_sites, 3)
    sublattices = [Sublattice(names[order], amounts, names[satellites[order]])]
    if n_plain:
        plain = names[first_plain:]
        sublattices.insert(
            draw(st.integers(0, 1)), Sublattice(plain, split(draw, n_plain, 3), None)
        )
    return Problem(relabelled(group, names), sublattices, n_domain)


def permutations_of_points(points, matrices):
    """How linear maps that leave a set of points alone permute them, shape (n_maps, n_points)."""
    index = {tuple(np.round(p, 6) + 0.0): i for i, p in enumerate(points)}
    return np.array(
        [[index[tuple(np.round(m @ p, 6) + 0.0)] for p in points] for m in matrices], dtype=np.intp
    )


def signed_axes(n_dimensions):
    """All rotations and reflections of a square (8) or a cube (48)."""
    eye = np.eye(n_dimensions, dtype=int)
    return [
        np.array(signs)[:, None] * eye[list(axes)]
        for axes in itertools.permutations(range(n_dimensions))
        for signs in itertools.product((1, -1), repeat=n_dimensions)
    ]


def sites_with_rotors(sites, directions):
    """Positions of sites and, at a tenth of each allowed direction, of their satellites."""
    sites = np.array(sites, dtype=float)
    around = [[s + 0.1 * np.array(d) for d in directions(s)] for s in sites]
    points = np.vstack([sites, *around])
    n_around = len(around[0])
    satellites = len(sites) + np.arange(len(sites) * n_around).reshape(len(sites), n_around)
    return points, satellites.astype(np.intp)


def ring(n, *, reflected=False):
    """The cyclic or the dihedral group on n sites in a circle."""
    turns = (np.arange(n) + np.arange(n)[:, None]) % n
    rows = np.vstack([turns, (np.arange(n)[:, None] - np.arange(n)) % n]) if reflected else turns
    return rows.astype(np.intp)


def necklaces(amounts):
    """Words on a circle up to turning, by Burnside's lemma: turns of order d are n/d beads wide."""
    n = sum(amounts)
    total = 0
    for turn in range(n):
        width = math.gcd(turn, n) if turn else n
        repeats = n // width
        if all(a % repeats == 0 for a in amounts):
            total += multinomial([a // repeats for a in amounts])
    assert total % n == 0
    return total // n


def bracelets(n, k):
    """Two-coloured words on a circle up to turning and reflection."""
    fixed = n * necklaces((k, n - k))
    for axis in range(n):
        alone = sum((axis - i) % n == i for i in range(n))
        pairs = (n - alone) // 2
        fixed += sum(
            math.comb(alone, on_axis) * math.comb(pairs, (k - on_axis) // 2)
            for on_axis in range(min(alone, k) + 1)
            if (k - on_axis) % 2 == 0
        )
    assert fixed % (2 * n) == 0
    return fixed // (2 * n)
