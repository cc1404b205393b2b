"""The verdict on a face: every rule, its limit and its place in the order."""

from dataclasses import replace

import pytest

from domain.avatars import PREVIEW, AspectRatio
from domain.face_measures import CropMeasures, FaceObservation, FoundFace, Keypoints, estimate_pose, face_unit
from domain.failures import FailureCode, Refused
from domain.portraits import FRAMINGS, FaceThresholds, faces_that_count, judge, thresholds_from

LIMITS = FaceThresholds()

FRONTAL: Keypoints = ((450.0, 400.0), (550.0, 400.0), (500.0, 460.0), (460.0, 500.0), (540.0, 500.0))
"""Eyes 100 pixels apart, mouth 100 below."""


def face(left: float, top: float, width: float, height: float, score: float = 0.9) -> FoundFace:
    """A box by its corner and size."""
    return FoundFace(left=left, top=top, right=left + width, bottom=top + height, score=score)


SOUND = FaceObservation(
    width=1000,
    height=1000,
    scale=1.0,
    faces=(face(400, 300, 200, 280),),
    keypoints=FRONTAL,
    crop=CropMeasures(flat=0.1, lines=0.01, strong=0.01, blur=0.4),
)


def moved(points: Keypoints, across: float, down: float, factor: float = 1.0) -> Keypoints:
    """The points scaled about the origin, then moved."""
    a, b, c, d, e = ((x * factor + across, y * factor + down) for x, y in points)
    return a, b, c, d, e


def with_nose(x: float, y: float) -> Keypoints:
    """The frontal face with its nose elsewhere."""
    left_eye, right_eye, _, left_mouth, right_mouth = FRONTAL
    return left_eye, right_eye, (x, y), left_mouth, right_mouth


def refusal(seen: FaceObservation) -> Refused:
    """The refusal of what was seen."""
    with pytest.raises(Refused) as caught:
        judge(seen, LIMITS)
    return caught.value


def test_a_frontal_sharp_face_is_usable_and_its_measures_are_told() -> None:
    """A sound face is accepted, and every measure is what its geometry says."""
    measures = judge(SOUND, LIMITS)
    assert (measures.faces, measures.score, measures.unit, measures.roll, measures.yaw) == (1, 0.9, 100.0, 0.0, 0.0)
    assert measures.share == pytest.approx(0.28)
    assert measures.pitch == pytest.approx(0.6)
    assert measures.inside == pytest.approx(1.0)
    assert measures.margin == pytest.approx(4.0, abs=0.1)


BROKEN = [
    ("second_area", FailureCode.SEVERAL_FACES, {"faces": (*SOUND.faces, face(700, 300, 100, 140, 0.55))}),
    ("unit", FailureCode.FACE_TOO_SMALL, {"scale": 2.6}),
    ("share", FailureCode.FACE_TOO_SMALL, {"faces": (face(450, 350, 90, 99),)}),
    ("inside", FailureCode.FACE_CUT_OFF, {"faces": (face(-25, 300, 200, 280),)}),
    ("margin", FailureCode.FACE_CUT_OFF, {"keypoints": moved(FRONTAL, -425, 0)}),
    ("yaw", FailureCode.EXTREME_POSE, {"keypoints": with_nose(536, 460)}),
    ("yaw", FailureCode.EXTREME_POSE, {"keypoints": with_nose(464, 460)}),
    ("eyes_to_axis", FailureCode.EXTREME_POSE, {"keypoints": ((470, 400), (531, 400), (500, 460), *FRONTAL[3:])}),
    ("roll", FailureCode.EXTREME_POSE, {"keypoints": ((459, 371), (541, 429), (465, 452), (414, 462), (480, 508))}),
    ("pitch_low", FailureCode.EXTREME_POSE, {"keypoints": with_nose(500, 425)}),
    ("pitch_high", FailureCode.EXTREME_POSE, {"keypoints": with_nose(500, 493)}),
    ("flat", FailureCode.ILLUSTRATION, {"crop": CropMeasures(flat=0.50, lines=0.01, strong=0.01, blur=0.4)}),
    ("lines", FailureCode.ILLUSTRATION, {"crop": CropMeasures(flat=0.1, lines=0.07, strong=0.1, blur=0.4)}),
    ("strong", FailureCode.ILLUSTRATION, {"crop": CropMeasures(flat=0.1, lines=0.01, strong=0.46, blur=0.4)}),
    (
        "drawing",
        FailureCode.ILLUSTRATION,
        {"crop": CropMeasures(flat=0.1, lines=0.01, strong=0.01, blur=0.4, drawing=0.51)},
    ),
    ("blur", FailureCode.TOO_BLURRY, {"crop": CropMeasures(flat=0.1, lines=0.01, strong=0.01, blur=0.74)}),
]


@pytest.mark.parametrize(("failed", "code", "change"), BROKEN, ids=[f"{row[0]}-{i}" for i, row in enumerate(BROKEN)])
def test_each_rule_refuses_with_its_code_and_names_the_limit(
    failed: str, code: FailureCode, change: dict[str, object]
) -> None:
    """Breaking one rule alone is refused with that rule's code, threshold and limit."""
    refused = refusal(replace(SOUND, **change))
    assert refused.code is code
    assert refused.details is not None
    assert (refused.details["failed"], refused.details["limit"]) == (failed, getattr(LIMITS, failed))


NEARLY_BROKEN = [
    {"faces": (*SOUND.faces, face(700, 300, 99, 139, 0.9))},
    {"faces": (*SOUND.faces, face(700, 300, 200, 279, 0.54))},
    {"scale": 2.4},
    {"faces": (face(450, 350, 90, 101),)},
    {"faces": (face(-15, 300, 200, 280),)},
    {"keypoints": moved(FRONTAL, -415, 0)},
    {"keypoints": with_nose(534, 460)},
    {"keypoints": with_nose(500, 427)},
    {"keypoints": with_nose(500, 491)},
    {"crop": CropMeasures(flat=0.48, lines=0.05, strong=0.44, blur=0.72)},
]


