"""Filters against SciPy's own results and closed forms: amplitude, lag, uneven steps, gaps."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("scipy")
from scipy import interpolate, signal

from kprtrack.kinematics.config import KinematicsConfig
from kprtrack.kinematics.filters import apply_filter, butterworth, kalman, one_euro, savitzky_golay

FPS = 50.0
TIMES = np.arange(400) / FPS
MIDDLE = slice(100, 300)  # far from both ends


def noisy(count: int = 400, seed: int = 0) -> np.ndarray:
    """[T, 2] a random walk."""
    return np.cumsum(np.random.default_rng(seed).normal(size=(count, 2)), axis=0)


def sine(hertz: float, times: np.ndarray = TIMES) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * times)[:, None]


def amplitude(smooth: np.ndarray, hertz: float, times: np.ndarray = TIMES) -> tuple[float, float]:
    """Amplitude and phase in degrees of a frequency in the middle of a series, by least squares."""
    turn = 2 * np.pi * hertz * times[MIDDLE]
    design = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    a, b = np.linalg.lstsq(design, smooth[MIDDLE, 0], rcond=None)[0]
    return float(np.hypot(a, b)), float(np.degrees(np.arctan2(b, a)))


def test_butterworth_is_scipys_forward_and_backward_filter_of_the_corrected_cut_off() -> None:
    # Winter 2009: for two passes of second order, the angular cut-off is divided by 0.802.
    corrected = FPS / np.pi * np.arctan(np.tan(np.pi * 6 / FPS) / (np.sqrt(2) - 1) ** 0.25)
    sections = signal.butter(2, corrected, fs=FPS, output="sos")
    wanted = signal.sosfiltfilt(sections, noisy(), axis=0)
    assert_allclose(butterworth(noisy(), TIMES, 6.0, 4), wanted, atol=1e-6)


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_butterworth_keeps_71_percent_at_the_cut_off_without_lag(order: int) -> None:
    size, phase = amplitude(butterworth(sine(6.0), TIMES, 6.0, order), 6.0)
    assert size == pytest.approx(np.sqrt(0.5), abs=1e-3)
    assert phase == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("hertz", [1.0, 3.0, 6.0, 10.0, 15.0])
def test_the_amplitude_of_butterworth_is_that_of_the_bilinear_transform(hertz: float) -> None:
    ratio = np.tan(np.pi * hertz / FPS) / np.tan(np.pi * 6 / FPS)
    wanted = 1 / (1 + (np.sqrt(2) - 1) * ratio**4)
    assert amplitude(butterworth(sine(hertz), TIMES, 6.0, 4), hertz)[0] == pytest.approx(wanted, abs=2e-3)


def test_the_kalman_smoother_is_the_cubic_smoothing_spline() -> None:
    """Whittaker's problem: a random walk of the velocity has a cubic spline as its best estimate."""
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.uniform(0.5, 1.5, 120)) / FPS
    cutoff = 4.0
    strength = (np.sqrt(2) - 1) / ((2 * np.pi * cutoff) ** 4 * np.median(np.diff(times)))
    values = noisy(120)
    wanted = np.stack(
        [interpolate.make_smoothing_spline(times, column, lam=strength)(times) for column in values.T], axis=1
    )
    assert_allclose(kalman(values, times, cutoff), wanted, atol=1e-4)


@pytest.mark.parametrize("hertz", [1.0, 4.0, 8.0])
def test_the_kalman_smoother_has_the_amplitude_of_butterworth_of_fourth_order(hertz: float) -> None:
    times = np.arange(400) / 200  # the closed form is that of steps that are short against the cut-off
    wanted = 1 / (1 + (np.sqrt(2) - 1) * (hertz / 4.0) ** 4)
    size, phase = amplitude(kalman(sine(hertz, times), times, 4.0), hertz, times)
    assert size == pytest.approx(wanted, abs=0.01)
    assert phase == pytest.approx(0.0, abs=0.3)


