"""The cache of kernel rows: the least recently used give way; shorter rows keep their values."""

import numpy as np

from widemargin.solvers.row_cache import RowCache


def fill(cache, which):
    """Ask for rows; those computed hold 100 k + i."""
    slots, missing = cache.claim(np.array(which))
    for k in missing:
        cache.rows[cache.where[k]] = 100 * k + np.arange(cache.n)
    return slots, missing.tolist()


def test_the_least_recently_used_gives_way():
    cache = RowCache(10, np.float64, 3 * 80, least=1)
    assert cache.slots == 3
    assert fill(cache, [1, 2, 3])[1] == [1, 2, 3]
    assert fill(cache, [1])[1] == []
    assert fill(cache, [3])[1] == []
    slots, missing = fill(cache, [1, 4])
    assert missing == [4] and cache.where[2] == -1
    np.testing.assert_array_equal(cache.rows[slots][:, 0], [100, 400])


def test_rows_asked_for_together_never_replace_each_other():
    cache = RowCache(50, np.float32, 4 * 200, least=1)
    rng = np.random.default_rng(0)
    for _ in range(50):
        which = rng.permutation(50)[:4]
        slots, _ = fill(cache, which)
        assert len(set(slots.tolist())) == 4
        np.testing.assert_array_equal(cache.rows[slots][:, 7], 100 * which + 7)


def test_shorter_rows_keep_their_values_and_make_room():
    cache = RowCache(10, np.float64, 4 * 80, least=1)
    fill(cache, [8, 1, 5, 6])
    cache.keep(np.array([1, 3, 5, 8]))
    assert cache.slots == 4 and cache.rows.shape == (4, 4)
    slots, missing = cache.claim(np.array([0, 2, 3]))
    assert missing.tolist() == []
    np.testing.assert_array_equal(cache.rows[slots], [[k * 100 + i for i in (1, 3, 5, 8)]
                                                      for k in (1, 5, 8)])  # fmt: skip


def test_it_holds_no_more_than_it_may():
    assert RowCache(1000, np.float32, 1e6, least=8).flat.nbytes <= 1e6
    assert RowCache(1000, np.float32, 1.0, least=8).slots == 8
    assert RowCache(5, np.float64, 1e9, least=64).slots == 5
