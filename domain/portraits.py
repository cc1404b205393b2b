"""When is a face usable, and how is it framed: thresholds, verdict, formats. Refuses by code, never by taste."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from domain.avatars import PREVIEW, AspectRatio
from domain.face_measures import FaceMeasures, FaceObservation, FoundFace, measure
from domain.failures import FailureCode, Refused

IMAGE_WIDTH = 1200
"""Pixels: the contract's widest picture at an address that clients get. The avatar server renders from wider ones."""

UNCOVERED_WARNING = 0.40
"""Share of a portrait's area beyond the source's edge from which an operator should hear of it."""

BOXES_TOLD = 8
"""Boxes in a refusal's details at most: the picture of a school has hundreds."""


@dataclass(frozen=True, kw_only=True)
class FaceThresholds:
    """Every limit of the verdict. They were tuned on few pictures (docs/faces.md): a start, kept in one place."""

    score: float = 0.50
    """A face counts from this detector score."""
    small_score: float = 0.60
    """Where no face counts, one that only a closer look finds does from this score: it sees faces in machines."""
    second_area: float = 0.25
    """Another face matters if its box has this share of the biggest one's area ..."""
    second_score: float = 0.55
    """... and this score."""
    unit: float = 40.0
    """Least face unit, in pixels of the original."""
    share: float = 0.10
    """Least share of the picture's longer side that the longer side of the face's box takes."""
    inside: float = 0.90
    """Least share of the box that lies inside the picture."""
    margin: float = 0.30
    """Least distance of a keypoint from the border, in face units."""
    yaw: float = 0.70
    """Largest offset of the nose from the face's axis, over half the face's width."""
    eyes_to_axis: float = 0.62
    """Least distance of the eyes over the distance from eyes to mouth: a face in profile has its eyes together."""
    roll: float = 35.0
    """Degrees."""
    pitch_low: float = 0.26
    """The nose's place between eyes (0) and mouth (1), looking up ..."""
    pitch_high: float = 0.92
    """... and looking down."""
    flat: float = 0.49
    """Largest share of the face without any gradient: flat colour, as cartoons have it."""
    lines: float = 0.06
    """Largest share of the face that is a hard edge beside something flat: line art."""
    strong: float = 0.45
    """Largest share of the face that is a hard edge: dots of black and white, as newspapers print them."""
    drawing: float = 0.50
    """Largest probability of a drawing, by the operator's own classifier; without one nothing is above it."""
    blur: float = 0.73
    """Largest re-blur ratio."""


def thresholds_from(text: str) -> FaceThresholds:
    """The limits with some of them set: `name=number,...`, or nothing for the built-in ones.

    Raises ValueError, with a sentence that never quotes a number, where a name is unknown or stands twice, or what it
    is set to is no number from 0 on.
    """
    known = {limit.name for limit in fields(FaceThresholds)}
    chosen: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = (side.strip() for side in part.partition("="))
        if name not in known:
            raise ValueError(f"there is no such limit; there are {', '.join(sorted(known))}")
        if name in chosen:
            raise ValueError(f"the limit {name} is set twice")
        chosen[name] = number_from(number, name)
    return FaceThresholds(**chosen)


def number_from(text: str, name: str) -> float:
    """A finite number from 0 on."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"the limit {name} is set to something that is no number from 0 on")
    return number


@dataclass(frozen=True, kw_only=True)
class Framing:
    """How a portrait is cut: its size, and where in it a face goes."""

    width: int
    height: int
    eye_line: float
    """Height of the eyes from the top, over the portrait's height."""
    unit: float
    """Face unit over the portrait's height."""


FRAMINGS: Mapping[str, Framing] = {
    AspectRatio.LANDSCAPE: Framing(width=1280, height=960, eye_line=0.42, unit=0.118),
    AspectRatio.PORTRAIT: Framing(width=960, height=1280, eye_line=0.40, unit=0.104),
    AspectRatio.SQUARE: Framing(width=1280, height=1280, eye_line=0.42, unit=0.115),
    PREVIEW: Framing(width=500, height=500, eye_line=0.45, unit=0.160),
}
"""By profile: the aspect ratios that sessions can have, and the preview."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A rule that a face breaks: what was measured, and what the limit is."""

    code: FailureCode
    failed: str
    """Name of the threshold."""
    measured: float
    limit: float


MESSAGES: Mapping[FailureCode, str] = {
    FailureCode.NO_FACE: "No face was found in the picture",
    FailureCode.SEVERAL_FACES: "The picture shows several faces",
    FailureCode.FACE_TOO_SMALL: "The face is too small in the picture",
    FailureCode.FACE_CUT_OFF: "The face is cut off by the picture's border",
    FailureCode.EXTREME_POSE: "The face does not look towards the camera",
    FailureCode.ILLUSTRATION: "The picture looks like a drawing, not a photograph",
    FailureCode.TOO_BLURRY: "The face is too blurry",
}


