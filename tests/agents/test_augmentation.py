"""Augmented images keep what they show, and depend on their own seed's generator alone."""

import numpy as np
import pytest

from agentomy.agents import augmentation

every = pytest.mark.parametrize("name", augmentation.AUGMENTATIONS)
SIZES = {"crop": 10, "translate": 19}


def images(count: int = 200, channels: int = 9) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, size=(count, channels, 14, 14), dtype=np.uint8)


def changed(name: str, given: np.ndarray, seed: int = 1) -> np.ndarray:
    return augmentation.AUGMENTATIONS[name](given, np.random.default_rng(seed), SIZES.get(name, 14))


@every
def test_sizes_are_as_asked_and_the_given_images_stay_as_they_are(name):
    given = images()
    result = changed(name, given)
    assert result.shape == (200, 9, SIZES.get(name, 14), SIZES.get(name, 14))
    np.testing.assert_array_equal(given, images())
    assert (name == "none") == np.array_equal(result, given)


def test_a_crop_is_a_part_of_its_image_and_all_places_occur():
    given, places = images(), set()
    for image, part in zip(given, changed("crop", given), strict=True):
        corners = [(y, x) for y in range(5) for x in range(5) if np.array_equal(image[:, y : y + 10, x : x + 10], part)]
        assert len(corners) == 1
        places |= set(corners)
    assert len(places) == 25


def test_a_translated_image_is_whole_and_on_black():
    given, places = images(), set()
    for image, placed in zip(given, changed("translate", given), strict=True):
        rows, columns = (np.flatnonzero(placed.any(axis=axes)) for axes in ((0, 2), (0, 1)))
        places.add((rows[0], columns[0]))
        np.testing.assert_array_equal(placed[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], image)
        assert (placed > 0).sum() == image.size
    assert len(places) == 36


def test_rectangles_are_cut_out_and_windows_left():
    given = images()
    for name, low, high in (("cutout", 1, 4), ("window", 10, 13)):
        inside = changed(name, given) == (0 if name == "cutout" else given)
        assert np.array_equal(inside, np.broadcast_to(inside[:, :1], inside.shape))
        area = inside[:, 0].sum(axis=(1, 2))
        assert area.min() >= low**2
        assert area.max() <= high**2


def test_flips_and_turns_keep_the_pixels_of_most_images_in_place():
    given = images(2000)
    for name, share in (("flip", 0.2), ("rotate", 0.3), ("grayscale", 0.3)):
        result = changed(name, given)
        moved = (result != given).any(axis=(1, 2, 3))
        assert moved.mean() == pytest.approx(share, abs=0.04)
        if name != "grayscale":
            np.testing.assert_array_equal(np.sort(result, axis=None), np.sort(given, axis=None))


@pytest.mark.parametrize("name", ["crop", "translate"])
def test_a_pair_is_translated_alike_and_cropped_each_for_itself(name):
    windows = np.stack([images(50, 12), images(50, 12)])
    rngs = [np.random.default_rng(seed) for seed in (1, 2)]
    now, following = augmentation.pair(name, windows, rngs, SIZES[name], channels=3)
    assert now.shape == following.shape == (2, 50, 9, SIZES[name], SIZES[name])
    alike = (now[:, :, 3:] == following[:, :, :-3]).all(axis=(2, 3, 4)).mean()
    assert alike == 1 if name == "translate" else alike < 0.3
    alone = augmentation.pair(name, windows[1:], [np.random.default_rng(2)], SIZES[name], channels=3)
    np.testing.assert_array_equal(now[1], alone[0][0])
    np.testing.assert_array_equal(following[1], alone[1][0])
