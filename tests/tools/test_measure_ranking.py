"""The speed of scoring is compared fairly only if both ways give the same scores."""

import numpy as np
import pytest
import torch
from support import paths

from kprtrack.core.part_distance import distance_matrix, prepare
from reid.evaluation.metrics import evaluate


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    monkeypatch.syspath_prepend(paths.ROOT / "tools")


@pytest.mark.parametrize("hide", [False, True])
def test_reference_distances_are_the_same(hide):
    from measure_ranking import embedded
    from timing.reference_ranking import reference_distances

    query, gallery = embedded(15, 700, 9, dimensions=16)
    if hide:
        query.visible[3] = False
        gallery.visible[::2] = np.arange(9) < 1
        query.visible[5:9, 0] = False
    plain = reference_distances(query.features, query.visible, gallery.features, gallery.visible)
    a, b = (prepare(side.features, side.visible, "euclidean") for side in (query, gallery))
    np.testing.assert_allclose(distance_matrix(a, b, metric="euclidean"), plain, atol=1e-5)


@pytest.mark.parametrize("protocol", ["mot_inter_intra_video", "default"])
def test_reference_ranking_is_the_same(protocol):
    from measure_ranking import embedded
    from timing.reference_ranking import reference_distances, reference_ranking

    query, gallery = embedded(40, 300, 30, dimensions=16)
    gallery.labels.identities[gallery.labels.identities == query.labels.identities[0]] = 99  # no match
    mean, curve = reference_ranking(
        reference_distances(query.features, query.visible, gallery.features, gallery.visible),
        query_identities=query.labels.identities,
        gallery_identities=gallery.labels.identities,
        query_cameras=query.labels.cameras,
        gallery_cameras=gallery.labels.cameras,
        same_camera=protocol != "default",
    )
    ours = evaluate(query, gallery, protocol=protocol)
    assert not ours.scored[0]
    assert ours.map == pytest.approx(mean, abs=1e-6)
    np.testing.assert_allclose(ours.cmc, curve, atol=1e-6)


def test_a_row_has_scores_times_and_memory():
    from measure_ranking import measure

    row = measure("default", 100, 1, threads=torch.get_num_threads())
    assert row.startswith("| `default`, mAP 0.")
    assert row.count("|") == 9
    assert row.endswith("MiB |")
