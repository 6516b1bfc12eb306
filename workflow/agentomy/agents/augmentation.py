"""Random changes of images that should not change what they mean (Laskin et al. 2020, arXiv 2004.14990).

Each function takes uint8 images of one seed [B, C, H, W], where C is 3 for every stacked frame, and a generator. It
changes all frames of an observation alike. Values stay on the scale 0 to 255.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from agentomy.names import resolve

LUMA = np.array([0.2989, 0.587, 0.114], dtype=np.float32)  # how bright red, green and blue are
TO_CHROMA = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], dtype=np.float32)  # RGB to YIQ


def pair(
    name: str, windows: np.ndarray, rngs: Sequence[np.random.Generator], size: int, channels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Augmented observations and their successors, each [S, B, C, size, size].

    `windows` [S, B, C + channels, H, W] hold the frames of both, which differ by the first and the last. As in RAD,
    `translate` moves an observation and its successor alike; the others draw anew for each.
    """
    change = resolve(AUGMENTATIONS, name)
    if name == "translate":
        moved = np.stack([change(images, rng, size) for images, rng in zip(windows, rngs, strict=True)])
        return moved[:, :, :-channels], moved[:, :, channels:]
    changed = [
        (change(images[:, :-channels], rng, size), change(images[:, channels:], rng, size))
        for images, rng in zip(windows, rngs, strict=True)
    ]
    now, following = zip(*changed, strict=True)
    return np.stack(now), np.stack(following)


def check(name: str, frame: int, size: int) -> None:
    """Raise `ValueError` if this augmentation does not make images of `size` from frames of size `frame`."""
    fits = {"crop": size <= frame, "translate": size >= frame}.get(name, size == frame)
    if not fits:
        raise ValueError(f"augmentation {name} cannot make images of size {size} from frames of size {frame}")


def none(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    return images


def crop(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """A random part [B, C, size, size] of each image."""
    top, left = rng.integers(images.shape[2] - size + 1, size=(2, len(images)))
    parts = sliding_window_view(images, (size, size), axis=(2, 3))
    return parts[np.arange(len(images)), :, top, left]


def translate(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Each image at a random place of a larger black one [B, C, size, size]."""
    count, channels, height, width = images.shape
    placed = np.zeros((count, channels, size, size), dtype=images.dtype)
    tops, lefts = rng.integers(size - height + 1, size=count), rng.integers(size - width + 1, size=count)
    for image, into, top, left in zip(images, placed, tops, lefts, strict=True):
        into[:, top : top + height, left : left + width] = image
    return placed


def grayscale(images: np.ndarray, rng: np.random.Generator, size: int, share: float = 0.3) -> np.ndarray:
    """A share of the images without colour."""
    chosen, changed = rng.random(len(images)) < share, images.copy()
    gray = (coloured(images[chosen]) * LUMA[:, None, None]).sum(axis=2, keepdims=True)
    changed[chosen] = np.broadcast_to(gray.round(), coloured(images[chosen]).shape).reshape(images[chosen].shape)
    return changed


def cutout(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Each image with a black rectangle, of sides 1/10 to 3/10 of the image's."""
    return np.where(rectangles(images, rng, 0.1, 0.3), np.uint8(0), images)


def cutout_color(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Each image with a rectangle of random colour."""
    inside = rectangles(images, rng, 0.1, 0.3)
    colour = np.tile(rng.integers(256, size=(len(images), 3), dtype=np.uint8), (1, images.shape[1] // 3))
    return np.where(inside, colour[:, :, None, None], images)


def window(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Each image black but for a rectangle, of sides 7/10 to 9/10 of the image's."""
    return np.where(rectangles(images, rng, 0.7, 0.9), images, np.uint8(0))


def flip(images: np.ndarray, rng: np.random.Generator, size: int, share: float = 0.2) -> np.ndarray:
    """A share of the images mirrored, left to right."""
    chosen = rng.random(len(images)) < share
    return np.where(chosen[:, None, None, None], images[..., ::-1], images)


def rotate(images: np.ndarray, rng: np.random.Generator, size: int, share: float = 0.3) -> np.ndarray:
    """A share of the images turned by one to three right angles."""
    quarters = rng.integers(1, 4, size=len(images)) * (rng.random(len(images)) < share)
    return np.stack([np.rot90(image, turns, axes=(1, 2)) for image, turns in zip(images, quarters, strict=True)])


def convolution(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Each image through a random 3×3 convolution of its three colours (Lee et al. 2020), float32."""
    kernels = rng.normal(scale=np.sqrt(2 / (3 * 9 + 3 * 9)), size=(len(images), 3, 3, 3, 3)).astype(np.float32)
    padded = np.pad(coloured(images).astype(np.float32), [(0, 0)] * 3 + [(1, 1)] * 2)
    near = sliding_window_view(padded, (3, 3), axis=(3, 4))  # [B, frames, 3, H, W, 3, 3]
    return np.einsum("bfihwyx,boiyx->bfohw", near, kernels, optimize=True).reshape(images.shape)


def jitter(images: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    """Change brightness, contrast and saturation by up to 40 %, and shift the hue at random; float32."""
    brightness, contrast, saturation = rng.uniform(0.6, 1.4, size=(3, len(images), 1, 1, 1)).astype(np.float32)
    turn = rng.uniform(-np.pi, np.pi, size=len(images))
    chroma = np.einsum("ci,bfihw->cbfhw", TO_CHROMA, coloured(images).astype(np.float32))
    luma = chroma[0] * brightness
    luma = (luma - luma.mean(axis=(2, 3), keepdims=True)) * contrast + luma.mean(axis=(2, 3), keepdims=True)
    cosine, sine = (wave.astype(np.float32)[:, None, None, None] * saturation for wave in (np.cos(turn), np.sin(turn)))
    turned = cosine * chroma[1] - sine * chroma[2], sine * chroma[1] + cosine * chroma[2]
    changed = np.einsum("ic,cbfhw->bfihw", np.linalg.inv(TO_CHROMA), np.stack([luma, *turned]))
    return changed.clip(0, 255).reshape(images.shape)


def coloured(images: np.ndarray) -> np.ndarray:
    """[B, frames × 3, H, W] → [B, frames, 3, H, W]."""
    return images.reshape(len(images), images.shape[1] // 3, 3, *images.shape[2:])


def rectangles(images: np.ndarray, rng: np.random.Generator, shortest: float, longest: float) -> np.ndarray:
    """Masks of one random rectangle an image, bool [B, 1, H, W]; sides are given as shares of the image's."""
    inside = []
    for length in images.shape[2:]:
        side = rng.integers(round(shortest * length), round(longest * length) + 1, size=(len(images), 1))
        start = rng.integers(length - side + 1)
        inside.append((np.arange(length) >= start) & (np.arange(length) < start + side))
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


AUGMENTATIONS: dict[str, Callable[..., np.ndarray]] = {
    "none": none,
    "crop": crop,
    "translate": translate,
    "grayscale": grayscale,
    "cutout": cutout,
    "cutout-color": cutout_color,
    "window": window,
    "flip": flip,
    "rotate": rotate,
    "convolution": convolution,
    "jitter": jitter,
}