def test_one_euro_without_speed_is_exponential_smoothing() -> None:
    cutoff = 3.0
    weight = 1 / (1 + FPS / (2 * np.pi * cutoff))
    start = signal.lfilter_zi([weight], [1, weight - 1])[:, None] * noisy()[:1]
    wanted, _ = signal.lfilter([weight], [1, weight - 1], noisy(), axis=0, zi=start)
    assert_allclose(one_euro(noisy(), TIMES, cutoff, 0.0), wanted, atol=1e-9)


def test_one_euro_follows_a_ramp_closer_the_more_speed_counts() -> None:
    """In the steady state the lag is slope * step * (1 - weight) / weight, and the speed slope / weight."""
    ramp = 40.0 * TIMES[:, None]
    for beta in (0.0, 0.05):
        lag = ramp[-1, 0] - one_euro(ramp, TIMES, 1.0, beta)[-1, 0]
        weight = 40 / FPS / (lag + 40 / FPS)
        cutoff = 1.0 + beta * 40 / weight
        assert weight == pytest.approx(1 / (1 + FPS / (2 * np.pi * cutoff)), rel=1e-3)


def test_one_euro_gives_the_numbers_of_its_authors_program() -> None:
    """Computed by the package OneEuroFilter 0.2.1: 1.5 Hz at rest, beta 0.02, uneven steps."""
    times = np.array([0.00, 0.04, 0.06, 0.10, 0.15, 0.16, 0.20, 0.24])
    values = np.array([10.0, 11.0, 30.0, 28.0, 29.0, 35.0, 60.0, 61.0])
    wanted = [10.0, 10.28685, 16.64649, 22.65332, 26.324257, 28.467988, 49.20379, 56.944008]
    assert_allclose(one_euro(values[:, None], times, 1.5, 0.02)[:, 0], wanted, atol=1e-6)


def test_savitzky_golay_is_scipys() -> None:
    assert_allclose(
        savitzky_golay(noisy(), TIMES, 0.3, 3), signal.savgol_filter(noisy(), 15, 3, axis=0), atol=1e-9
    )


@pytest.mark.parametrize("filter", ["butterworth", "kalman", "savitzky-golay"])
def test_a_varying_frame_rate_is_honoured_by_the_times(filter: str) -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([0.02, 0.03, 0.04], 300))
    clean = sine(1.0, times)
    config = KinematicsConfig(filter=filter, cutoff_hz=5.0)
    smooth = apply_filter(clean, times, config)
    by_number = apply_filter(clean, np.arange(300) * times[-1] / 299, config)  # as if steps were even
    assert np.abs(smooth - clean)[20:-20].max() < 0.01
    assert np.abs(by_number - clean)[20:-20].max() > 0.03


@pytest.mark.parametrize("filter", ["butterworth", "one-euro", "kalman", "savitzky-golay", "none"])
def test_every_run_is_filtered_by_itself_and_gaps_stay(filter: str) -> None:
    values = noisy(60)
    values[20:30] = np.nan
    values[31:33, 0] = np.nan  # leaves a single frame
    config = KinematicsConfig(filter=filter)
    smooth = apply_filter(values, TIMES[:60], config)
    assert_allclose(np.isnan(smooth), np.isnan(values))
    assert smooth[30, 0] == values[30, 0]
    for column, part in ((0, slice(0, 20)), (0, slice(33, 60)), (1, slice(0, 20)), (1, slice(30, 60))):
        alone = apply_filter(values[part, [column]], TIMES[part], config)
        assert_allclose(smooth[part, column], alone[:, 0], atol=1e-9)


@pytest.mark.parametrize("filter", ["butterworth", "one-euro", "kalman", "savitzky-golay"])
@pytest.mark.parametrize("count", [2, 3, 5, 9, 10])
def test_short_runs_of_a_constant_stay_constant(filter: str, count: int) -> None:
    values = np.full((count, 1), 7.0)
    assert_allclose(apply_filter(values, TIMES[:count], KinematicsConfig(filter=filter)), values, atol=1e-6)
