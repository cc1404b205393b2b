"""What is measured of a face: its size, pose and place, from a box and five points. Judges nothing."""

import math
from dataclasses import dataclass

Point = tuple[float, float]
Keypoints = tuple[Point, Point, Point, Point, Point]
"""Left eye, right eye, nose, left and right corner of the mouth: left and right as the picture shows them."""

TINY = 1e-6
"""Keeps degenerate faces (all points in one place) from dividing by zero; their pose is refused anyway."""


@dataclass(frozen=True, kw_only=True)
class FoundFace:
    """A face's box in pixels of the picture it was found in; it may reach beyond the border."""

    left: float
    top: float
    right: float
    bottom: float
    score: float

    @property
    def area(self) -> float:
        """Square pixels; never negative."""
        return max(self.right - self.left, 0.0) * max(self.bottom - self.top, 0.0)

    @property
    def longer_side(self) -> float:
        """Pixels."""
        return max(self.right - self.left, self.bottom - self.top)


@dataclass(frozen=True, kw_only=True)
class CropMeasures:
    """What the pixels of the levelled face crop say."""

    flat: float
    """Share of the face's pixels without any gradient; black and white ones do not count."""
    lines: float
    """Share of the face's pixels with a gradient above 60 of 255 and flat ones beside it."""
    strong: float
    """Share of the face's pixels with a gradient above 60 of 255."""
    blur: float
    """Re-blur ratio of Crete: 0 sharp, 1 blurred."""
    drawing: float = 0.0
    """What the operator's own classifier says: the probability that this is a drawing; 0 where there is none."""


@dataclass(frozen=True, kw_only=True)
class FaceObservation:
    """One detected face in its picture; boxes and points in pixels of the picture that was looked at."""

    width: int
    height: int
    scale: float
    """Size of the picture looked at over the size of the original; 1 where it was not shrunk."""
    faces: tuple[FoundFace, ...]
    """Those that count, biggest first; the first is the face that is judged."""
    keypoints: Keypoints
    crop: CropMeasures


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a face looks, guessed from five points."""

    roll: float
    """Degrees, clockwise as the picture shows it."""
    yaw: float
    """0 frontal; about 1 where the nose lies over an eye."""
    pitch: float
    """About .5 frontal; smaller looking up."""
    eyes_to_axis: float


@dataclass(frozen=True, kw_only=True)
class FaceMeasures:
    """What a verdict rests on. The first eight are the ones that the wire carries."""

    faces: int
    score: float
    share: float
    unit: float
    """Pixels of the original."""
    roll: float
    yaw: float
    pitch: float
    blur: float
    eyes_to_axis: float
    inside: float
    margin: float
    """Face units."""
    flat: float
    lines: float
    strong: float
    drawing: float


def middle(a: Point, b: Point) -> Point:
    """The point halfway."""
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def face_unit(points: Keypoints) -> float:
    """The face's size in pixels, steady under yaw and pitch: the eyes' distance, or 0.97 of eyes to mouth."""
    left_eye, right_eye, _, left_mouth, right_mouth = points
    axis = math.dist(middle(left_eye, right_eye), middle(left_mouth, right_mouth))
    return max(math.dist(left_eye, right_eye), 0.97 * axis)


def roll_of(points: Keypoints) -> float:
    """Degrees by which the line through the eyes is turned clockwise."""
    (left_x, left_y), (right_x, right_y) = points[:2]
    return math.degrees(math.atan2(right_y - left_y, right_x - left_x))


def estimate_pose(points: Keypoints) -> Pose:
    """Proxies of the head's turn from five points: cheap, monotonous in the real angles, not angles."""
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    eyes, mouth = middle(left_eye, right_eye), middle(left_mouth, right_mouth)
    eye_distance, axis = math.dist(left_eye, right_eye), math.dist(eyes, mouth)
    across = (
        (right_eye[0] - left_eye[0]) / (eye_distance + TINY),
        (right_eye[1] - left_eye[1]) / (eye_distance + TINY),
    )
    down = ((mouth[0] - eyes[0]) / (axis + TINY), (mouth[1] - eyes[1]) / (axis + TINY))
    centre = middle(eyes, mouth)
    half_width = max(eye_distance, math.dist(left_mouth, right_mouth)) / 2 + TINY
    return Pose(
        roll=roll_of(points),
        yaw=((nose[0] - centre[0]) * across[0] + (nose[1] - centre[1]) * across[1]) / half_width,
        pitch=((nose[0] - eyes[0]) * down[0] + (nose[1] - eyes[1]) * down[1]) / (axis + TINY),
        eyes_to_axis=eye_distance / (axis + TINY),
    )


def measure(seen: FaceObservation) -> FaceMeasures:
    """The numbers that the verdict compares, of the first face of `seen`."""
    face, unit, pose = seen.faces[0], face_unit(seen.keypoints), estimate_pose(seen.keypoints)
    inside_width = max(min(face.right, seen.width) - max(face.left, 0.0), 0.0)
    inside_height = max(min(face.bottom, seen.height) - max(face.top, 0.0), 0.0)
    to_border = min(min(x, y, seen.width - 1 - x, seen.height - 1 - y) for x, y in seen.keypoints)
    return FaceMeasures(
        faces=len(seen.faces),
        score=face.score,
        share=face.longer_side / max(seen.width, seen.height),
        unit=unit / seen.scale,
        roll=pose.roll,
        yaw=pose.yaw,
        pitch=pose.pitch,
        blur=seen.crop.blur,
        eyes_to_axis=pose.eyes_to_axis,
        inside=inside_width * inside_height / (face.area + TINY),
        margin=to_border / (unit + TINY),
        flat=seen.crop.flat,
        lines=seen.crop.lines,
        strong=seen.crop.strong,
        drawing=seen.crop.drawing,
    )