@pytest.mark.parametrize("change", NEARLY_BROKEN, ids=lambda change: next(iter(change)))
def test_a_face_just_within_a_limit_is_usable(change: dict[str, object]) -> None:
    """No rule reaches further than its limit."""
    judge(replace(SOUND, **change), LIMITS)


def test_the_gravest_fault_is_the_one_that_is_told() -> None:
    """With every rule broken at once, removing the gravest fault shows the next one, in the order of the table."""
    faults: list[dict[str, object]] = [
        {"faces": (face(-150, 300, 90, 99), face(700, 300, 80, 99))},
        {"scale": 3.0, "faces": (face(-150, 300, 90, 99),)},
        {"scale": 1.0, "faces": (face(-150, 300, 200, 280),), "keypoints": with_nose(580, 460)},
        {"faces": SOUND.faces, "crop": CropMeasures(flat=0.9, lines=0.01, strong=0.01, blur=0.9)},
        {"keypoints": FRONTAL},
        {"crop": CropMeasures(flat=0.1, lines=0.01, strong=0.01, blur=0.9)},
    ]
    seen, codes = SOUND, []
    for change in faults:
        seen = replace(seen, **change)
        codes.append(refusal(seen).code)
    assert codes == [
        FailureCode.SEVERAL_FACES,
        FailureCode.FACE_TOO_SMALL,
        FailureCode.FACE_CUT_OFF,
        FailureCode.EXTREME_POSE,
        FailureCode.ILLUSTRATION,
        FailureCode.TOO_BLURRY,
    ]


def test_sizes_are_counted_in_pixels_of_the_original() -> None:
    """A picture that was shrunk for us is judged, and its boxes are told, at its original size."""
    shrunk = replace(SOUND, scale=0.5, crop=CropMeasures(flat=0.1, lines=0.01, strong=0.01, blur=0.9))
    details = refusal(shrunk).details
    assert details is not None
    assert (details["unit"], details["boxes"]) == (200.0, [[800, 600, 1200, 1160]])


def test_no_face_tells_the_best_score_that_did_not_count() -> None:
    """Faces below the score do not count; the best of them is in the refusal."""
    with pytest.raises(Refused) as caught:
        faces_that_count([face(0, 0, 10, 10, 0.31), face(0, 0, 10, 10, 0.49)], LIMITS)
    assert caught.value.code is FailureCode.NO_FACE
    assert caught.value.details == {"faces": 0, "failed": "score", "measured": 0.49, "limit": 0.5}


def test_faces_that_count_come_biggest_first() -> None:
    """The biggest face is judged, not the one with the best score."""
    small, big, faint = face(0, 0, 10, 10, 0.9), face(0, 0, 20, 20, 0.5), face(0, 0, 90, 90, 0.4)
    assert faces_that_count([small, faint, big], LIMITS) == (big, small)


def test_a_group_tells_eight_boxes_at_most() -> None:
    """Details stay small, however many faces there are."""
    crowd = tuple(face(10 * i, 0, 200, 200) for i in range(40))
    details = refusal(replace(SOUND, faces=crowd)).details
    assert details is not None
    assert (details["faces"], len(details["boxes"])) == (40, 8)  # type: ignore[arg-type]


def test_the_face_unit_is_steady_when_the_eyes_come_together() -> None:
    """A face in half profile keeps its size: the distance from eyes to mouth takes over."""
    half_profile = ((480.0, 400.0), (550.0, 400.0), *FRONTAL[2:])
    assert face_unit(half_profile) == pytest.approx(97.0, abs=1.5)  # type: ignore[arg-type]


def test_a_face_whose_points_fall_together_is_refused_and_breaks_nothing() -> None:
    """A false detection without extent has no pose, and is refused as too small."""
    point = (500.0, 500.0)
    assert estimate_pose((point,) * 5).eyes_to_axis == 0.0  # type: ignore[arg-type]
    assert refusal(replace(SOUND, keypoints=(point,) * 5)).code is FailureCode.FACE_TOO_SMALL


def test_every_profile_has_a_framing_of_its_own_ratio() -> None:
    """Each aspect ratio and the preview have a frame, and the frame has that ratio."""
    assert set(FRAMINGS) == {*AspectRatio, PREVIEW}
    for ratio in AspectRatio:
        across, down = (int(part) for part in ratio.split(":"))
        assert FRAMINGS[ratio].width * down == FRAMINGS[ratio].height * across
    assert (FRAMINGS[PREVIEW].width, FRAMINGS[PREVIEW].height) == (500, 500)


def test_limits_are_set_by_name() -> None:
    """What is named is set, spaces or not; all else stays; nothing at all is the built-in table."""
    assert thresholds_from("") == thresholds_from(" , ") == LIMITS
    assert thresholds_from("unit=32, blur = 0.8,") == replace(LIMITS, unit=32.0, blur=0.8)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("units=32", "there is no such limit; there are blur, drawing"),
        ("unit", "unit is set to something that is no number"),
        ("unit=-1", "unit is set to something that is no number"),
        ("unit=nan", "unit is set to something that is no number"),
        ("unit=inf", "unit is set to something that is no number"),
        ("blur=.5,blur=.6", "blur is set twice"),
    ],
)
def test_a_wrong_limit_is_explained(text: str, sentence: str) -> None:
    """An unknown name, a number that is none and a name given twice each get their sentence."""
    with pytest.raises(ValueError, match=sentence):
        thresholds_from(text)
