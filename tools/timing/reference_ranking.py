"""Reference implementation of the ranking of a gallery.

Source: docs/reference/kpr.md 6 and 9. It implements the published algorithm without its code.
"""

import numpy as np
import torch

GALLERY_CHUNK = 500


def reference_distances(
    query: np.ndarray, query_visible: np.ndarray, gallery: np.ndarray, gallery_visible: np.ndarray
) -> np.ndarray:
    """Return the mean Euclidean distance over shared parts [Q, G].

    Features are [N, P, D], visibility is bool [N, P].
    """
    features, visible = torch.from_numpy(query).transpose(0, 1), torch.from_numpy(query_visible).T
    parts, means, masks = [], [], []
    for start in range(0, len(gallery), GALLERY_CHUNK):
        rows = slice(start, start + GALLERY_CHUNK)
        others = torch.from_numpy(gallery[rows]).transpose(0, 1)
        square = features.pow(2).sum(2)[:, :, None] + others.pow(2).sum(2)[:, None, :]
        square = square - 2 * features @ others.transpose(1, 2)
        distance = square.relu().sqrt()  # [P, Q, chunk]
        mask = visible[:, :, None] * torch.from_numpy(gallery_visible[rows]).T[:, None, :]
        count = mask.sum(0)
        mean = (distance * mask).sum(0) / count.clamp(min=1)
        means.append(mean * (count > 0) - 1.0 * (count == 0))
        parts.append(distance * mask - 1.0 * ~mask)
        masks.append(mask)
    every_part, every_mask, mean = torch.cat(parts, 2), torch.cat(masks, 2), torch.cat(means, 1)
    far = every_part.max() + 1
    every_part = every_part * every_mask + far * ~every_mask  # for plots
    unshared = mean == -1
    return (mean * ~unshared + far * unshared).numpy()


def reference_ranking(
    distance: np.ndarray,
    *,
    query_identities: np.ndarray,
    gallery_identities: np.ndarray,
    query_cameras: np.ndarray,
    gallery_cameras: np.ndarray,
    same_camera: bool,
    ranks: int = 20,
) -> tuple[float, np.ndarray]:
    """Return mAP and CMC; without `same_camera` the same person in the same camera is left out."""
    order = np.argsort(distance, axis=1, kind="stable")
    curves, precisions = [], []
    for row, identity in enumerate(query_identities):
        ranked = order[row]
        keep = np.ones(len(ranked), bool)
        if not same_camera:
            same = gallery_identities[ranked] == identity
            keep = ~(same & (gallery_cameras[ranked] == query_cameras[row]))
        match = (gallery_identities[ranked] == identity)[keep].astype(int)
        if not match.any():
            continue
        curve = match.cumsum()
        precision = np.array([hits / (place + 1.0) for place, hits in enumerate(curve)]) * match
        curve[curve > 1] = 1
        curves.append(curve[:ranks])
        precisions.append(precision.sum() / match.sum())
    return float(np.mean(precisions)), np.array(curves).mean(0)
