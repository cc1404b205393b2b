"""Messages of a control client, however they are cut into pieces."""

import base64
import itertools
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.control.messages import BadMessage, Init, Interrupt, Message, MessageReader, Speak

PCM = bytes(range(256)) * 40
SOUND = base64.b64encode(PCM).decode()


def read(text: str, *, cuts: list[int] | None = None, with_sound: bool = True) -> Message:
    """What a message says that comes in pieces."""
    reader = MessageReader(with_sound=with_sound)
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts or [])})
    for begin, end in itertools.pairwise(places):
        reader.feed(text[begin:end])
    return reader.finish()


def sound_of(message: Message) -> tuple[int, bytes]:
    """Rate and bytes of an utterance."""
    assert isinstance(message, Speak)
    pcm = message.pcm.read(0, 10**9)
    message.pcm.close()
    return message.sample_rate, pcm


@given(
    order=st.permutations(["type", "audio", "sample_rate", "other"]),
    cuts=st.lists(st.integers(0, 20_000), max_size=30),
    other=st.recursive(st.text(max_size=20) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)),
    pretty=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_an_utterance_is_the_same_however_it_is_cut(
    order: list[str], cuts: list[int], other: object, pretty: bool
) -> None:
    """The order of the fields, spaces, other fields and the cuts change nothing."""
    fields = {"type": "agent.speak", "audio": SOUND, "sample_rate": 24_000, "other": {"audio": other}}
    text = json.dumps({name: fields[name] for name in order}, indent=2 if pretty else None)
    assert sound_of(read(text, cuts=cuts)) == (24_000, PCM)


def test_every_cut_of_a_short_message() -> None:
    """One character at a time is a cut too."""
    sound = base64.b64encode(b"\xfb\xef\xbe\xff").decode()  # with slashes and pluses
    text = json.dumps({"type": "agent.speak", "audio": sound}).replace("/", "\\/")
    assert sound_of(read(text, cuts=list(range(len(text))))) == (16_000, b"\xfb\xef\xbe\xff")


def test_line_breaks_in_base64_are_left_out() -> None:
    """Some encoders break lines after 76 characters."""
    broken = "\n".join(SOUND[i : i + 76] for i in range(0, len(SOUND), 76))
    assert sound_of(read(json.dumps({"audio": broken, "type": "agent.speak"}), cuts=list(range(0, 9000, 7)))) == (
        16_000,
        PCM,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Invalid JSON"),
        ("[]", "Invalid JSON"),
        ("null", "Invalid JSON"),
        ('{"type": "agent.dance"}', "Unknown message type"),
        ('{"kind": "agent.speak"}', "Unknown message type"),
        ('{"type": "agent.speak"}', "Invalid audio data: `audio` is base64 of raw 16-bit mono PCM"),
        ('{"type": "agent.speak", "audio": 7}', "Invalid audio data: `audio` is base64 of raw 16-bit mono PCM"),
        ('{"type": "agent.speak", "audio": ""}', "Invalid audio data: it is empty"),
        ('{"type": "agent.speak", "audio": "****"}', "Invalid audio data: not base64"),
        ('{"type": "agent.speak", "audio": "AAAA=AAA"}', "Invalid audio data: not base64"),
        ('{"type": "agent.speak", "audio": "AAA=AAAA"}', "Invalid audio data: not base64"),
        ('{"type": "agent.speak", "audio": "A"}', "Invalid audio data: not base64"),
        ('{"type": "agent.speak", "audio": "UklGRgAAAAA="}', "Invalid audio data: raw PCM is wanted, not a WAV file"),
        ('{"type": "agent.speak", "audio": "AAAA", "sample_rate": 3}', "Invalid sample rate"),
        ('{"type": "agent.speak", "audio": "AAAA", "sample_rate": "16000"}', "Invalid sample rate"),
        ('{"type": "session.init", "session_id": "sess_1"}', "Invalid session credentials"),
        ('{"type": "' + "x" * 70_000 + '"}', "Invalid JSON: too long"),
    ],
)
def test_a_bad_message_is_told_what_is_wrong(text: str, said: str) -> None:
    """In words, and only once the message has been read to its end."""
    with pytest.raises(BadMessage, match=f"^{said}"):
        read(text, cuts=list(range(0, len(text), 3)))


def test_an_init_is_read_in_both_forms() -> None:
    """Row `token field` (contract 11): the older documents put everything into `config`, as `access_token`."""
    flat = {"type": "session.init", "session_id": "sess_1", "session_token": "t"}
    old = {"type": "session.init", "config": {"session_id": "sess_1", "access_token": "t", "room": {"platform": "x"}}}
    for said in (flat, old):
        assert read(json.dumps(said), with_sound=False) == Init(session_id="sess_1", token="t")


def test_an_interrupt_needs_nothing_else() -> None:
    """Its type is enough."""
    assert read('{"type":"agent.interrupt"}') == Interrupt()


def test_sound_before_the_token_is_no_sound() -> None:
    """Who has not shown a token fills no disk: the message is too long, whatever it is."""
    text = json.dumps({"type": "agent.speak", "audio": "A" * 80_000})
    with pytest.raises(BadMessage, match="too long"):
        read(text, with_sound=False)


def test_a_hundred_megabytes_are_not_held() -> None:
    """Row `max WebSocket message` (contract 11): 100 MB, and the sound goes into a file as it comes."""
    piece = base64.b64encode(bytes(48 * 1024)).decode()
    reader = MessageReader()
    tracemalloc.start()
    try:
        reader.feed('{"type":"agent.speak","audio":"')
        for _ in range(1_600):  # 105 MB of text
            reader.feed(piece)
        reader.feed('"}')
        message = reader.finish()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(message, Speak)
    assert message.pcm.length == 1_600 * 48 * 1024
    assert most < 4 * 2**20
    message.pcm.close()