def faces_that_count(found: Iterable[FoundFace], limits: FaceThresholds) -> tuple[FoundFace, ...]:
    """The faces whose score counts, biggest first; NO_FACE, with the best score below the limit, if there is none."""
    faces = sorted(found, key=lambda face: face.area, reverse=True)
    counted = tuple(face for face in faces if face.score >= limits.score)
    if counted:
        return counted
    best = max((face.score for face in faces), default=0.0)
    raise Refused(
        FailureCode.NO_FACE,
        MESSAGES[FailureCode.NO_FACE],
        details={"faces": 0, "failed": "score", "measured": round(best, 3), "limit": limits.score},
    )


def judge(seen: FaceObservation, limits: FaceThresholds) -> FaceMeasures:
    """What was measured of a usable face; else Refused with the gravest fault, its limit and the measures."""
    measures = measure(seen)
    for fault in find_faults(seen, measures, limits):
        raise Refused(fault.code, MESSAGES[fault.code], details=explain(fault, seen, measures))
    return measures


def find_faults(seen: FaceObservation, m: FaceMeasures, t: FaceThresholds) -> Iterator[Fault]:
    """Every rule that the face breaks, the gravest first."""
    second = second_area(seen.faces, t.second_score)
    rules = (
        (second >= t.second_area, FailureCode.SEVERAL_FACES, "second_area", second, t.second_area),
        (m.unit < t.unit, FailureCode.FACE_TOO_SMALL, "unit", m.unit, t.unit),
        (m.share < t.share, FailureCode.FACE_TOO_SMALL, "share", m.share, t.share),
        (m.inside < t.inside, FailureCode.FACE_CUT_OFF, "inside", m.inside, t.inside),
        (m.margin < t.margin, FailureCode.FACE_CUT_OFF, "margin", m.margin, t.margin),
        (abs(m.yaw) > t.yaw, FailureCode.EXTREME_POSE, "yaw", m.yaw, t.yaw),
        (m.eyes_to_axis < t.eyes_to_axis, FailureCode.EXTREME_POSE, "eyes_to_axis", m.eyes_to_axis, t.eyes_to_axis),
        (abs(m.roll) > t.roll, FailureCode.EXTREME_POSE, "roll", m.roll, t.roll),
        (m.pitch < t.pitch_low, FailureCode.EXTREME_POSE, "pitch_low", m.pitch, t.pitch_low),
        (m.pitch > t.pitch_high, FailureCode.EXTREME_POSE, "pitch_high", m.pitch, t.pitch_high),
        (m.flat > t.flat, FailureCode.ILLUSTRATION, "flat", m.flat, t.flat),
        (m.lines > t.lines, FailureCode.ILLUSTRATION, "lines", m.lines, t.lines),
        (m.strong > t.strong, FailureCode.ILLUSTRATION, "strong", m.strong, t.strong),
        (m.drawing > t.drawing, FailureCode.ILLUSTRATION, "drawing", m.drawing, t.drawing),
        (m.blur > t.blur, FailureCode.TOO_BLURRY, "blur", m.blur, t.blur),
    )
    for broken, code, failed, measured, limit in rules:
        if broken:
            yield Fault(code=code, failed=failed, measured=measured, limit=limit)


def second_area(faces: Sequence[FoundFace], least_score: float) -> float:
    """Area of the biggest other face of at least this score, over the first one's; 0 where there is none."""
    biggest, *others = faces
    rival = max((face.area for face in others if face.score >= least_score), default=0.0)
    return rival / biggest.area if biggest.area else 0.0


def explain(fault: Fault, seen: FaceObservation, measures: FaceMeasures) -> dict[str, object]:
    """A refusal's details, as JSON carries them: the broken rule, and what was measured."""
    broken = {"failed": fault.failed, "measured": round(fault.measured, 3), "limit": fault.limit}
    return {**broken, **tell_measures(seen, measures)}


def tell_measures(seen: FaceObservation, measures: FaceMeasures) -> dict[str, object]:
    """What was measured, as JSON carries it; boxes in pixels of the original."""
    boxes = [
        [round(side / seen.scale) for side in (face.left, face.top, face.right, face.bottom)]
        for face in seen.faces[:BOXES_TOLD]
    ]
    return {
        "boxes": boxes,
        "faces": measures.faces,
        "score": round(measures.score, 3),
        "share": round(measures.share, 3),
        "unit": round(measures.unit, 1),
        "roll": round(measures.roll, 1),
        "yaw": round(measures.yaw, 3),
        "pitch": round(measures.pitch, 3),
        "blur": round(measures.blur, 3),
    }
