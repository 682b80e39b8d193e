"""Detectors in plain NumPy and SciPy over whole scenes, (bands, height, width): distance and level."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh
from scipy.ndimage import gaussian_filter, sobel
from scipy.stats import chi2
from skimage.filters import threshold_otsu


def standard(scene):
    return (scene - scene.mean(axis=(1, 2), keepdims=True)) / scene.std(axis=(1, 2), keepdims=True)


def otsu(distance):
    counts, edges = np.histogram(distance, 512, (distance.min(), np.quantile(distance, 0.9999)))
    return threshold_otsu(hist=(counts, (edges[1:] + edges[:-1]) / 2))


def smooth_bands(scene, sigma=1):
    return np.stack([gaussian_filter(band, sigma) for band in standard(scene)])


def plain_sfa(before, after):
    bands = len(before)
    x, y = (smooth_bands(scene).reshape(bands, -1) for scene in (before, after))
    weight = np.ones(x.shape[1])
    for _ in range(8):
        dates = []
        for date in (x, y):
            away = date - np.average(date, axis=1, weights=weight)[:, None]
            dates.append(away / np.sqrt(np.average(away**2, axis=1, weights=weight))[:, None])
        own = sum((date * weight) @ date.T for date in dates) / 2 / weight.sum()
        apart = dates[0] - dates[1]
        variance, axes = eigh((apart * weight) @ apart.T / weight.sum(), own + 1e-6 * np.eye(bands))
        squares = ((axes.T @ apart) ** 2 / variance[:, None]).sum(axis=0)
        weight = np.maximum(chi2.sf(squares, bands), 1e-9)
    distance = np.sqrt(gaussian_filter(squares.reshape(before.shape[1:]), 1))
    return distance, otsu(distance)


def plain_texture(before, after):
    distances = []
    for sigma in (1, 2, 4):
        first, second = (tensor_features(scene, sigma) for scene in (before, after))
        apart = first - second
        apart -= np.median(apart, axis=(1, 2), keepdims=True)
        apart /= np.quantile(np.abs(apart), 0.75, axis=(1, 2), keepdims=True)
        distances.append(np.sqrt((apart**2).mean(axis=0)))
    distance = np.mean(distances, axis=0)
    return distance, otsu(distance)


def tensor_features(scene, sigma):
    grey = gaussian_filter(standard(scene).mean(axis=0), sigma)
    across, down = sobel(grey, 1) / 8, sobel(grey, 0) / 8
    energy, first, second, mean, squares = (
        gaussian_filter(values, 3 * sigma)
        for values in (across**2 + down**2, across**2 - down**2, 2 * across * down, grey, grey**2)
    )
    deviation = np.sqrt(np.maximum(squares - mean**2, 0))
    middle = np.median(energy)
    return np.stack(
        [
            np.log(energy + 0.1 * middle),
            np.log(deviation + 0.1 * np.median(deviation)),
            first / (energy + middle),
            second / (energy + middle),
        ]
    )


def plain_difference(before, after):
    distance = np.sqrt((gaussian_filter(standard(before) - standard(after), (0, 2, 2)) ** 2).mean(axis=0))
    return distance, otsu(distance)


def plain_irmad(before, after):
    bands = len(before)
    both = np.concatenate([before, after]).reshape(2 * bands, -1)
    weight = np.ones(both.shape[1])
    for _ in range(30):
        away = both - np.average(both, axis=1, weights=weight)[:, None]
        all_of = (away * weight) @ away.T / weight.sum()
        xx, xy, yy = all_of[:bands, :bands], all_of[:bands, bands:], all_of[bands:, bands:]
        squared, a = eigh(xy @ np.linalg.solve(yy, xy.T), xx)
        b = np.linalg.solve(yy, xy.T @ a)
        b /= np.sqrt(np.diag(b.T @ yy @ b))
        variates = a.T @ away[:bands] - b.T @ away[bands:]
        squares = (variates**2 / (2 * (1 - np.sqrt(squared)))[:, None]).sum(axis=0)
        weight = np.maximum(chi2.sf(squares, bands), 1e-9)
    distance = np.sqrt(squares).reshape(before.shape[1:])
    return distance, otsu(distance)


def plain_pca_kmeans(before, after):
    """Celik (2009) with scikit-learn, over all patches of 5 x 5 pixels; beyond the scene nothing differs."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    moved = np.sqrt(((standard(before) - standard(after)) ** 2).mean(axis=0))
    patches = np.lib.stride_tricks.sliding_window_view(np.pad(moved, 2), (5, 5)).reshape(-1, 25)
    features = PCA(0.9, svd_solver="full").fit_transform(patches)
    clusters = KMeans(2, n_init=3, random_state=0).fit(features)
    order = np.argsort([patches[clusters.labels_ == label].mean() for label in (0, 1)])
    unchanged, changed = clusters.transform(features)[:, order].T
    return (unchanged / changed).reshape(moved.shape), 1.0
