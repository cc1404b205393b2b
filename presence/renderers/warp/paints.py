"""The inside of a mouth: teeth, tongue and dark, in the light and the tint of the face; moves nothing."""

import numpy as np

from presence.renderers.warp.geometry import Colour, Floats, ramp, yuv_from_rgb

DEEP, TONGUE, TEETH = (44.0, 17.0, 21.0), (132.0, 60.0, 62.0), (214.0, 203.0, 186.0)
"""RGB at the light of a face whose skin has MEAN_SKIN."""
MEAN_SKIN = 165.0
TEETH_LENGTH = 0.085
"""Upper teeth reach so far below the line. They belong to the skull: the lips uncover them."""
TEETH_SOLID = 0.88
TEETH_TINT = 0.35
"""How much of the skin's tint the teeth take."""


class Paints:
    """The colours inside of a mouth, at the light and the tint of the face."""

    def __init__(self, skin: Colour) -> None:
        light = float(np.clip(float(np.mean(skin)) / MEAN_SKIN, 0.3, 1.25))
        # Enamel mirrors the light of the picture: a painting's yellow varnish lies on it too.
        tone = np.array(skin, np.float32) / np.float32(max(float(np.mean(skin)), 1.0))
        enamel = np.array(TEETH, np.float32) * (1 + TEETH_TINT * (tone - 1))
        tints = [yuv_from_rgb(np.array(rgb, np.float32) * np.float32(light)) for rgb in (DEEP, TONGUE, enamel)]
        grey = float(np.ptp(skin))
        if grey < 8:  # noqa: PLR2004 - a picture without colours has none inside of a mouth either
            for tint in tints:
                tint[1:] = 128
        self._deep, self._tongue, self._teeth = (np.clip(tint, 16, 235) for tint in tints)

    def mix(
        self, u: Floats, below: Floats, depth: Floats, gap: Floats, *, openness: float, teeth: bool
    ) -> tuple[Floats, Floats, Floats]:
        """Y, U and V of each pixel, as if all were inside."""
        share = np.clip(depth / np.maximum(gap, 1e-4), 0, 1)
        tongue = ramp(share, 0.50, 0.95) * np.clip(1 - (u / 0.75) ** 2, 0, 1)
        tongue = tongue * ramp(np.array([openness], np.float32), 0.25, 0.7)[0]
        bright = np.float32(0.72) + np.float32(0.28) * ramp(share, 0.0, 0.35)
        white, shade = self._upper_teeth(u, below, depth, gap) if teeth else (np.zeros_like(u), np.ones_like(u))
        planes = []
        for index in range(3):
            deep, red, enamel = (float(paint[index]) for paint in (self._deep, self._tongue, self._teeth))
            plane = deep + tongue * (red - deep)
            if index == 0:
                plane = 16 + (plane - 16) * bright
                plane = plane + white * (16 + (enamel - 16) * shade - plane)
            else:
                plane = plane + white * (128 + (enamel - 128) * shade - plane)
            planes.append(plane.astype(np.float32))
        return planes[0], planes[1], planes[2]

    @staticmethod
    def _upper_teeth(u: Floats, below: Floats, depth: Floats, gap: Floats) -> tuple[Floats, Floats]:
        """How much of a pixel is tooth, and how much light falls on it."""
        square = u * u
        between = (u * np.float32(5.5)) - np.rint(u * np.float32(5.5))
        notch = np.exp(-between * between * np.float32(280))
        length = TEETH_LENGTH * np.clip(1 - 1.4 * square * square, 0, 1) - np.float32(0.010) * notch
        white = TEETH_SOLID * (1 - ramp(below, length - 0.02, length + 0.012))
        white *= np.clip(1 - 4.5 * square * square * square, 0, 1)
        shade = (0.50 + 0.50 * ramp(depth, 0.0, 0.09)) * (1 - 0.6 * square) * (1 - 0.10 * notch)
        # Little light falls through narrow lips.
        shade *= 0.68 + 0.32 * np.clip(gap * np.float32(1 / 0.16), 0, 1)
        return white, shade
